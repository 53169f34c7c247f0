# SPDX-License-Identifier: MIT
"""Random kernels in the statements of device.h and host.h: the same text for the GPU and for its model on the CPU."""
import random

U32, U64, F32, F64 = "abcd", "pq", "xy", "z"
SPECIAL = ["0u", "1u", "31u", "32u", "0x7fffffffu", "0x80000000u", "0xffffffffu", "0x8000u", "0xffu"]
NARROW = ["fp8", "fp8_wide", "halves", "halves_rz", "brains", "brains_relu"]
HALVES = ["h_add", "h_sub", "h_mul", "h_sat", "h_fma", "h_relu", "h_min", "h_max_nan", "b_fma", "b_relu", "b_min_nan", "b_max"]
FLOATS = ["0.0f", "(-0.0f)", "1.0f", "(-1.5f)", "0x1p-149f", "0x1p127f", "__builtin_inff()", "3.0e9f", "0.3f"]


class Kernel:
    def __init__(self, rng, number):
        self.r, self.number, self.lines, self.ids = rng, number, [], 0
        self.threads = rng.choice([32, 32, 33, 50, 64, 64, 96])
        self.loops = []  # counters that an expression may use
        self.whole = self.threads % 32 == 0  # all lanes of all warps are there

    # ---- expressions ----
    def u32(self, depth=2):
        r = self.r
        if depth == 0 or r.random() < 0.15:
            return r.choice([f"V({v})" for v in U32] * 3 + ["TID", "LANE", r.choice(SPECIAL) + "", f"{r.randrange(1 << 32)}u"] + self.loops)
        one, two, three = (lambda: self.u32(depth - 1)), self.u32(depth - 1), self.u32(depth - 1)
        kind = r.randrange(12)
        if kind < 4:
            return f"({one()} {r.choice(['+', '-', '*', '&', '|', '^', '+', '*'])} {two})"
        if kind < 7:
            f = r.choice(["udiv", "urem", "sdiv", "srem", "umin", "umax", "smin", "smax", "shl", "shr", "sar", "rotl",
                          "mulhi_u", "mulhi_s", "mul24_u"])
            return f"{f}({one()}, {two})"
        if kind == 7:
            return f"{r.choice(['popc', 'clz', 'brev', '~', '-'])}({one()})"
        if kind == 8:
            return r.choice([f"prmt({one()}, {two}, {three})", f"sad_u({one()}, {two}, {three})",
                             f"({self.cond(depth - 1)} ? {one()} : {two})", f"(u32)(u8)({one()})", f"(u32)(s32)(short)({one()})",
                             f"{r.choice(['bmsk', 'szext', 'pack_s8', 'carried', 'no_borrow'])}({one()}, {two}, {three})",
                             f"{r.choice(HALVES)}({one()}, {two}, {three})",
                             f"bmsk({one()} & 63, {two} & 63, 0u)", f"bits({one()}, {r.randrange(20)}, {r.randrange(1, 12)})", f"sbits({one()}, {r.randrange(20)}, {r.randrange(1, 12)})"])
        if kind == 9:
            return r.choice([f"f2i({self.f32(depth - 1)})", f"f2u({self.f32(depth - 1)})", f"f2i_rn({self.f32(depth - 1)})",
                             f"d2i({self.f64(depth - 1)})", f"{r.choice(NARROW)}({self.f32(depth - 1)}, {self.f32(depth - 1)})", f"fbits({self.f32(depth - 1)})"])
        if kind == 10:
            return r.choice([f"(u32)({self.u64(depth - 1)})", f"(u32)(({self.u64(depth - 1)}) >> 32)", f"popc64({self.u64(depth - 1)})"])
        return f"fn{r.randrange(4)}({one()}, {two})"

    def u64(self, depth=2):
        r = self.r
        if depth == 0 or r.random() < 0.2:
            return r.choice([f"V({v})" for v in U64] * 2 + [f"{r.randrange(1 << 64)}ull", "0x8000000000000000ull"])
        a, b, w = self.u64(depth - 1), self.u64(depth - 1), self.u32(depth - 1)
        return r.choice([f"({a} {r.choice('+-*&|^')} {b})", f"udiv({a}, {b})", f"urem({a}, {b})", f"shl64({a}, {w})", f"shr64({a}, {w})",
                         f"sar64({a}, {w})", f"(u64)({w})", f"(u64)(s64)(s32)({w})", f"umin({a}, {b})", f"umax({a}, {b})",
                         f"dbits({self.f64(depth - 1)})", f"((u64)({w}) * {self.u32(depth - 1)})"])

    def f32(self, depth=2):
        r = self.r
        if depth == 0 or r.random() < 0.2:
            return r.choice([f"V({v})" for v in F32] * 3 + [r.choice(FLOATS), f"number({self.u32(0)})"])
        a, b = self.f32(depth - 1), self.f32(depth - 1)
        return r.choice([f"({a} {r.choice('+-*/')} {b})", f"({a} {r.choice('+-*')} {b})", f"ffma({a}, {b}, {self.f32(depth - 1)})", f"fsqrt({a})",
                         f"ffmin({a}, {b})", f"ffmax({a}, {b})", f"add_rz({a}, {b})", f"mul_rp({a}, {b})", f"mul_rm({a}, {b})", f"sat({a})",
                         f"(-{a})", f"__builtin_fabsf({a})", f"(float)(s32)({self.u32(depth - 1)})", f"(float)({self.u32(depth - 1)})",
                         f"(float)({self.f64(depth - 1)})", f"({self.cond(depth - 1)} ? {a} : {b})", f"(float)({self.u64(depth - 1)})",
                         f"half_of({self.u32(depth - 1)})"])

    def f64(self, depth=2):
        r = self.r
        if depth == 0 or r.random() < 0.25:
            return r.choice(["V(z)", "V(z)", "1.0", "(-0.0)", "0x1p-1074", "1e300"])
        a, b = self.f64(depth - 1), self.f64(depth - 1)
        return r.choice([f"({a} {r.choice('+-*/')} {b})", f"dfma({a}, {b}, {self.f64(depth - 1)})", f"(double)({self.f32(depth - 1)})",
                         f"(double)({self.u32(depth - 1)})", f"(double)(s64)({self.u64(depth - 1)})", f"(-{a})"])

    def cond(self, depth=1):
        r = self.r
        op = r.choice(["<", "<=", ">", ">=", "==", "!="])
        return r.choice([lambda: f"({self.u32(depth)} {op} {self.u32(depth)})", lambda: f"((s32)({self.u32(depth)}) {op} (s32)({self.u32(depth)}))",
                         lambda: f"({self.u32(depth)} & {1 << r.randrange(6)})", lambda: f"(LANE {op} {r.randrange(32)})",
                         lambda: f"({self.f32(depth)} {op} {self.f32(depth)})", lambda: f"({self.u64(depth)} {op} {self.u64(depth)})"])()

    # ---- statements ----
    def new(self):
        self.ids += 1
        return self.ids

    def put(self, text):
        self.lines.append(text)

    def set(self):
        kind = self.r.choice("uuuuffdq")
        if kind == "u":
            self.put(f"SET({self.r.choice(U32)}, {self.u32()})")
        elif kind == "f":
            self.put(f"SET({self.r.choice(F32)}, {self.f32()})")
        elif kind == "d":
            self.put(f"SET(z, {self.f64()})")
        else:
            self.put(f"SET({self.r.choice(U64)}, {self.u64()})")

    def warp(self, k):
        """Lanes of a warp exchange values."""
        r, v = self.r, self.r.choice(U32)
        width = r.choice([32, 32, 16, 8, 4])
        self.put(r.choice([
            f"BALLOT({v}, {k}, {self.cond()})", f"MASK({v}, {k})", f"ELECT({v}, {k})", f"WSYNC({k})", f"MATCH({v}, {k}, {self.u32(1)} & 3)",
            f"VOTE({v}, {k}, {r.choice(['all', 'any', 'uni'])}, {self.cond()})",
            f"REDUX({v}, {k}, {r.choice(['add', 'umin', 'umax', 'and', 'or', 'xor'])}, {self.u32(1)})",
            f"SHFL({v}, {k}, {r.choice(['bfly', 'up', 'down'])}, {self.u32(1)}, {r.randrange(32)}, {width})",
            f"SHFL({v}, {k}, idx, {self.u32(1)}, {self.u32(1)}, {width})"]))

    def shared(self):
        r, v = self.r, self.r.choice(U32)
        options = [f"PUT({self.u32(1)})", f"GET({v}, {self.u32(1)})", f"GET({v}, {self.u32(1)})", f"SUM({v}, {r.randrange(8)})",
                   f"BARRED({v}, {r.choice(['popc', 'and', 'or'])}, {self.cond()})"]
        if self.whole:
            how, back = r.choices(["rows", "columns"], k=2)
            options += [f"MMA({v}, {'bacd'['abcd'.index(v)] if v in 'ab' else 'dc'['cd'.index(v)]}, {self.u32(1)}, {self.u32(1)})"] * 3
            options += [f"STORE_MATRIX({how}, {r.randrange(8)}, {self.u32(1)})\nLOAD_MATRIX({v}, {back}, {self.u32(1)})"] * 2
        self.put(r.choice(options))

    def atom(self):
        self.put(f"ATOM({self.r.choice(['add', 'umin', 'umax', 'and', 'or', 'xor', 'smin', 'smax'])}, {self.u32(1)})")

    def block(self, size, depth, mask):
        """mask: the number of the lanes' mask, None where lanes leave a loop on their own."""
        for _ in range(size):
            pick = self.r.randrange(22)
            if pick < 8 or depth == 0:
                self.set()
            elif pick < 12 and mask is not None:
                self.warp(mask)
            elif pick < 13:
                self.put(self.r.choice([f"PUT({self.u32(1)})", f"PUT({self.u32(1)})", f"COPY({self.r.randrange(4)})"]))
            elif pick < 14:
                self.atom()
            elif pick < 17 and depth == 3:
                self.shared()
            elif pick < 18 and depth == 3:
                self.put(f"RET_IF({self.cond()} && {self.cond()})")
                self.whole = False
            elif pick < 20:
                self.branch(depth, mask)
            else:
                self.loop(depth, mask)

    def branch(self, depth, mask):
        k, both = self.new(), self.r.random() < 0.5
        self.put(f"IF({k}, {mask}, {self.cond()})" if mask is not None else f"PIF({k}, {self.cond()})")
        inner = k if mask is not None else None
        self.block(self.r.randrange(1, 4), depth - 1, inner)
        if both:
            self.put(f"ELSE({k})" if mask is not None else f"PELSE({k})")
            self.block(self.r.randrange(1, 3), depth - 1, inner)
        self.put("END_IF")

    def loop(self, depth, mask):
        k, plain = self.new(), mask is None or self.r.random() < 0.4
        count = self.r.choice([f"({self.u32(1)}) % 5", f"({self.u32(1)}) % 4", "LANE % 3", "3"])
        self.put(f"PLOOP({k}, {count})" if plain else f"LOOP({k}, {mask}, {count})")
        self.loops.append(f"i_{k}")
        for _ in range(self.r.randrange(1, 3)):
            self.block(1, depth - 1, None if plain else k)
            if plain and self.r.random() < 0.4:
                self.put(f"{self.r.choice(['BREAK', 'CONTINUE'])}_IF({k}, {self.cond()})")
        self.loops.pop()
        self.put("END_LOOP")

    def text(self):
        self.put(f"KERNEL({self.number}, {self.threads})")
        self.block(self.r.randrange(5, 10), 3, 0)
        for v in "ab":
            self.put(f"SUM({v}, {self.r.randrange(8)})")
        self.put("END_KERNEL")
        return "\n".join(self.lines) + "\n"


# Functions that kernels call: loops, recursion, memory of the thread's own.
FUNCTIONS = """\
DEV u32 fn0(u32 a, u32 b)
{
	u32 n[8], r = a;

	for (u32 i = 0; i < 8; i++)
		n[i] = a * i + b;
	for (u32 i = 0; i < (b & 7); i++)
		r ^= n[(r + i) & 7];
	return r;
}
DEV u32 fn1(u32 a, u32 b)
{
	return a % 8 < 2 ? b ^ a : fn1(a % 8 - 1, b * 3) + fn1(a % 8 - 2, b + 1);
}
DEV u32 fn2(u32 a, u32 b)
{
	switch (a & 7) {
	case 0:
		return b + 1;
	case 1:
		return b * a;
	case 2:
		return b >> 3;
	case 4:
		return ~b;
	case 5:
		return a - b;
	default:
		return a | b;
	}
}
DEV u32 fn3(u32 a, u32 b)
{
	u32 n = 0;

	while (a != b && n < 6) {
		if (a > b)
			a -= b / 2 + 1;
		else
			b ^= a + n;
		n++;
	}
	return a * 7 + n;
}
"""


def batch(seed, first, count):
    """`count` kernels from number `first` on; a kernel depends on the seed and its number alone."""
    parts = [FUNCTIONS]
    for number in range(first, first + count):
        parts.append(Kernel(random.Random(f"{seed}/{number}"), number).text())
    return "\n".join(parts)
