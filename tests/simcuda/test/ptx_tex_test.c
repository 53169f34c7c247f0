/* SPDX-License-Identifier: MIT */
/* Textures and surfaces, against the filtering formulas of the CUDA programming guide. */
#include "tests/simcuda/test/ptx_case.h"

#include <math.h>

#define LANES 32

struct objects {
	struct ptx_texture tex, surface;
};
static struct objects objects;

static const struct ptx_texture *find(void *arg, uint64_t handle, bool is_surface)
{
	if (handle != 1)
		return NULL;
	return is_surface ? &objects.surface : &objects.tex;
}

/* Each lane has three coordinates and a layer in `in`, and gives four words to `out`. */
static void open(struct ptx_world *w, const char *fetch, float **in, uint32_t **out)
{
	static char text[4096];

	snprintf(text, sizeof(text),
		 PTX_HEAD ".visible .entry k(.param .u64 in, .param .u64 out, .param .u64 obj)\n{\n"
			  ".reg .b16 %%h<8>;\n.reg .b32 %%r<20>;\n.reg .f32 %%f<8>;\n"
			  ".reg .b64 %%d<20>;\n"
			  "ld.param.u64 %%d0, [in];\nld.param.u64 %%d1, [out];\n"
			  "ld.param.u64 %%d2, [obj];\nmov.u32 %%r0, %%tid.x;\n"
			  "mul.wide.u32 %%d3, %%r0, 16;\nadd.u64 %%d4, %%d0, %%d3;\n"
			  "add.u64 %%d5, %%d1, %%d3;\n"
			  "ld.global.v4.f32 {%%f0, %%f1, %%f2, %%f3}, [%%d4];\n"
			  "cvt.rzi.s32.f32 %%r4, %%f0;\ncvt.rzi.s32.f32 %%r5, %%f1;\n"
			  "cvt.rzi.s32.f32 %%r6, %%f2;\ncvt.rzi.s32.f32 %%r7, %%f3;\n"
			  "mov.b32 %%r8, 0;\nmov.b32 %%r9, 0;\nmov.b32 %%r10, 0;\n"
			  "mov.b32 %%r11, 0;\n%s\n"
			  "st.global.v4.b32 [%%d5], {%%r8, %%r9, %%r10, %%r11};\nret;\n}\n",
		 fetch);
	world_open(w, text);
	w->env.texture = find;
	*in = world_alloc(w, LANES * 16);
	*out = world_alloc(w, LANES * 16);
	world_param_ptr(w, 0, *in);
	world_param_ptr(w, 1, *out);
	world_param_u64(w, 2, 1);
}

/* Texels of bytes, 10 * y + x + 50 * z, with a second channel that is twice as much. */
static void fill(struct ptx_world *w, uint32_t nx, uint32_t ny, uint32_t nz, uint32_t channels)
{
	uint8_t *mem = world_alloc(w, (size_t)64 * ny * nz);

	for (uint32_t z = 0; z < nz; z++)
		for (uint32_t y = 0; y < ny; y++)
			for (uint32_t i = 0; i < nx * channels; i++)
				mem[64 * (z * ny + y) + i] =
					(uint8_t)((10 * y + i / channels + 50 * z) *
						  (1 + i % channels));
	objects.tex = (struct ptx_texture){.base = (uintptr_t)mem,
					   .pitch = 64,
					   .slice = (uint64_t)64 * ny,
					   .size = {nx, ny, nz},
					   .dims = nz > 1   ? 3
						   : ny > 1 ? 2
							    : 1,
					   .texel = PTX_U8,
					   .channels = channels,
					   .wrap = {PTX_CLAMP, PTX_CLAMP, PTX_CLAMP}};
}

/* By walking, back and forth. */
static int64_t mirrored(int64_t k, int64_t size)
{
	int64_t i = 0, step = 1;

	if (k < 0)
		k = -1 - k;
	for (; k; k--) {
		if (i + step < 0 || i + step == size)
			step = -step;
		else
			i += step;
	}
	return i;
}

static double at(const struct ptx_texture *t, int64_t i, int64_t j)
{
	int64_t k[2] = {i, j};

	for (int n = 0; n < 2; n++) {
		const int64_t size = t->size[n];

		if (k[n] >= 0 && k[n] < size)
			continue;
		if (t->wrap[n] == PTX_BORDER)
			return (double)t->border[0];
		if (t->wrap[n] == PTX_WRAP && t->is_normalized)
			k[n] = (k[n] % size + size) % size;
		else if (t->wrap[n] == PTX_MIRROR && t->is_normalized)
			k[n] = mirrored(k[n], size);
		else
			k[n] = k[n] < 0 ? 0 : size - 1;
	}
	return ((const uint8_t *)(uintptr_t)t->base)[k[1] * 64 + k[0] * (int64_t)t->channels] /
	       255.0;
}

static double expect_2d(const struct ptx_texture *t, double x, double y)
{
	double a, b;
	int64_t i, j;

	if (t->is_normalized) {
		x *= t->size[0];
		y *= t->size[1];
	}
	if (!t->is_linear)
		return at(t, (int64_t)floor(x), (int64_t)floor(y));
	x -= 0.5;
	y -= 0.5;
	i = (int64_t)floor(x);
	j = (int64_t)floor(y);
	a = floor((x - (double)i) * 256 + 0.5) / 256;
	b = floor((y - (double)j) * 256 + 0.5) / 256;
	return (1 - a) * (1 - b) * at(t, i, j) + a * (1 - b) * at(t, i + 1, j) +
	       (1 - a) * b * at(t, i, j + 1) + a * b * at(t, i + 1, j + 1);
}

START_TEST(fetches_of_two_dimensions)
{
	static const enum ptx_wrap wraps[] = {PTX_WRAP, PTX_CLAMP, PTX_MIRROR, PTX_BORDER};
	struct ptx_world w;
	uint32_t *out;
	float *in;

	open(&w, "tex.2d.v4.f32.f32 {%r8, %r9, %r10, %r11}, [%d2, {%f0, %f1}];", &in, &out);
	fill(&w, 7, 5, 1, 1);
	for (unsigned int n = 0; n < 16 * 8; n++) {
		objects.tex.wrap[0] = wraps[n % 4];
		objects.tex.wrap[1] = wraps[n / 4 % 4];
		objects.tex.is_linear = n / 16 % 2;
		objects.tex.is_normalized = n / 32 % 2;
		objects.tex.border[0] = 0.75f;
		for (unsigned int l = 0; l < LANES; l++) {
			/* multiples of 1/64: the sums are exact, and no place is in doubt */
			const float f = objects.tex.is_normalized ? 8 : 1;

			in[4 * l] = ((float)((l * 37 + n) % 1280) / 64 - 6) / f;
			in[4 * l + 1] = ((float)((l * 53 + 3 * n) % 1280) / 64 - 7) / f;
		}
		world_run_ok(&w);
		for (unsigned int l = 0; l < LANES; l++) {
			const double want =
				expect_2d(&objects.tex, (double)in[4 * l], (double)in[4 * l + 1]);
			float got;

			memcpy(&got, &out[4 * l], 4);
			ck_assert_msg(fabs((double)got - want) < 1e-6,
				      "case %u, (%g, %g): %g, not %g", n, (double)in[4 * l],
				      (double)in[4 * l + 1], (double)got, want);
			ck_assert_uint_eq(out[4 * l + 1], 0);
		}
	}
	world_close(&w);
}
END_TEST

static void words(const char *fetch, const float at4[4], const uint32_t want[4])
{
	struct ptx_texture keep = objects.tex;
	struct ptx_world w;
	uint8_t *mem;
	uint32_t *out;
	float *in;

	open(&w, fetch, &in, &out);
	mem = world_alloc(&w, 4096);
	memcpy(mem, (const void *)(uintptr_t)keep.base, 4096);
	objects.tex.base = (uintptr_t)mem;
	for (unsigned int l = 0; l < LANES; l++)
		memcpy(&in[4 * l], at4, 16);
	world_run_ok(&w);
	for (int c = 0; c < 4; c++)
		ck_assert_msg(out[c] == want[c], "%s: word %d is %#x, not %#x", fetch, c, out[c],
			      want[c]);
	world_close(&w);
	objects.tex = keep;
}

#define WORDS(fetch, x, y, z, layer, ...)                                                          \
	words(fetch, (const float[4]){x, y, z, layer}, (const uint32_t[4]){__VA_ARGS__})
#define D "{%r8, %r9, %r10, %r11}, "

static uint32_t bits(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof(u));
	return u;
}

START_TEST(geometries)
{
	static uint8_t mem[4096] __attribute__((aligned(256)));
	struct ptx_texture *t = &objects.tex;

	for (int i = 0; i < 4096; i++)
		mem[i] = (uint8_t)(i % 64 + 16 * (i / 64));
	*t = (struct ptx_texture){.base = (uintptr_t)mem,
				  .pitch = 64,
				  .slice = 64,
				  .size = {20, 3, 0},
				  .dims = 1,
				  .layered = true,
				  .texel = PTX_U8,
				  .channels = 1,
				  .as_integer = true,
				  .wrap = {PTX_CLAMP, PTX_CLAMP, PTX_CLAMP}};
	WORDS("tex.a1d.v4.u32.f32 " D "[%d2, {%r7, %f0}];", 4.9f, 0, 0, 2, 36, 0, 0, 1);
	WORDS("tex.level.a1d.v4.u32.f32 " D "[%d2, {%r7, %f0}], %f3;", 4.9f, 0, 0, 2, 36, 0, 0, 1);
	WORDS("tex.a1d.v4.u32.f32 " D "[%d2, {%r7, %f0}];", 99, 0, 0, 7, 51, 0, 0, 1);
	WORDS("tex.a1d.v4.s32.s32 " D "[%d2, {%r7, %r4}];", 5, 0, 0, 1, 21, 0, 0, 1);
	t->layered = false;
	WORDS("tex.1d.v4.u32.s32 " D "[%d2, {%r4}];", 19, 0, 0, 0, 19, 0, 0, 1);
	WORDS("tex.1d.v4.u32.s32 " D "[%d2, %r4];", -3, 0, 0, 0, 0, 0, 0, 1);
	WORDS("tex.level.1d.v4.u32.f32 " D "[%d2, {%f0}], %f3;", 19.5f, 0, 0, 0, 19, 0, 0, 1);
	t->is_buffer = true;
	WORDS("tex.1d.v4.u32.s32 " D "[%d2, {%r4}];", -3, 0, 0, 0, 0, 0, 0, 0);
	WORDS("tex.1d.v4.u32.s32 " D "[%d2, {%r4}];", 20, 0, 0, 0, 0, 0, 0, 0);
	t->is_buffer = false;
	t->dims = 3;
	t->slice = 128;
	t->size[0] = 4;
	t->size[1] = 2;
	t->size[2] = 3;
	t->channels = 4;
	WORDS("tex.3d.v4.u32.f32 " D "[%d2, {%f0, %f1, %f2, %f2}];", 1, 1, 2, 0, 84, 85, 86, 87);
	WORDS("tex.level.3d.v4.u32.f32 " D "[%d2, {%f0, %f1, %f2, %f2}], %f3;", 1, 1, 2, 0, 84, 85,
	      86, 87);
	t->dims = 2;
	t->layered = true;
	WORDS("tex.a2d.v4.u32.f32 " D "[%d2, {%r7, %f0, %f1, %f1}];", 3, 1, 0, 1, 60, 61, 62, 63);
	WORDS("tex.level.a2d.v4.s32.f32 " D "[%d2, {%r7, %f0, %f1, %f1}], %f2;", 3, 1, 0, 1, 60, 61,
	      62, 63);
	t->layered = false;
	WORDS("tex.level.2d.v4.s32.f32 " D "[%d2, {%f0, %f1}], %f2;", 3, 1, 0, 0, 28, 29, 30, 31);
	t->as_integer = false;
	WORDS("tex.level.2d.v4.f32.f32 " D "[%d2, {%f0, %f1}], %f2;", 0, 0, 0, 0, 0,
	      bits(1 / 255.0f), bits(2 / 255.0f), bits(3 / 255.0f));
	WORDS("tex.2d.v4.f32.f32 " D "[%d2, {%f0, %f1}];", 0, 0, 0, 0, 0, bits(1 / 255.0f),
	      bits(2 / 255.0f), bits(3 / 255.0f));
	t->texel = PTX_S8;
	mem[0] = 0x80;
	mem[1] = 0x7f;
	WORDS("tex.2d.v4.f32.f32 " D "[%d2, {%f0, %f1}];", 0, 0, 0, 0, bits(-1), bits(1),
	      bits(2 / 127.0f), bits(3 / 127.0f));
	t->as_integer = true;
	WORDS("tex.2d.v4.s32.f32 " D "[%d2, {%f0, %f1}];", 0, 0, 0, 0, 0xffffff80, 127, 2, 3);
	t->texel = PTX_U32;
	t->as_integer = false; /* 32-bit integers stay as they are */
	t->channels = 2;
	t->is_linear = true;
	WORDS("tex.2d.v4.u32.f32 " D "[%d2, {%f0, %f1}];", 1, 0, 0, 0, 0x0b0a0908, 0x0f0e0d0c, 0,
	      1);
	t->texel = PTX_U8;
	t->as_integer = true; /* (0x80 + 3 * 8) / 4 */
	t->channels = 1;
	mem[0] = 0x80;
	mem[1] = 8;
	WORDS("tex.2d.v4.u32.f32 " D "[%d2, {%f0, %f1}];", 1.25f, 0.5f, 0, 0, 38, 0, 0, 1);
	mem[1] = 0x7f;
	t->as_integer = false;
	t->channels = 2;
	t->texel = PTX_HALF;
	t->is_linear = false;
	memcpy(mem, "\x00\x38\x00\xbc", 4);
	WORDS("tex.2d.v4.f32.f32 " D "[%d2, {%f0, %f1}];", 0, 0, 0, 0, bits(0.5f), bits(-1), 0,
	      bits(1));
	WORDS("txq.width.b32 %r8, [%d2]; txq.height.b32 %r9, [%d2]; txq.depth.b32 %r10, [%d2];", 0,
	      0, 0, 0, 4, 2, 0, 0);
}
END_TEST

START_TEST(surfaces)
{
	struct ptx_texture *t = &objects.surface;
	struct ptx_world w;
	uint32_t *out;
	uint8_t *mem;
	float *in;

	open(&w,
	     "suld.b.2d.v2.b32.trap {%r8, %r9}, [%d2, {%r4, %r5}];\n"
	     "suld.b.2d.b8.zero %h0, [%d2, {-1, %r5}]; cvt.u32.u16 %r10, %h0;\n"
	     "suld.b.2d.b32.clamp %r11, [%d2, {99, 77}];\n"
	     "add.u32 %r12, %r0, 1000; mul.lo.u32 %r13, %r0, 4;\n"
	     "sust.b.2d.b32.zero [%d2, {%r13, 2}], %r12;\n"
	     "sust.b.2d.v2.b32.clamp [%d2, {0, -5}], {7, 8};\n"
	     "suq.width.b32 %r14, [%d2]; add.u32 %r11, %r11, %r14;\n",
	     &in, &out);
	mem = world_alloc(&w, 64 * 3);
	for (int i = 0; i < 64 * 3; i++)
		mem[i] = (uint8_t)i;
	*t = (struct ptx_texture){.base = (uintptr_t)mem,
				  .pitch = 64,
				  .size = {8, 3, 0},
				  .dims = 2,
				  .texel = PTX_U16,
				  .channels = 2};
	for (unsigned int l = 0; l < LANES; l++) {
		in[4 * l] = (float)(l % 4 * 8);
		in[4 * l + 1] = 1;
	}
	world_run_ok(&w);
	for (unsigned int l = 0; l < LANES; l++) {
		uint32_t want[4];

		for (int i = 0; i < 2; i++) {
			const uint32_t b = 64 + l % 4 * 8 + 4 * (uint32_t)i;

			want[i] = b | (b + 1) << 8 | (b + 2) << 16 | (b + 3) << 24;
		}
		want[2] = 0;
		want[3] = 0x9f9e9d9c + 8;
		ck_assert_mem_eq(&out[4 * l], want, 16);
	}
	for (uint32_t i = 0; i < 8; i++) {
		uint32_t v;

		memcpy(&v, mem + 128 + (size_t)4 * i, 4);
		ck_assert_uint_eq(v, 1000 + i);
	}
	ck_assert_uint_eq(mem[128 + 32], 160); /* beyond the row: nothing */
	ck_assert_uint_eq(mem[0], 7);
	ck_assert_uint_eq(mem[4], 8);
	world_close(&w);
}
END_TEST

/* Each type, alone and as a vector, in each geometry: stored, loaded again, and where it lies. */
static const struct geometry {
	const char *name, *at;
	uint32_t dims;
	bool layered;
} geometries_of[] = {{"1d", "{%r4}", 1, false},
		     {"2d", "{%r4, %r5}", 2, false},
		     {"3d", "{%r4, %r5, %r6, %r6}", 3, false},
		     {"a1d", "{%r7, %r4}", 1, true},
		     {"a2d", "{%r7, %r4, %r5, %r5}", 2, true}};
#define GEOMETRIES ((int)CASE_COUNT(geometries_of))

static void open_surface(struct ptx_world *w, const struct geometry *g, const char *insn,
			 uint8_t **mem, uint32_t **out)
{
	float *in;

	open(w, insn, &in, out);
	*mem = world_alloc(w, 64 * 8 * 4);
	/* texels of 16 bytes */
	objects.surface =
		(struct ptx_texture){.base = (uintptr_t)*mem,
				     .pitch = g->dims > 1 ? 64 : 64 * 8,
				     .slice = 64 * 8,
				     .size = {4, g->dims > 1 ? 8 : 0, g->dims > 2 ? 4 : 0},
				     .dims = g->dims,
				     .layered = g->layered,
				     .texel = PTX_U32,
				     .channels = 4};
	if (g->layered) /* behind the sizes */
		objects.surface.size[g->dims] = 4;
	for (unsigned int l = 0; l < LANES; l++) {
		in[4 * l] = (float)(l % 4 * 16);
		in[4 * l + 1] = (float)(l / 4);
		in[4 * l + 2] = (float)(l % 3);
		in[4 * l + 3] = (float)(l % 4);
	}
}

/* Where the lane's texel lies. */
static uint32_t texel_of(const struct geometry *g, unsigned int l)
{
	const uint32_t above = g->layered ? l % 4 : g->dims > 2 ? l % 3 : 0;

	return l % 4 * 16 + (g->dims > 1 ? l / 4 * 64 : 0) + above * 64 * 8;
}

START_TEST(surfaces_of_each_type)
{
	static const struct {
		const char *name, *from, *to;
		uint32_t bytes;
	} types[] = {
		{"b8",
		 "cvt.u16.u32 %h1, %r12; mov.u16 %h2, %h1; mov.u16 %h3, %h1; mov.u16 %h4, %h1;",
		 "%h", 1},
		{"b16",
		 "cvt.u16.u32 %h1, %r12; mov.u16 %h2, %h1; mov.u16 %h3, %h1; mov.u16 %h4, %h1;",
		 "%h", 2},
		{"b32",
		 "mov.u32 %r13, %r12; mov.u32 %r14, %r12; mov.u32 %r15, %r12; mov.u32 %r16, %r12;",
		 "%r1", 4},
		{"b64", "mov.b64 %d13, {%r12, %r12}; mov.u64 %d14, %d13;", "%d1", 8}};
	static const char *const outside[] = {"trap", "clamp", "zero"};
	const struct geometry *g = &geometries_of[_i];

	for (uint32_t k = 0; k < 4 * 3 * 3; k++) {
		const uint32_t type = k / 9, count = 1u << k % 3, bytes = types[type].bytes * count;
		const char *r = types[type].to, *v[] = {"", ".v2", ".v4"};
		const int n = r[1] == 'h' ? 1 : 3;
		char regs[64], insn[1024];
		struct ptx_world w;
		uint32_t *out;
		uint8_t *mem;

		if (bytes > 16 || (type == 3 && count > 2))
			continue;
		snprintf(regs, sizeof(regs),
			 count == 1   ? "%s%d"
			 : count == 2 ? "{%s%d, %s%d}"
				      : "{%s%d, %s%d, %s%d, %s%d}",
			 r, n, r, n + 1, r, n + 2, r, n + 3);
		/* each lane's number in each byte; those that share a texel store the same */
		snprintf(insn, sizeof(insn),
			 "mul.lo.u32 %%r12, %%r4, 0x01010101;\n%s\nsust.b.%s%s.%s.%s [%%d2, %s], "
			 "%s;\n"
			 "suld.b.%s%s.%s.%s %s, [%%d2, %s];\n%s",
			 types[type].from, g->name, v[k % 3], types[type].name, outside[k / 3 % 3],
			 g->at, regs, g->name, v[k % 3], types[type].name, outside[k / 3 % 3], regs,
			 g->at,
			 r[1] == 'h'   ? "cvt.u32.u16 %r8, %h1;"
			 : r[1] == 'r' ? "mov.u32 %r8, %r13;"
				       : "mov.b64 {%r8, %r9}, %d13;");
		open_surface(&w, g, insn, &mem, &out);
		world_run_ok(&w);
		for (unsigned int l = 0; l < LANES; l++) {
			const uint8_t *texel = mem + texel_of(g, l);

			for (uint32_t b = 0; b < 16; b++)
				ck_assert_msg(texel[b] == (b < bytes ? l % 4 * 16 : 0),
					      "%s: byte %u of lane %u is %u", insn, b, l, texel[b]);
			ck_assert_mem_eq(&out[4 * l], texel, types[type].bytes);
		}
		world_close(&w);
	}
}
END_TEST

START_TEST(sizes_of_surfaces)
{
	const struct geometry *g = &geometries_of[_i];
	const char *what[] = {"suq", "txq"};
	struct ptx_world w;
	char insn[256];
	uint32_t *out;
	uint8_t *mem;

	for (int k = 0; k < 2; k++) {
		snprintf(insn, sizeof(insn),
			 "%s.width.b32 %%r8, [%%d2]; %s.height.b32 %%r9, [%%d2]; %s.depth.b32 "
			 "%%r10, [%%d2]; %s.array_size.b32 %%r11, [%%d2];",
			 what[k], what[k], what[k], what[k]);
		open_surface(&w, g, insn, &mem, &out);
		objects.tex = objects.surface;
		world_run_ok(&w);
		ck_assert_uint_eq(out[0], 4);
		ck_assert_uint_eq(out[1], g->dims > 1 ? 8 : 0);
		ck_assert_uint_eq(out[2], g->dims > 2 ? 4 : 0);
		ck_assert_uint_eq(out[3], g->layered ? 4 : 0);
		world_close(&w);
	}
}
END_TEST

static void faults(const char *fetch, enum ptx_fault_kind kind)
{
	struct ptx_world w;
	struct ptx_fault f;
	uint32_t *out;
	float *in;

	open(&w, fetch, &in, &out);
	ck_assert_int_eq(world_run(&w, &f), PTX_FAULTED);
	ck_assert_msg(f.kind == kind, "%s: fault %d, not %d", fetch, f.kind, kind);
	world_close(&w);
}

START_TEST(wrong_objects)
{
	static uint8_t mem[64];

	objects.tex = objects.surface = (struct ptx_texture){.base = (uintptr_t)mem,
							     .pitch = 64,
							     .size = {4, 1, 0},
							     .dims = 2,
							     .texel = PTX_U8,
							     .channels = 4,
							     .wrap = {PTX_CLAMP, PTX_CLAMP}};
	/* memory that is not the program's, another object, another geometry, outside */
	faults("tex.2d.v4.f32.f32 " D "[%d2, {%f0, %f1}];", PTX_FAULT_ADDRESS);
	faults("tex.2d.v4.f32.f32 " D "[%d0, {%f0, %f1}];", PTX_FAULT_ADDRESS);
	faults("tex.1d.v4.f32.f32 " D "[%d2, {%f0}];", PTX_FAULT_ADDRESS);
	faults("tex.3d.v4.f32.f32 " D "[%d2, {%f0, %f1, %f1, %f1}];", PTX_FAULT_ADDRESS);
	faults("suld.b.2d.b32.trap %r8, [%d2, {16, 0}];", PTX_FAULT_ADDRESS);
	faults("suld.b.2d.b32.zero %r8, [%d2, {2, 0}];", PTX_FAULT_MISALIGNED);
	faults("txq.width.b32 %r8, [%d0];", PTX_FAULT_ADDRESS);
}
END_TEST

#define REFUSES(insn, log)                                                                         \
	expect_invalid(PTX_HEAD ".visible .entry k()\n{\n.reg .b32 %r<9>;\n.reg .f32 %f<9>;\n"     \
				".reg .b64 %d<9>;\n" insn "\nret;\n}\n",                           \
		       log)
static struct ptx_texture of_bytes(const uint8_t *mem, uint32_t dims, bool layered,
				   uint32_t channels, bool as_integer)
{
	return (struct ptx_texture){.base = (uintptr_t)mem,
				    .pitch = 64,
				    .slice = dims == 1 ? 64 : 256,
				    .size = {8, dims == 1 ? 2 : 4, 2},
				    .dims = dims,
				    .layered = layered,
				    .texel = PTX_U8,
				    .channels = channels,
				    .as_integer = as_integer,
				    .wrap = {PTX_CLAMP, PTX_CLAMP, PTX_CLAMP}};
}

static const char *const results[] = {"u32", "s32", "f32"};

/* Gradients choose among levels, of which there is one. */
START_TEST(gradients)
{
	static const struct {
		const char *geometry, *at, *by;
		uint32_t dims, place;
	} forms[] = {{"1d", "{%f0}", "{%f0}, {%f1}", 1, 3},
		     {"2d", "{%f0, %f1}", "{%f0, %f1}, {%f1, %f0}", 2, 67},
		     {"3d", "{%f0, %f1, %f2, %f2}", "{%f0, %f1, %f2, %f2}, {%f0, %f1, %f2, %f2}", 3,
		      323},
		     {"a1d", "{%r7, %f0}", "%f0, %f1", 1, 67},
		     {"a2d", "{%r7, %f0, %f1, %f1}", "{%f0, %f1}, {%f1, %f2}", 2, 323}};
	static uint8_t mem[4096] __attribute__((aligned(256)));
	char fetch[256];

	for (int i = 0; i < 4096; i++)
		mem[i] = (uint8_t)(i % 61 + 1);
	for (int n = 0; n < 15; n++) {
		const uint8_t texel = mem[forms[n % 5].place];

		objects.tex = of_bytes(mem, forms[n % 5].dims, n % 5 > 2, 1, n < 10);
		snprintf(fetch, sizeof(fetch), "tex.grad.%s.v4.%s.f32 %s[%%d2, %s], %s;",
			 forms[n % 5].geometry, results[n / 5], D, forms[n % 5].at,
			 forms[n % 5].by);
		WORDS(fetch, 3, 1, 1, 1, n < 10 ? texel : bits((float)texel / 255), 0, 0,
		      n < 10 ? 1 : bits(1));
	}
}
END_TEST

START_TEST(gathers)
{
	static uint8_t mem[4096] __attribute__((aligned(256)));
	/* between texels 2 and 3, below the last row and between two */
	static const float at[2][4] = {{2.75f, 4.25f, 0, 1}, {3.25f, 2.25f, 0, 1}};
	static const int rows[2][2] = {{3, 3}, {2, 1}};
	char fetch[256];

	for (int i = 0; i < 4096; i++)
		mem[i] = (uint8_t)(i * 7 + i / 64);
	for (int n = 0; n < 48; n++) {
		const bool layered = n / 12 % 2;
		const int kind = n / 4 % 3, *y = rows[n / 24];
		const uint8_t *m = mem + 256 * layered + n % 4;
		uint32_t want[4] = {m[64 * y[0] + 8], m[64 * y[0] + 12], m[64 * y[1] + 12],
				    m[64 * y[1] + 8]};

		objects.tex = of_bytes(mem, 2, layered, 4, kind < 2);
		objects.tex.is_linear = n % 2;
		snprintf(fetch, sizeof(fetch), "tld4.%c.%s.v4.%s.f32 %s[%%d2, {%s}];",
			 "rgba"[n % 4], layered ? "a2d" : "2d", results[kind], D,
			 layered ? "%r7, %f0, %f1, %f1" : "%f0, %f1");
		for (int i = 0; i < 4 && kind == 2; i++)
			want[i] = bits((float)want[i] / 255);
		words(fetch, at[n / 24], want);
	}
}
END_TEST

#define R4 "{%r0, %r1, %r2, %r3}, "

START_TEST(what_is_refused)
{
	REFUSES("tex.cube.v4.f32.f32 " R4 "[%d0, {%f0, %f1, %f2, %f2}];", "tex.cube");
	REFUSES("tex.grad.2d.v4.f32.f32 " R4 "[%d0, {%f0, %f1}], {%f0, %f1}, {%f0};", "operand 4");
	REFUSES("tex.2d.v4.f32.f32 " R4 "[%d0, %d1, {%f0, %f1}];", "independent mode");
	REFUSES("tex.2d.v4.f32.f32 " R4 "[%d0, {%f0}];", "operand 2");
	REFUSES("tex.2d.v4.f32.f32 " R4 "[%d0, %f0];", "operand 2");
	REFUSES("tex.2d.v4.f32.f32 {%r0, %r1}, [%d0, {%f0, %f1}];", "operand 1");
	REFUSES("tex.2d.v4.f32.f32 " R4 "[%r0, {%f0, %f1}];", "operand");
	REFUSES("tex.2d.v2.f32.f32 {%r0, %r1}, [%d0, {%f0, %f1}];", "tex.2d.v2");
	REFUSES("suld.p.2d.b32.trap %r0, [%d0, {%r1, %r2}];", "suld.p");
	REFUSES("sured.b.add.2d.u32.trap [%d0, {%r1, %r2}], %r0;", "sured");
	REFUSES("ld.global.u32 %r0, [%d0, {%r1, %r2}];", "operand 2");
	REFUSES("txq.filter_mode.b32 %r0, [%d0];", "txq.filter_mode");
	expect_invalid(PTX_HEAD ".global .texref t;\n", "texref");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_tex");
	TCase *t = tcase_create("texels");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, fetches_of_two_dimensions);
	tcase_add_test(t, geometries);
	tcase_add_test(t, gradients);
	tcase_add_test(t, gathers);
	tcase_add_test(t, surfaces);
	tcase_add_loop_test(t, surfaces_of_each_type, 0, GEOMETRIES);
	tcase_add_loop_test(t, sizes_of_surfaces, 0, GEOMETRIES);
	tcase_add_test(t, wrong_objects);
	tcase_add_test(t, what_is_refused);
	suite_add_tcase(s, t);
	return run_suite(s);
}
