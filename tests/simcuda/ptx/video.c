/* SPDX-License-Identifier: MIT */
/*
 * The scalar video instructions on whole words: two operands, each signed or not, an operation in
 * enough bits, saturation to the result's type, and a third operand that is added.
 */
#include "tests/simcuda/ptx/parser.h"
#include "tests/simcuda/ptx/exec.h"

enum video { VIDEO_ADD, VIDEO_SUB, VIDEO_ABSDIFF, VIDEO_MIN, VIDEO_MAX, VIDEO_SHL, VIDEO_SHR };

/* In insn.x: the operation, and these. */
#define VIDEO_OP       0xfu
#define VIDEO_SIGNED_A 0x10u
#define VIDEO_SIGNED_B 0x20u
#define VIDEO_SIGNED_D 0x40u
#define VIDEO_SAT      0x80u
#define VIDEO_PLUS     0x100u
#define VIDEO_WRAP     0x200u /* shifts count to 31, not to 32 */

static int64_t widen(uint32_t v, bool is_signed)
{
	return is_signed ? (int32_t)v : (int64_t)v;
}

/* |v| < 2^32. Of a shift by 32 only the sign counts, for saturation: the word becomes 0. */
static int64_t shift_left(int64_t v, int64_t distance)
{
	if (distance < 32)
		return v * (INT64_C(1) << distance);
	return v ? v < 0 ? -(INT64_C(1) << 62) : INT64_C(1) << 62 : 0;
}

static int64_t compute(enum video op, int64_t a, int64_t b)
{
	switch (op) {
	case VIDEO_ADD:
		return a + b;
	case VIDEO_SUB:
		return a - b;
	case VIDEO_ABSDIFF:
		return a > b ? a - b : b - a;
	case VIDEO_MIN:
		return a < b ? a : b;
	case VIDEO_MAX:
		return a > b ? a : b;
	case VIDEO_SHL:
		return shift_left(a, b);
	default:
		return a >> b;
	}
}

static int64_t saturate(int64_t v, bool is_signed)
{
	const int64_t lo = is_signed ? INT32_MIN : 0, hi = is_signed ? INT32_MAX : UINT32_MAX;

	return v < lo ? lo : v > hi ? hi : v;
}

static int op_video(struct warp *w, const struct insn *i, uint32_t mask)
{
	const uint32_t *a = row(w, i->a), *b = row(w, i->b);
	const uint32_t *c = i->x & VIDEO_PLUS ? row(w, i->c) : NULL;
	const enum video op = (enum video)(i->x & VIDEO_OP);
	uint32_t t[LANES];

	for (int l = 0; l < LANES; l++) {
		int64_t v, second = widen(b[l], i->x & VIDEO_SIGNED_B);

		if (op == VIDEO_SHL || op == VIDEO_SHR)
			second = i->x & VIDEO_WRAP ? second & 31 : second > 32 ? 32 : second;
		v = compute(op, widen(a[l], i->x & VIDEO_SIGNED_A), second);
		if (i->x & VIDEO_SAT)
			v = saturate(v, i->x & VIDEO_SIGNED_D);
		t[l] = (uint32_t)v + (c ? c[l] : 0);
	}
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}

/* vadd.dtype.atype.btype{.sat}{.add} d, a, b{, c}; vshl.dtype.atype.u32{.sat}.mode{.add} */
static void decode_video(struct parser *p, struct raw *r, int op)
{
	enum type t[3];
	uint32_t x = (uint32_t)op, d, a, b, c = OPERAND_NONE;

	for (int i = 0; i < 3; i++)
		t[i] = need_type(p, r);
	x |= take(r, "sat") ? VIDEO_SAT : 0;
	x |= take(r, "wrap") ? VIDEO_WRAP : 0;
	take(r, "clamp");
	x |= take(r, "add") ? VIDEO_PLUS : 0;
	done_mods(p, r);
	x |= t[0] == TY_S32 ? VIDEO_SIGNED_D : 0;
	x |= t[1] == TY_S32 ? VIDEO_SIGNED_A : 0;
	x |= t[2] == TY_S32 ? VIDEO_SIGNED_B : 0;
	need_operands(p, r, x & VIDEO_PLUS ? 4 : 3, x & VIDEO_PLUS ? 4 : 3);
	d = dst(p, r, 0, t[0]);
	a = src(p, r, 1, t[1]);
	b = src(p, r, 2, t[2]);
	if (x & VIDEO_PLUS)
		c = src(p, r, 3, t[0]);
	emit3(p, op_video, d, a, b, c)->x = x;
}

const struct opcode opcodes_video[] = {
	{"vadd", decode_video, VIDEO_ADD},         {"vsub", decode_video, VIDEO_SUB},
	{"vabsdiff", decode_video, VIDEO_ABSDIFF}, {"vmin", decode_video, VIDEO_MIN},
	{"vmax", decode_video, VIDEO_MAX},         {"vshl", decode_video, VIDEO_SHL},
	{"vshr", decode_video, VIDEO_SHR},         {NULL, NULL, 0},
};
