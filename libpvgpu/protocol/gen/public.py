# SPDX-License-Identifier: MIT
"""A library's public functions as programs see them: each goes to the function proper, or by way of the log of calls (libpvgpu/log)."""
import re

BANNER = "/* SPDX-License-Identifier: MIT */\n/* Made by libpvgpu/protocol/gen/public.py; do not edit. */\n"
FORM = re.compile(r"(?:\b(?:CUresult|cublasStatus_t)\s+(?:CUDAAPI\s+)?(cu\w+)\s*|\bPVGPU_CU_PT[DS][SZ]\(\s*(cu\w+)\s*,\s*)\(([^;]*?)\)\)?\s*;")
REGISTERS = 6

# Types of 32 bits that are not enumerations, and those of 64 that are no addresses.
SIGNED, UNSIGNED = {"int", "CUdevice"}, {"unsigned int", "unsigned char", "unsigned short", "cuuint32_t", "uint32_t"}
WIDE = {"size_t", "cuuint64_t", "unsigned long long", "uint64_t", "int64_t", "long long"}
ADDRESS = {"CUdeviceptr", "CUtexObject", "CUsurfObject", "CUmemGenericAllocationHandle", "CUhostFn", "CUstreamCallback", "CUoccupancyB2DSize", "CUlogsCallback"}
FLOAT = {"float", "double"}
BY_VALUE = {"CUmemLocation": "x", "CUipcMemHandle": "m", "CUipcEventHandle": "m"}  # structures: of 8 bytes, and of 64, which are on the stack
INPUTS = {"params", "extra", "options", "values", "attrs"}  # arrays, though their types may be written to


def typedefs(text):
    """(enumerations, handles) of headers."""
    enums = set(re.findall(r"\}\s*(\w+);", "".join(re.findall(r"enum\b[^;{]*\{[^}]*\}\s*\w+;", text))))
    enums |= set(re.findall(r"typedef\s+enum\s+\w+\s+(\w+);", text))
    for new in re.findall(r"typedef\s+(\w+)\s+(\w+);", text):
        enums |= {new[1]} if new[0] in enums else set()
    for new in re.findall(r"#define\s+(CU\w+)\s+(CU\w+)$", text, re.M):
        enums |= {new[0]} if new[1] in enums else set()
    return enums, set(re.findall(r"typedef\s+struct\s+\w+\s*\*\s*(\w+);", text))


class Headers:
    """Prototypes of our own headers: name -> parameters, each (name, kind)."""

    def __init__(self, paths):
        text = "\n".join(p.read_text() for p in paths)
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        self.enums, self.handles = typedefs(text)
        self.calls = {m[1] or m[2]: " ".join(m[3].split()) for m in FORM.finditer(text)}

    def kind(self, ctype):
        plain = " ".join(w for w in ctype.split() if w != "const")
        if ctype.startswith("const char *") and ctype.count("*") == 1:
            return "s"
        if "*" in ctype or "[" in ctype:
            to = plain.replace("*", "").strip()
            if plain.count("*") != 1:
                return "X" if plain.count("*") == 2 and "const" not in ctype else "x"
            if "const" in ctype:
                return "x"
            return ("I" if to in self.enums or to in SIGNED or to in {"unsigned int", "cuuint32_t"} else "Q" if to in WIDE else
                    "X" if to in ADDRESS or to in self.handles else "x")
        for kind, names in (("i", SIGNED), ("u", UNSIGNED), ("q", WIDE), ("x", ADDRESS), ("x", self.handles), ("f", FLOAT), ("i", self.enums)):
            if plain in names:
                return kind
        return BY_VALUE.get(plain)

    def find(self, name):
        """[(name, kind)], or None where no header has it. A call's first name has what its second one takes."""
        text = self.calls.get(name)
        if text is None:
            text = self.calls.get(re.sub(r"_pt[ds][sz]$", "", name), self.calls.get(name + "_v2"))
        if text is None or text == "void":
            return None if text is None else []
        out = []
        for part in text.split(","):
            m = re.match(r"(.*?)(\w+)(\[\w*\])?$", part.strip())
            kind = self.kind(m[1].strip() + (m[3] or ""))
            kind = "x" if m[2] in INPUTS else kind
            if kind is None:
                raise ValueError("%s: what is a %s?" % (name, m[1].strip()))
            out.append((m[2], kind))
        return out


def header(names, guard):
    lines = [BANNER, "#ifndef %s" % guard, "#define %s" % guard, "", "#ifdef __x86_64__",
             *("#pragma redefine_extname %s pvgpu_%s" % (n, n) for n in sorted(names)), "#endif", "", "#endif", ""]
    return "\n".join(lines)


def thunk(number, name):
    return ("__asm__(\".globl %(n)s\\n.type %(n)s, @function\\n.p2align 4\\n%(n)s:\\n\"\n"
            "\t\".cfi_startproc\\nendbr64\\ncmpb $0, pvgpu_log_on(%%rip)\\njne 1f\\njmp pvgpu_%(n)s\\n\"\n"
            "\t\"1: movl $%(i)d, %%eax\\njmp pvgpu_log_enter\\n.cfi_endproc\\n.size %(n)s, .-%(n)s\\n\");\n" % {"n": name, "i": number})


def source(calls):
    """calls: name -> (parameters, each (name, kind); whether a pointer is returned)."""
    rows = []
    for name, (params, pointer) in sorted(calls.items()):
        words = sum(k not in "fm" for _, k in params)
        stack = max(0, words - REGISTERS) + sum(8 * (k == "m") for _, k in params)
        rows.append("\t{\"%s\", pvgpu_%s, \"%s\", %d, %d},\n" % (
            name, name, " ".join("%s:%s" % p for p in params), stack, pointer))
    return "".join([BANNER, "#include \"log/log.h\"\n\n#ifdef __x86_64__\n", *("void pvgpu_%s(void);\n" % n for n in sorted(calls)),
                    "\nconst struct pvgpu_log_call pvgpu_log_calls[] = {\n", *rows, "};\n\n",
                    "__asm__(\".text\\n.hidden pvgpu_log_on\\n.hidden pvgpu_log_enter\\n\");\n",
                    *(thunk(i, n) for i, n in enumerate(sorted(calls))),
                    "#else\nconst struct pvgpu_log_call pvgpu_log_calls[] = {{0}};\n#endif\n"])


def of_headers(names, headers, without):
    """What source() takes. without: those that need no prototype, since they look at no argument."""
    found = {n: headers.find(n) for n in names}
    for name, params in found.items():
        if params is None and name not in without:
            raise ValueError("%s: no header of ours has its prototype" % name)
    return {n: (params or [], False) for n, params in found.items()}


def of_blocks(calls):
    """The same of calls that are described (docs/calls.md)."""
    kinds = {"i32": "i", "u32": "u", "i64": "q", "u64": "q", "size": "q", "address": "x", "f32": "f", "f64": "f"}

    def kind(p, wide):
        if p.role != "in":
            return "X" if p.role == "new" else "x"
        if p.ctype.endswith("*") or p.ctype == "CUstream" or p.kind == "u64" and p.ctype not in WIDE | ADDRESS:
            return "x"
        return "i" if p.dim and not wide else kinds.get(p.kind, "x")

    return {name: ([(p.name, kind(p, wide)) for p in c.arguments], bool(c.returns and c.returns.endswith("*")))
            for c in calls for name, wide in zip(c.names, (False, True))}
