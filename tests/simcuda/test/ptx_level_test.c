/* SPDX-License-Identifier: MIT */
/* Levels of mipmapped textures: which ones a fetch is of, against formulas in doubles. */
#include "tests/simcuda/test/ptx_case.h"

#include <math.h>

#define LANES  32
#define LEVELS 4
#define SIDE   8 /* of the first level */

static struct ptx_texture texture;
static float *level_at[LEVELS];

static const struct ptx_texture *find(void *arg, uint64_t handle, bool is_surface)
{
	return handle == 1 && !is_surface ? &texture : NULL;
}

static uint32_t side(uint32_t n)
{
	return SIDE >> n;
}

/* Each lane has four floats in `in`, %f0 to %f3, and gives %r8 to %r11 to `out`. */
static void open(struct ptx_world *w, const char *fetch, float **in, uint32_t **out)
{
	static char text[4096];

	snprintf(text, sizeof(text),
		 PTX_HEAD ".visible .entry k(.param .u64 in, .param .u64 out, .param .u64 obj)\n{\n"
			  ".reg .b32 %%r<20>;\n.reg .f32 %%f<8>;\n.reg .b64 %%d<8>;\n"
			  "ld.param.u64 %%d0, [in];\nld.param.u64 %%d1, [out];\n"
			  "ld.param.u64 %%d2, [obj];\nmov.u32 %%r0, %%tid.x;\n"
			  "mul.wide.u32 %%d3, %%r0, 16;\nadd.u64 %%d4, %%d0, %%d3;\n"
			  "add.u64 %%d5, %%d1, %%d3;\n"
			  "ld.global.v4.f32 {%%f0, %%f1, %%f2, %%f3}, [%%d4];\n"
			  "cvt.rzi.s32.f32 %%r7, %%f3;\n%s\n"
			  "st.global.v4.b32 [%%d5], {%%r8, %%r9, %%r10, %%r11};\nret;\n}\n",
		 fetch);
	world_open(w, text);
	w->env.texture = find;
	*in = world_alloc(w, LANES * 16);
	*out = world_alloc(w, LANES * 16);
	world_param_ptr(w, 0, *in);
	world_param_ptr(w, 1, *out);
	world_param_u64(w, 2, 1);
	texture = (struct ptx_texture){.levels = LEVELS,
				       .dims = 2,
				       .texel = PTX_FLOAT,
				       .channels = 1,
				       .is_normalized = true,
				       .most_level = 99,
				       .wrap = {PTX_CLAMP, PTX_CLAMP, PTX_CLAMP}};
	for (uint32_t n = 0; n < LEVELS; n++) {
		level_at[n] = world_alloc(w, (size_t)4 * side(n) * side(n));
		for (uint32_t i = 0; i < side(n) * side(n); i++)
			level_at[n][i] = (float)(100 * n + (i * 37 + 11) % 64);
		texture.level[n] = (struct ptx_level){.base = (uintptr_t)level_at[n],
						      .pitch = 4 * side(n),
						      .size = {side(n), side(n)}};
	}
}

static double texel(uint32_t n, int x, int y)
{
	const int most = (int)side(n) - 1;

	x = x < 0 ? 0 : x > most ? most : x;
	y = y < 0 ? 0 : y > most ? most : y;
	return (double)level_at[n][y * (most + 1) + x];
}

static double of_level(uint32_t n, double x, double y)
{
	double a, b;
	int i, j;

	x *= side(n);
	y *= side(n);
	if (!texture.is_linear)
		return texel(n, (int)floor(x), (int)floor(y));
	i = (int)floor(x - 0.5);
	j = (int)floor(y - 0.5);
	a = x - 0.5 - i;
	b = y - 0.5 - j;
	return (texel(n, i, j) * (1 - a) + texel(n, i + 1, j) * a) * (1 - b) +
	       (texel(n, i, j + 1) * (1 - a) + texel(n, i + 1, j + 1) * a) * b;
}

static double expected(double x, double y, double level)
{
	double lower;

	level += (double)texture.bias;
	if (level < (double)texture.least_level)
		level = (double)texture.least_level;
	if (level > (double)texture.most_level)
		level = (double)texture.most_level;
	if (level < 0)
		level = 0;
	if (level > LEVELS - 1)
		level = LEVELS - 1;
	lower = floor(level);
	if (!texture.mixes_levels)
		return of_level((uint32_t)(level - lower >= 0.5 ? lower + 1 : lower), x, y);
	if (level == lower)
		return of_level((uint32_t)lower, x, y);
	return of_level((uint32_t)lower, x, y) * (1 - (level - lower)) +
	       of_level((uint32_t)lower + 1, x, y) * (level - lower);
}

static void vary(unsigned int n)
{
	static const float bounds[][3] = {{0, 0, 99}, {0.75f, 0, 99},    {-1, 0.5f, 99},
					  {0, 0, 0},  {0, 1.25f, 1.75f}, {2, 3, 1}};
	const float *b = bounds[n / 4 % 6];

	texture.is_linear = n % 2;
	texture.mixes_levels = n / 2 % 2;
	texture.bias = b[0];
	texture.least_level = b[1];
	texture.most_level = b[2];
}

static void close_to(const uint32_t *out, const double want[LANES], unsigned int n)
{
	for (unsigned int l = 0; l < LANES; l++) {
		float got;

		memcpy(&got, &out[4 * l], 4);
		ck_assert_msg(fabs((double)got - want[l]) < 1e-4, "case %u, lane %u: %g, not %g", n,
			      l, (double)got, want[l]);
	}
}

#define D "{%r8, %r9, %r10, %r11}, "

START_TEST(levels_that_are_given)
{
	struct ptx_world w;
	uint32_t *out;
	float *in;

	open(&w, "tex.level.2d.v4.f32.f32 " D "[%d2, {%f0, %f1}], %f2;", &in, &out);
	for (unsigned int n = 0; n < 24 * 4; n++) {
		double want[LANES];

		vary(n);
		for (unsigned int l = 0; l < LANES; l++) {
			const unsigned int k = l + LANES * (n / 24);

			in[4 * l] = (float)(k * 37 % 128) / 128;
			in[4 * l + 1] = (float)(k * 53 % 128) / 128;
			in[4 * l + 2] = (float)(k * 11 % 48) / 8 - 1;
			want[l] = expected((double)in[4 * l], (double)in[4 * l + 1],
					   (double)in[4 * l + 2]);
		}
		world_run_ok(&w);
		close_to(out, want, n);
	}
	/* no number: the least level */
	vary(0);
	texture.least_level = 2;
	for (unsigned int l = 0; l < LANES; l++) {
		in[4 * l] = in[4 * l + 1] = 0.125f;
		in[4 * l + 2] = l % 2 ? NAN : -INFINITY;
	}
	world_run_ok(&w);
	for (unsigned int l = 0; l < LANES; l++)
		ck_assert_mem_eq(&out[4 * l], &level_at[2][0], 4);
	world_close(&w);
}
END_TEST

/* Without a level it is 0, with bias and bounds. */
START_TEST(levels_that_are_not_given)
{
	static const char *const forms[] = {"tex.2d.v4.f32.f32", "tex.base.2d.v4.f32.f32",
					    "tld4.r.2d.v4.f32.f32"};
	char fetch[256];

	for (int f = 0; f < 3; f++) {
		struct ptx_world w;
		uint32_t *out;
		float *in;

		snprintf(fetch, sizeof(fetch), "%s %s[%%d2, {%%f0, %%f1}];", forms[f], D);
		open(&w, fetch, &in, &out);
		for (unsigned int n = 0; n < 24; n++) {
			double want[LANES];

			vary(n);
			if (f == 2) /* the lower left one of four texels */
				texture.is_linear = texture.mixes_levels = false;
			for (unsigned int l = 0; l < LANES; l++) {
				const double x = (double)(l * 37 % 128) / 128;
				const double y = (double)(l * 53 % 128) / 128;

				in[4 * l] = (float)x;
				in[4 * l + 1] = (float)y;
				want[l] = expected(x, y, 0);
				if (f == 2) {
					const double s = expected(0, 0, 0) >= 300   ? 1
							 : expected(0, 0, 0) >= 200 ? 2
							 : expected(0, 0, 0) >= 100 ? 4
										    : 8;

					want[l] = expected(x - 0.5 / s, y + 0.5 / s, 0);
				}
			}
			world_run_ok(&w);
			close_to(out, want, n);
		}
		world_close(&w);
	}
}
END_TEST

/* The longer of two gradients, in texels of the first level, tells the level. */
START_TEST(levels_by_gradients)
{
	static const double angles[] = {0, 0.3, 1.2, 2.5};
	struct ptx_world w;
	uint32_t *out;
	float *in;

	open(&w,
	     "mov.f32 %f4, %f2; mul.f32 %f5, %f2, 0f3E000000; neg.f32 %f6, %f3;\n"
	     "tex.grad.2d.v4.f32.f32 " D "[%d2, {%f0, %f1}], {%f4, %f5}, {%f3, %f6};",
	     &in, &out);
	for (unsigned int n = 0; n < 24 * 4; n++) {
		double want[LANES];

		vary(n & ~2u); /* what is mixed is not exact */
		for (unsigned int l = 0; l < LANES; l++) {
			double x = 19.0 / 64, y = 45.0 / 64, dx, dy, longer, level;

			in[4 * l] = (float)x;
			in[4 * l + 1] = (float)y;
			in[4 * l + 2] = (float)(cos(angles[n % 4]) * pow(2, l % 8) / 20);
			in[4 * l + 3] = (float)(sin(angles[n % 4]) * pow(2, l / 8) / 20);
			dx = (double)in[4 * l + 2] * SIDE * sqrt(1 + 1.0 / 64);
			dy = (double)in[4 * l + 3] * SIDE * sqrt(2);
			longer = fabs(dx) > fabs(dy) ? fabs(dx) : fabs(dy);
			level = log(longer) / log(2);
			/* what lies between two levels may be either */
			if (fabs(level - floor(level) - 0.5) < 0.01 ||
			    fabs(level + 0.75 - floor(level + 0.75) - 0.5) < 0.01) {
				in[4 * l + 2] = in[4 * l + 3] = 0;
				level = -100;
			}
			want[l] = expected(x, y, level);
		}
		world_run_ok(&w);
		close_to(out, want, n);
	}
	world_close(&w);
}
END_TEST

static uint32_t one(const char *insn, uint32_t levels)
{
	struct ptx_world w;
	uint32_t *out, got;
	float *in;

	open(&w, insn, &in, &out);
	texture.levels = levels;
	world_run_ok(&w);
	got = out[0];
	world_close(&w);
	return got;
}

START_TEST(what_is_asked)
{
	ck_assert_uint_eq(one("txq.num_mipmap_levels.b32 %r8, [%d2];", LEVELS), LEVELS);
	ck_assert_uint_eq(one("txq.num_mipmap_levels.b32 %r8, [%d2];", 0), 1);
	ck_assert_uint_eq(one("txq.width.b32 %r8, [%d2];", LEVELS), SIDE);
	ck_assert_uint_eq(one("txq.level.width.b32 %r8, [%d2], 0;", LEVELS), SIDE);
	ck_assert_uint_eq(one("mov.b32 %r7, 2; txq.level.height.b32 %r8, [%d2], %r7;", LEVELS),
			  SIDE / 4);
	ck_assert_uint_eq(one("txq.level.depth.b32 %r8, [%d2], 1;", LEVELS), 0);
	ck_assert_uint_eq(one("txq.level.width.b32 %r8, [%d2], 4;", LEVELS), 0);
	ck_assert_uint_eq(one("txq.level.width.b32 %r8, [%d2], -1;", LEVELS), 0);
}
END_TEST

/* Integers are of one level. */
START_TEST(integers)
{
	struct ptx_world w;
	uint32_t *out;
	float *in;

	open(&w, "tex.level.2d.v4.u32.f32 " D "[%d2, {%f0, %f1}], %f2;", &in, &out);
	texture.texel = PTX_U32;
	texture.mixes_levels = true;
	for (unsigned int l = 0; l < LANES; l++)
		in[4 * l + 2] = (float)l / LANES * 3;
	world_run_ok(&w);
	for (unsigned int l = 0; l < LANES; l++)
		ck_assert_mem_eq(&out[4 * l], level_at[(int)round(l * 3.0 / LANES)], 4);
	world_close(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_level");
	TCase *t = tcase_create("levels");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, levels_that_are_given);
	tcase_add_test(t, levels_that_are_not_given);
	tcase_add_test(t, levels_by_gradients);
	tcase_add_test(t, what_is_asked);
	tcase_add_test(t, integers);
	suite_add_tcase(s, t);
	return run_suite(s);
}
