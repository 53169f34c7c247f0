/* SPDX-License-Identifier: MIT */
/*
 * Matrices that a warp holds in registers: mma, wmma, and the moves between such fragments and
 * memory. A product is computed exactly where a double can hold its sums, and rounded once; a
 * device rounds more often.
 */
#include "tests/simcuda/ptx/exec_matrix.h"

#include <math.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

uint32_t element_bits(enum type t)
{
	switch (t) {
	case TY_B1:
		return 1;
	case TY_U4:
	case TY_S4:
		return 4;
	case TY_E4M3:
	case TY_E5M2:
		return 8;
	default:
		return 8u * type_info[t].bytes;
	}
}

/* Where element e of a lane lies in its matrix. */
struct place {
	u32 row, col;
};

/* The oldest shape: four products of 8 x 8 x 4, each by two groups of four lanes. */
static struct place quad_place(const struct fragment *f, u32 lane, u32 e)
{
	const u32 upper = lane >= 16 ? 4 : 0, own = lane % 4;
	struct place p;

	switch (f->part) {
	case PART_A:
		p = f->is_col ? (struct place){e % 4 + upper, own}
			      : (struct place){own + upper, e % 4};
		return p;
	case PART_B:
		p = f->is_col ? (struct place){e % 4, own + upper}
			      : (struct place){own, e % 4 + upper};
		return p;
	default:
		if (f->type == TY_F16)
			return (struct place){own + upper, e};
		return (struct place){(own & 1) + (e & 2) + upper, (e & 4) + (own & 2) + (e & 1)};
	}
}

/* mma: lanes form eight groups of four. A register has a part of a row of A, or a column of B. */
static struct place group_place(const struct fragment *f, u32 lane, u32 e)
{
	const u32 group = lane / 4, own = lane % 4, bits = element_bits((enum type)f->type);
	const u32 each = bits < 32 ? 32 / bits : 1, r = e / each, k = own * each + e % each;

	switch (f->part) {
	case PART_A:
		return f->rows == 8 ? (struct place){group, k}
				    : (struct place){group + 8 * (r & 1), 4 * each * (r >> 1) + k};
	case PART_B:
		return (struct place){4 * each * r + k, group};
	default:
		return (struct place){group + 8 * (e >> 1), 2 * own + (e & 1)};
	}
}

/* wmma leaves the layout open: rows one after the other, spread over the lanes, and repeated. */
static struct place open_place(const struct fragment *f, u32 lane, u32 e)
{
	const u32 each = f->rows * f->cols / LANES, n = lane * each + e % each;

	return (struct place){n / f->cols, n % f->cols};
}

uint32_t fragment_place(const struct fragment *f, uint32_t lane, uint32_t e)
{
	struct place p = f->layout == LAYOUT_OPEN   ? open_place(f, lane, e)
			 : f->layout == LAYOUT_QUAD ? quad_place(f, lane, e)
						    : group_place(f, lane, e);

	return p.row * f->cols + p.col;
}

/* Element e of each lane, of 32 bits at most: elements follow each other from the lowest bits on.
 */
static void get_bits(const struct warp *w, const struct fragment *f, u32 e, u32 out[LANES])
{
	const u32 bits = element_bits((enum type)f->type), shift = e * bits % 32;
	const u32 keep = (u32)(~0ull >> (64 - bits)), *r = row(w, f->regs[e * bits / 32]);

	for (int l = 0; l < LANES; l++)
		out[l] = r[l] >> shift & keep;
}

static void put_bits(struct warp *w, const struct fragment *f, u32 e, u32 mask, const u32 v[LANES])
{
	const u32 bits = element_bits((enum type)f->type), shift = e * bits % 32;
	const u32 keep = (u32)(~0ull >> (64 - bits)) << shift;
	u32 *r = row(w, f->regs[e * bits / 32]);

	for (int l = 0; l < LANES; l++)
		r[l] = mask >> l & 1 ? (r[l] & ~keep) | (v[l] << shift & keep) : r[l];
}

/* A half's exponent is 112 less than a single's; its infinities and NaNs have the largest one. */
static float half_single(u32 h)
{
	const u32 m = (h & 0x7fff) << 13, sign = (h & 0x8000) << 16;
	u32 v;
	float f;

	memcpy(&f, &m, sizeof(f));
	f *= 0x1p112f;
	memcpy(&v, &f, sizeof(v));
	v = (h & 0x7c00) == 0x7c00 ? m | 0x7f800000u : v;
	v |= sign;
	memcpy(&f, &v, sizeof(f));
	return f;
}

static void to_singles(enum type t, u32 v[LANES], float out[LANES])
{
	switch (t) {
	case TY_F16:
		for (int l = 0; l < LANES; l++)
			out[l] = half_single(v[l]);
		return;
	case TY_E4M3:
	case TY_E5M2:
		for (int l = 0; l < LANES; l++)
			out[l] = fp8_to_float((u8)v[l], t == TY_E4M3);
		return;
	default: /* of tf32 the lower bits are not looked at */
		for (int l = 0; l < LANES; l++)
			v[l] = t == TY_BF16 ? v[l] << 16 : t == TY_TF32 ? v[l] & ~0x1fffu : v[l];
		memcpy(out, v, LANES * sizeof(*v));
	}
}

/* All values of one operand that these lanes hold. */
static void load_floats(const struct warp *w, const struct fragment *f, u32 lanes, double *out)
{
	for (u32 e = 0; e < f->elements; e++) {
		const uint16_t *place = f->places + e * LANES;
		double d[LANES];
		float x[LANES];
		u32 v[LANES];

		if (f->type == TY_F64) {
			memcpy(d, row(w, f->regs[e]), sizeof(d));
		} else {
			get_bits(w, f, e, v);
			to_singles((enum type)f->type, v, x);
			for (int l = 0; l < LANES; l++)
				d[l] = x[l];
		}
		for (int l = 0; l < LANES; l++)
			if (lanes >> l & 1)
				out[place[l]] = d[l];
	}
}

static void load_ints(const struct warp *w, const struct fragment *f, int32_t *out)
{
	const bool is_signed = type_info[f->type].kind == KIND_S;
	const u32 drop = 32 - element_bits((enum type)f->type);

	for (u32 e = 0; e < f->elements; e++) {
		const uint16_t *place = f->places + e * LANES;
		u32 v[LANES];

		get_bits(w, f, e, v);
		for (int l = 0; l < LANES; l++)
			out[place[l]] = is_signed ? (int32_t)(v[l] << drop) >> drop : (int32_t)v[l];
	}
}

static u32 float_bits(enum type t, double d)
{
	float f = (float)d;
	u32 v;

	if (t == TY_F16)
		return d != d ? 0x7fff : double_to_half(d, FLOAT_RN);
	memcpy(&v, &f, sizeof(v));
	return d != d ? 0x7fffffffu : v;
}

static void store_floats(struct warp *w, const struct fragment *f, u32 mask, const double *in)
{
	for (u32 e = 0; e < f->elements; e++) {
		const uint16_t *place = f->places + e * LANES;
		u32 v[LANES];
		u64 v64[LANES];

		for (int l = 0; l < LANES; l++) {
			const double d = in[place[l]];

			memcpy(&v64[l], &d, sizeof(d));
			if (f->type == TY_F64)
				v64[l] = d != d ? 0x7fffffffffffffffull : v64[l];
			else if (mask >> l & 1)
				v[l] = float_bits((enum type)f->type, d);
			else
				v[l] = 0;
		}
		if (f->type == TY_F64)
			put64(row(w, f->regs[e]), v64, mask);
		else
			put_bits(w, f, e, mask, v);
	}
}

/* Eight columns of a row of the product; n: those of b. */
static void dot_singles(const double *a, const double *b, u32 cols, u32 n, double *sum)
{
	double s[8];

	memcpy(s, sum, sizeof(s));
	for (u32 k = 0; k < cols; k++)
		for (u32 i = 0; i < 8; i++)
			s[i] += a[k] * b[k * n + i];
	memcpy(sum, s, sizeof(s));
}

/* The same, in the fused steps of a device. */
static void dot_doubles(const double *a, const double *b, u32 cols, u32 n, double *sum)
{
	for (u32 k = 0; k < cols; k++)
		for (u32 i = 0; i < 8; i++)
			sum[i] = fma(a[k], b[k * n + i], sum[i]);
}

/* Sums begin with C and go along k. */
static void multiply_floats(struct warp *w, const struct matrix_op *m, u32 lanes, u32 mask)
{
	double a[FLOATS_MAX], b[FLOATS_MAX], c[FLOATS_MAX];
	const u32 n = m->b.cols;

	load_floats(w, &m->a, lanes, a);
	load_floats(w, &m->b, lanes, b);
	load_floats(w, &m->c, lanes, c);
	for (u32 r = 0; r < m->a.rows; r++) {
		for (u32 i = 0; i < n; i += 8) {
			if (m->d.type == TY_F64)
				dot_doubles(a + r * m->a.cols, b + i, m->a.cols, n, c + r * n + i);
			else
				dot_singles(a + r * m->a.cols, b + i, m->a.cols, n, c + r * n + i);
		}
	}
	store_floats(w, &m->d, lanes & mask, c);
}

static void dot_ints(const struct matrix_op *m, const int32_t *a, const int32_t *b, int32_t *sum)
{
	const u32 n = m->b.cols;

	memset(sum, 0, n * sizeof(*sum));
	for (u32 k = 0; k < m->a.cols; k++) {
		const int32_t x = a[k], *y = b + k * n;

		if (m->a.type != TY_B1)
			for (u32 i = 0; i < n; i++)
				sum[i] += x * y[i];
		else if (m->is_xor)
			for (u32 i = 0; i < n; i++)
				sum[i] += x ^ y[i];
		else
			for (u32 i = 0; i < n; i++)
				sum[i] += x & y[i];
	}
}

static void multiply_ints(struct warp *w, const struct matrix_op *m, u32 mask)
{
	int32_t a[INTS_MAX], b[INTS_MAX], c[FLOATS_MAX], sum[LANES];
	const u32 n = m->b.cols;

	load_ints(w, &m->a, a);
	load_ints(w, &m->b, b);
	load_ints(w, &m->c, c);
	for (u32 r = 0; r < m->a.rows; r++) {
		dot_ints(m, a + r * m->a.cols, b, sum);
		for (u32 i = 0; i < n; i++) {
			int64_t v = (int64_t)c[r * n + i] + sum[i];

			if (m->satfinite)
				v = v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : v;
			c[r * n + i] = (int32_t)v;
		}
	}
	for (u32 e = 0; e < m->d.elements; e++) {
		u32 v[LANES];

		for (int l = 0; l < LANES; l++)
			v[l] = (u32)c[m->d.places[e * LANES + l]];
		put_bits(w, &m->d, e, mask, v);
	}
}

void finish_mma(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct matrix_op *m = ((const struct sync_op *)i->ptr)->detail;

	if (type_info[m->d.type].kind != KIND_F)
		multiply_ints(w, m, mask);
	else if (m->a.layout != LAYOUT_QUAD)
		multiply_floats(w, m, FULL_MASK, mask);
	else
		for (u32 q = 0; q < 4; q++)
			multiply_floats(w, m, 0x000f000fu << 4 * q, mask);
}

/* ---- fragments and memory ---- */
/* Element e of a lane; rows, or columns, are `stride` elements apart in memory. */
static bool move_element(struct warp *w, const struct matrix_op *m, u32 lane, u32 e, u64 base,
			 u64 stride, u64 *v)
{
	const u32 bits = element_bits((enum type)m->d.type), bytes = bits < 8 ? 1 : bits / 8;
	const u32 at = m->d.places[e * LANES + lane], r = at / m->d.cols, c = at % m->d.cols;
	const u64 n = m->d.is_col ? c * stride + r : r * stride + c;
	u8 *p = guest_place(w, lane, (enum space)m->space, base + n * bits / 8, bytes, m->store);

	if (!p)
		return false;
	if (m->store) {
		memcpy(p, v, bytes);
	} else {
		*v = 0;
		memcpy(v, p, bytes);
		*v >>= n * bits % 8;
	}
	return true;
}

/* wmma.load and wmma.store: the address is the same for all lanes. */
void finish_wmma_move(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct matrix_op *m = ((const struct sync_op *)i->ptr)->detail;
	const bool wide = m->d.type == TY_F64;
	const u32 *stride = row(w, m->stride);
	u64 addr[LANES], v64[LANES] = {0};
	u32 v[LANES] = {0};

	addresses(w, i, &m->at, mask, addr);
	for (u32 e = 0; e < m->d.elements; e++) {
		if (wide)
			memcpy(v64, row(w, m->d.regs[e]), sizeof(v64));
		else
			get_bits(w, &m->d, e, v);
		for (int l = 0; l < LANES; l++) {
			u64 one = wide ? v64[l] : v[l];

			if (!(mask >> l & 1))
				continue;
			if (!move_element(w, m, (u32)l, e, addr[l], stride[l], &one))
				return;
			v64[l] = one;
			v[l] = (u32)one;
		}
		if (wide && !m->store)
			put64(row(w, m->d.regs[e]), v64, mask);
		else if (!m->store)
			put_bits(w, &m->d, e, mask, v);
	}
}

/* ldmatrix and stmatrix: lanes 8n to 8n+7 have the addresses of the rows of matrix n. */
void finish_matrix_move(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct matrix_op *m = ((const struct sync_op *)i->ptr)->detail;
	u16 value[4][8][8];
	u64 addr[LANES];
	u8 *at[4][8];

	addresses(w, i, &m->at, mask, addr);
	for (u32 n = 0; n < m->count * 8; n++) {
		at[n / 8][n % 8] = guest_place(w, n, (enum space)m->space, addr[n], 16, m->store);
		if (!at[n / 8][n % 8])
			return;
		memcpy(value[n / 8][n % 8], at[n / 8][n % 8], 16);
	}
	for (u32 n = mask; n; n &= n - 1) {
		const u32 lane = (u32)__builtin_ctz(n), r = lane / 4, c = lane % 4 * 2;

		for (u32 k = 0; k < m->count; k++) {
			u32 *reg = &((u32 *)row(w, m->regs[k]))[lane];
			u16 *lo = &value[k][m->trans ? c : r][m->trans ? r : c];
			u16 *hi = &value[k][m->trans ? c + 1 : r][m->trans ? r : c + 1];

			if (m->store) {
				*lo = (u16)*reg;
				*hi = (u16)(*reg >> 16);
			} else {
				*reg = *lo | (u32)*hi << 16;
			}
		}
	}
	for (u32 n = 0; n < m->count * 8 && m->store; n++)
		memcpy(at[n / 8][n % 8], value[n / 8][n % 8], 16);
}

/* movmatrix: the matrix of all lanes, transposed. */
void finish_movmatrix(struct warp *w, const struct insn *i, uint32_t mask)
{
	u32 t[LANES];

	for (u32 l = 0; l < LANES; l++) {
		const u32 r = l / 4, c = l % 4 * 2;

		t[l] = 0;
		for (u32 e = 0; e < 2; e++) {
			const u32 from = (c + e) * 4 + r / 2;

			t[l] |= (w->exchange[from] >> (16 * (r & 1)) & 0xffff) << (16 * e);
		}
	}
	put32(row(w, i->d), t, mask);
}
