# SPDX-License-Identifier: MIT
"""pvgpu_keys.h and .c: enumerations, the table of keys, typed accessors, state machines."""
import json
from describe import permissions
import values

BANNER = "/* SPDX-License-Identifier: MIT */\n/* Made by xenstore-schema/gen/schema.py from pvgpu.schema; do not edit. */\n"

HEAD = """#ifndef PVGPU_KEYS_H
#define PVGPU_KEYS_H

#include "xenstore-schema/values.h"

/*
 * For each key: pvgpu_TREE_KEY_parse(text, len, &out, err) and pvgpu_TREE_KEY_format(value, buf, cap, err), with the
 * rules of values.h. text NULL: the key is missing. err: NULL, or PVGPU_KEY_ERROR bytes.
 */
"""

C_TYPES = {"u32": "uint32_t", "domid": "uint32_t", "u64": "uint64_t", "size": "uint64_t", "bool": "bool", "flags": "uint64_t",
           "share": "uint32_t"}
STRUCTS = {"range": "struct pvgpu_range", "uuid": "struct pvgpu_uuid", "text": "struct pvgpu_text", "refs": "struct pvgpu_refs",
           "path": "struct pvgpu_ids", "message": "struct pvgpu_message"}


def ident(name):
    return name.replace("-", "_").replace("/", "_")


def const(name):
    return ident(name).upper()


def number(value):
    return "%d" % value if value < 1 << 31 else "0x%xull" % value


def string(text):
    return '"%s"' % text


def c_type(thing):
    if thing.type == "enum":
        return "enum pvgpu_" + ident(thing.of.name)
    return C_TYPES.get(thing.type) or STRUCTS[thing.type]


# ---- header

def names_h(names):
    lines = ["/* %s */" % names.doc]
    if names.flags:
        lines += ["#define PVGPU_%s_%s (1ull << %d) /* %s */" % (const(names.name), const(v.name), v.number, v.doc)
                  for v in names.values.values()]
    else:
        lines += ["enum pvgpu_%s {" % ident(names.name)]
        lines += ["\tPVGPU_%s_%s = %d, /* %s */" % (const(names.name), const(v.name), v.number, v.doc) for v in names.values.values()]
        lines += ["};"]
    return lines + ["extern const struct pvgpu_names pvgpu_%s_names;" % ident(names.name), ""]


def record_h(key):
    lines = ["struct pvgpu_%s {" % ident(key.full)]
    lines += ["\t%s %s; /* %s */" % (c_type(f), ident(f.name), f.doc) for f in key.fields]
    return lines + ["};"]


def prototypes(key):
    name = "pvgpu_" + ident(key.full)
    if key.type == "record":
        out, value = "struct %s *out" % name, "const struct %s *v" % name
    elif key.type in STRUCTS:
        out, value = c_type(key) + " *out", "const %s *v" % c_type(key)
    else:
        out, value = c_type(key) + " *out", c_type(key) + " v"
    return ("int %s_parse(const char *text, size_t len, %s, char *err)" % (name, out),
            "int %s_format(%s, char *buf, size_t cap, char *err)" % (name, value))


def key_h(key):
    lines = ["/* %s: %s */" % (key.full, values.allowed(key))]
    if key.type == "record":
        lines += record_h(key)
    return lines + [p + ";" for p in prototypes(key)]


def keys_h(schema):
    lines = [BANNER + HEAD]
    lines += ["#define PVGPU_SCHEMA_VERSION %d" % schema.version, ""]
    for names in schema.names.values():
        lines += names_h(names)
    lines += ["enum pvgpu_tree_id {"]
    lines += ["\tPVGPU_TREE_%s, /* %s */" % (const(t.name), t.path) for t in schema.trees.values()]
    lines += ["};", "#define PVGPU_TREES %d" % len(schema.trees), "extern const struct pvgpu_tree pvgpu_trees[PVGPU_TREES];", ""]
    lines += ["enum pvgpu_key_id {"]
    lines += ["\tPVGPU_KEY_%s," % const(k.full) for k in schema.keys.values()]
    lines += ["};", "#define PVGPU_KEYS %d" % len(schema.keys), "extern const struct pvgpu_key pvgpu_keys[PVGPU_KEYS];", ""]
    for key in schema.keys.values():
        if key.kernel:
            lines += key_h(key)
    lines += ["", "#ifndef __KERNEL__"]
    for key in schema.keys.values():
        if not key.kernel:
            lines += key_h(key)
    lines += ["#endif", ""]
    for name in schema.machines:
        lines += ["/* May the %s go from one state to another while the other end is in that state? */" % name, may_move(name) + ";"]
    return "\n".join(lines + ["", "#endif"]) + "\n"


def may_move(name):
    states = "enum pvgpu_state "
    return "bool pvgpu_%s_may_move(%sfrom, %sto, %sother, bool resuming)" % (ident(name), states, states, states)


# ---- source

def names_c(names):
    name = "pvgpu_%s_names" % ident(names.name)
    lines = ["static const struct pvgpu_name %s_v[] = {" % ident(names.name)]
    lines += ["\t{%s, %d}," % (string(v.name), v.number) for v in names.values.values()]
    lines += ["};", "const struct pvgpu_names %s = {%s_v, %d, %s};" % (
        name, ident(names.name), len(names.values), "true" if names.as_number else "false"), ""]
    return lines


def tree_c(tree):
    return ["\t{.name = %s," % string(tree.name), "\t .path = %s," % string(tree.path), "\t .owner = PVGPU_%s," % tree.owner.upper(),
            "\t .per_vgpu = %s," % ("true" if tree.per_vgpu else "false"), "\t USER(.doc = %s)}," % string(tree.doc)]


def fields_c(key):
    lines = ["static const struct pvgpu_field %s_fields[] = {" % ident(key.full)]
    for f in key.fields:
        lines += ["\t{.name = %s, .def = %s, .type = PVGPU_TYPE_%s," % (string(f.name), string(f.default), f.type.upper())]
        if f.of:
            lines += ["\t .names = &pvgpu_%s_names," % ident(f.of.name)]
        lines += ["\t .min = %s, .max = %s, .allowed = %s," % (number(f.lo), number(f.hi), string(values.allowed(f))),
                  "\t .doc = %s, .live = %s,%s" % (string(f.doc), "true" if f.live else "false", " .zero = true," * f.zero),
                  "\t .offset = offsetof(struct pvgpu_%s, %s), .size = sizeof(%s)}," % (ident(key.full), ident(f.name), c_type(f))]
    return lines + ["};", "_Static_assert(sizeof(%s_fields) / sizeof(%s_fields[0]) <= PVGPU_FIELDS_MAX, \"fields\");" % (
        ident(key.full), ident(key.full)), ""]


def bits(domains):
    return " | ".join("PVGPU_DOMAIN_BIT(PVGPU_%s)" % d.upper() for d in domains) or "0"


def state_bits(schema, states):
    if states is None:
        return "0"
    if not states:
        return "PVGPU_NEEDED_ALWAYS"
    return " | ".join("1u << PVGPU_STATE_%s" % const(s) for s in states)


def key_c(schema, key):
    lines = ["\t[PVGPU_KEY_%s] = {" % const(key.full),
             "\t\t.tree = &pvgpu_trees[PVGPU_TREE_%s], .name = %s, .type = PVGPU_TYPE_%s, .since = %d," % (
                 const(key.tree.name), string(key.name), key.type.upper(), key.since),
             "\t\t.allowed = %s," % string(values.allowed(key))]
    if key.default is not None:
        lines.append("\t\t.def = %s," % string(key.default))
    if key.type in ("enum", "flags"):
        lines.append("\t\t.names = &pvgpu_%s_names," % ident(key.of.name))
    if key.type == "path":
        lines.append("\t\t.target = &pvgpu_trees[PVGPU_TREE_%s]," % const(key.of.name))
    lines += ["\t\t.min = %s, .max = %s, .needed = %s,%s" % (number(key.lo), number(key.hi), state_bits(schema, key.needed),
                                                       " .zero = true," * key.zero),
              "\t\t.owner = PVGPU_%s, .writers = %s, .readers = %s," % (key.owner.upper(), bits(key.writers), bits(key.readers()))]
    if key.type == "record":
        lines.append("\t\tUSER(.fields = %s_fields, .nfields = %d,)" % (ident(key.full), len(key.fields)))
    return lines + ["\t\tUSER(.doc = %s, .example = %s)" % (string(key.doc), string(key.example)), "\t},"]


def accessors(key):
    parse, form = prototypes(key)
    of = "&pvgpu_keys[PVGPU_KEY_%s]" % const(key.full)
    if key.type == "record":
        n = len(key.fields)
        return [parse, "{", "\tuint64_t v[%d];" % n, "\tint ret = pvgpu_record_parse(%s, text, len, v, err);" % of, "",
                "\tfor (uint32_t i = 0; !ret && i < %d; i++)" % n, "\t\tpvgpu_field_put(&%s_fields[i], out, v[i]);" % ident(key.full),
                "\treturn ret;", "}", "", form, "{", "\tuint64_t values[%d];" % n, "",
                "\tfor (uint32_t i = 0; i < %d; i++)" % n, "\t\tvalues[i] = pvgpu_field_get(&%s_fields[i], v);" % ident(key.full),
                "\treturn pvgpu_record_format(%s, values, buf, cap, err);" % of, "}", ""]
    if key.type in STRUCTS or key.type == "flags":
        return [parse, "{", "\treturn pvgpu_%s_parse(%s, text, len, out, err);" % (key.type, of), "}", "",
                form, "{", "\treturn pvgpu_%s_format(%s, v, buf, cap, err);" % (key.type, of), "}", ""]
    return [parse, "{", "\tuint64_t v;", "\tint ret = pvgpu_number_parse(%s, text, len, &v, err);" % of, "", "\tif (!ret)",
            "\t\t*out = (%s)v;" % c_type(key), "\treturn ret;", "}", "",
            form, "{", "\treturn pvgpu_number_format(%s, v, buf, cap, err);" % of, "}", ""]


def machine_c(schema, name, moves):
    every = (1 << len(schema.names["state"].values)) - 1
    lines = ["static const struct pvgpu_move %s_moves[] = {" % ident(name)]
    for m in moves:
        when = "0x%x" % every if m.when is None else state_bits(schema, m.when)
        for source in m.sources:
            lines.append("\t{PVGPU_STATE_%s, PVGPU_STATE_%s, %s, %s}," % (
                const(source), const(m.target), "true" if m.way == "resume" else "false", when))
    return lines + ["};", "", may_move(name), "{",
                    "\treturn pvgpu_may_move(%s_moves, sizeof(%s_moves) / sizeof(%s_moves[0]), from, to, other, resuming);" % (
                        (ident(name),) * 3), "}", ""]


def keys_c(schema):
    lines = [BANNER + '#include "pvgpu_keys.h"', "", "#ifdef __KERNEL__", "#define USER(...)", "#else", "#define USER(...) __VA_ARGS__",
             "#endif", ""]
    for names in schema.names.values():
        lines += names_c(names)
    lines += ["const struct pvgpu_tree pvgpu_trees[PVGPU_TREES] = {"]
    for tree in schema.trees.values():
        lines += tree_c(tree)
    lines += ["};", "", "#ifndef __KERNEL__"]
    for key in schema.keys.values():
        if key.type == "record":
            lines += fields_c(key)
    lines += ["#endif", "", "const struct pvgpu_key pvgpu_keys[PVGPU_KEYS] = {"]
    for key in schema.keys.values():
        lines += key_c(schema, key)
    lines += ["};", ""]
    for kernel in (True, False):
        lines += [] if kernel else ["#ifndef __KERNEL__"]
        for key in schema.keys.values():
            if key.kernel == kernel:
                lines += accessors(key)
    lines += ["#endif", ""]
    for name, moves in schema.machines.items():
        lines += machine_c(schema, name, moves)
    return "\n".join(lines).rstrip() + "\n"


# ---- for tools in other languages

def keys_json(schema):
    table = [{
        "path": k.tree.path + "/" + k.name, "tree": k.tree.name, "name": k.name, "type": k.type, "allowed": values.allowed(k),
        "writers": k.writers, "owner": k.owner, "readers": k.readers(), "perms": k.perms(),
        "needed": "always" if k.needed == [] else k.needed,
        "default": k.default, "since": k.since, "example": k.example, "doc": k.doc,
        "fields": [{"name": f.name, "type": f.type, "min": f.lo, "max": f.hi, "default": f.default, "since": f.since, "live": f.live,
                    "doc": f.doc}
                   for f in k.fields],
    } for k in schema.keys.values()]
    trees = [{"name": t.name, "path": t.path, "owner": t.owner, "perms": permissions(t.owner, t.others(t.owner))}
             for t in schema.trees.values()]
    return json.dumps({"version": schema.version, "trees": trees, "keys": table}, indent=1) + "\n"
