/* SPDX-License-Identifier: MIT */
/* Arrays, mipmapped ones too, and textures: what the vGPU pays, copies beyond an array, memory that
 * is not the session's, objects that go before others. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/worker/worker_fake.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "xen-pvgpu-back/worker/gpu/state.h"

#define MIB        (1ull << 20)
#define ARRAY(i)   PVGPU_HANDLE(PVGPU_H_ARRAY, 0, 0, i)
#define TEXTURE(i) PVGPU_HANDLE(PVGPU_H_TEXTURE, 0, 0, i)
#define MIPMAP(i)  PVGPU_HANDLE(PVGPU_H_MIPMAP, 0, 0, i)

static struct worker *w;

static bool no_jobs(struct worker *at, void *arg)
{
	return !atomic_load(&at->gpu->side.jobs);
}

static void setup(void)
{
	w = fake_open(true);
	w->quota = 16 * MIB;
	fake_chunk(w, 0, 1u << 20);
}

static void teardown(void)
{
	fake_close(w);
}

/* 16 texels of 4 bytes, 8 rows, 4 slices */
static int create(uint32_t seq, uint32_t i)
{
	struct pvgpu_wire_array_create c = {.ctx = FAKE_CTX,
					    .width = 16,
					    .height = 8,
					    .depth = 4,
					    .format = CU_AD_FORMAT_FLOAT,
					    .channels = 1,
					    .array = ARRAY(i)};

	FAKE_SUBMIT(w, ARRAY_CREATE, seq, c);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static void destroy(uint32_t i)
{
	struct pvgpu_wire_array_destroy d = {.array = ARRAY(i)};

	FAKE_SUBMIT(w, ARRAY_DESTROY, 0, d);
	ck_assert(fake_until(w, no_jobs, NULL));
}

static int texture(uint32_t seq, uint32_t i, const struct pvgpu_wire_tex_create *how)
{
	struct pvgpu_wire_tex_create c = *how;

	c.ctx = FAKE_CTX;
	c.texture = TEXTURE(i);
	FAKE_SUBMIT(w, TEX_CREATE, seq, c);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static int surface(uint32_t seq, uint32_t i, uint64_t array)
{
	struct pvgpu_wire_surf_create c = {.ctx = FAKE_CTX, .array = array, .texture = TEXTURE(i)};

	FAKE_SUBMIT(w, SURF_CREATE, seq, c);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

START_TEST(an_array_is_paid_for)
{
	ck_assert_int_eq(create(11, 0), 0);
	ck_assert_int_eq(fake_far.arrays, 1); /* the one that was measured is gone */
	ck_assert_uint_eq(w->leased, 3 * MIB);
	w->quota = 5 * MIB;
	ck_assert_int_eq(create(12, 1), CUDA_ERROR_OUT_OF_MEMORY);
	ck_assert_int_eq(fake_far.arrays, 1);
	destroy(0);
	ck_assert_int_eq(fake_far.arrays, 0);
	ck_assert_uint_eq(w->leased, 0);
	ck_assert_int_eq(create(14, 2), 0);
	destroy(2);
}
END_TEST

/* Quota comes back when the work that may use the array has ended: until then a request waits. */
START_TEST(an_array_waits_for_frees)
{
	struct pvgpu_wire_array_destroy d = {.array = ARRAY(0)};
	struct pvgpu_wire_array_create c = {.ctx = FAKE_CTX,
					    .width = 16,
					    .format = CU_AD_FORMAT_FLOAT,
					    .channels = 1,
					    .array = ARRAY(1)};
	struct pvgpu_wire_copy_array copy = {.ctx = FAKE_CTX,
					     .dst_array = ARRAY(0),
					     .src = w->arena_base,
					     .width = 4,
					     .height = 1,
					     .depth = 1};

	w->quota = 5 * MIB;
	ck_assert_int_eq(create(11, 0), 0);
	fake_far.manual = true;
	FAKE_SUBMIT(w, COPY_ARRAY, 12, copy);
	FAKE_SUBMIT(w, ARRAY_DESTROY, 13, d);
	FAKE_SUBMIT(w, ARRAY_CREATE, 14, c);
	fake_far.manual = false;
	fake_complete(-1, 100);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 14), 0);
	ck_assert_int_eq(fake_far.arrays, 1);
	ck_assert_uint_eq(w->leased, 3 * MIB);
	destroy(1);
}
END_TEST

static CUresult no_needs(const char *call)
{
	return strcmp(call, "array_needs") ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult no_array(const char *call)
{
	return strcmp(call, "array") ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

START_TEST(a_driver_that_cannot_measure)
{
	fake_far.fail = no_needs;
	ck_assert_int_eq(create(11, 0), 0);
	ck_assert_uint_eq(w->leased, 64u << 10);
	fake_far.fail = no_array;
	ck_assert_int_eq(create(12, 1), CUDA_ERROR_INVALID_VALUE);
	ck_assert_uint_eq(w->leased, 64u << 10);
	fake_far.fail = NULL;
	destroy(0);
}
END_TEST

START_TEST(sizes_do_not_overflow)
{
	struct pvgpu_wire_array_create c = {.ctx = FAKE_CTX,
					    .width = 1u << 30,
					    .height = 1u << 30,
					    .depth = 1u << 30,
					    .format = CU_AD_FORMAT_FLOAT,
					    .channels = 4,
					    .array = ARRAY(0)};

	fake_far.fail = no_needs;
	FAKE_SUBMIT(w, ARRAY_CREATE, 11, c);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 11), CUDA_ERROR_OUT_OF_MEMORY);
	ck_assert_uint_eq(w->leased, 0);
	c.channels = 3;
	c.array = ARRAY(1);
	FAKE_SUBMIT(w, ARRAY_CREATE, 12, c);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 12), CUDA_ERROR_INVALID_VALUE);
	c.channels = 1;
	c.format = 0x91;
	FAKE_SUBMIT(w, ARRAY_CREATE, 13, c);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 13), CUDA_ERROR_INVALID_VALUE);
	fake_far.fail = NULL;
}
END_TEST

static int copy(uint32_t seq, const struct pvgpu_wire_copy_array *how)
{
	struct pvgpu_wire_copy_array c = *how;

	c.ctx = FAKE_CTX;
	fake_submit(w, &c, sizeof(c), PVGPU_OP_COPY_ARRAY, seq, NULL, 0);
	return 0;
}

/* A copy of all of it from the arena, but for one field. */
#define COPY(seq, want, ...)                                                                       \
	do {                                                                                       \
		struct pvgpu_wire_copy_array how = {.dst_array = ARRAY(0),                         \
						    .src = w->arena_base,                          \
						    .src_pitch = 64,                               \
						    .src_height = 8,                               \
						    .width = 64,                                   \
						    .height = 8,                                   \
						    .depth = 4};                                   \
                                                                                                   \
		__VA_ARGS__;                                                                       \
		before = w->gpu->op_serial;                                                        \
		copy(seq, &how);                                                                   \
		ck_assert_msg((w->gpu->op_serial != before) == ((want) == 0), "copy %d", seq);     \
	} while (0)

START_TEST(copies_stay_in_the_array)
{
	uint64_t before;

	ck_assert_int_eq(create(11, 0), 0);
	ck_assert_int_eq(create(12, 1), 0);
	COPY(20, 0, how.depth = 4);
	COPY(21, 0, how.src_array = ARRAY(1), how.src = 0);
	COPY(22, 1, how.depth = 5);
	COPY(23, 1, how.height = 9);
	COPY(24, 1, how.width = 68);
	COPY(25, 1, how.width = 62); /* half a texel */
	COPY(26, 1, how.dst_x = 2, how.width = 4);
	COPY(27, 1, how.dst_x = 64, how.width = 4);
	COPY(28, 1, how.dst_y = 1);
	COPY(29, 1, how.dst_z = 1u << 30, how.depth = 1u << 30);
	COPY(30, 1, how.dst = w->arena_base); /* both an array and an address */
	COPY(31, 1, how.src_x = 4);           /* an address with a place */
	COPY(32, 1, how.src = w->arena_base + (1u << 20) - 64);
	COPY(33, 1, how.src = 0x1000);
	COPY(34, 1, how.src_pitch = 63);
	COPY(35, 1, how.src_array = ARRAY(1)); /* the other side with both */
	fake_complete(-1, 100);
	destroy(1);
	COPY(36, 1, how.src_array = ARRAY(1), how.src = 0);
	destroy(0);
}
END_TEST

START_TEST(textures_read_what_is_the_sessions)
{
	struct pvgpu_wire_tex_create t = {.kind = CU_RESOURCE_TYPE_PITCH2D,
					  .format = CU_AD_FORMAT_FLOAT,
					  .channels = 4,
					  .width = 64,
					  .height = 64,
					  .pitch = 1024};
	struct pvgpu_wire_mem_alloc m = {.ctx = FAKE_CTX, .size = 65536};
	struct pvgpu_wire_tex_destroy d = {.texture = TEXTURE(0)};
	struct pvgpu_wire_mem_free f = {.ctx = FAKE_CTX};

	FAKE_SUBMIT(w, MEM_ALLOC, 11, m);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 11), 0);
	memcpy(&t.address, fake_body(w, PVGPU_REP_REPLY, 11), 8);
	ck_assert_int_eq(texture(12, 0, &t), 0);
	ck_assert_int_eq(fake_far.textures, 1);
	t.height = 65;
	ck_assert_int_eq(texture(13, 1, &t), CUDA_ERROR_INVALID_VALUE);
	t.height = UINT64_MAX;
	t.pitch = UINT64_MAX;
	ck_assert_int_eq(texture(14, 1, &t), CUDA_ERROR_INVALID_VALUE);
	t.kind = CU_RESOURCE_TYPE_LINEAR;
	t.width = 65537;
	ck_assert_int_eq(texture(15, 1, &t), CUDA_ERROR_INVALID_VALUE);
	t.width = 65536;
	t.channels = 3;
	ck_assert_int_eq(texture(16, 1, &t), CUDA_ERROR_INVALID_VALUE);
	t.channels = 1;
	t.address = w->arena_base;
	t.width = 64;
	ck_assert_int_eq(texture(17, 1, &t), CUDA_ERROR_INVALID_VALUE);
	t.address = 0x400000;
	ck_assert_int_eq(texture(18, 1, &t), CUDA_ERROR_INVALID_VALUE);
	t.kind = CU_RESOURCE_TYPE_ARRAY;
	ck_assert_int_eq(texture(19, 1, &t), CUDA_ERROR_INVALID_HANDLE);
	t.kind = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY; /* without a mipmapped array */
	ck_assert_int_eq(texture(20, 1, &t), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(fake_far.textures, 1);
	FAKE_SUBMIT(w, TEX_DESTROY, 0, d);
	ck_assert(fake_until(w, no_jobs, NULL));
	ck_assert_int_eq(fake_far.textures, 0);
	memcpy(&f.address, fake_body(w, PVGPU_REP_REPLY, 11), 8);
	FAKE_SUBMIT(w, MEM_FREE, 0, f);
	ck_assert(fake_until(w, no_jobs, NULL));
}
END_TEST

static int tensor_map(uint32_t seq, const struct pvgpu_tensor_desc *d)
{
	struct pvgpu_wire_tensor_map_encode c = {.desc_len = sizeof(*d)};

	fake_submit(w, &c, sizeof(c), PVGPU_OP_TENSOR_MAP_ENCODE, seq, d, sizeof(*d));
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static int replaced_map(uint32_t seq, uint64_t address)
{
	struct pvgpu_wire_tensor_map_replace c = {.map_len = 128, .address = address};
	const uint8_t map[128] = {0};

	fake_submit(w, &c, sizeof(c), PVGPU_OP_TENSOR_MAP_REPLACE, seq, map, sizeof(map));
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

START_TEST(tensor_maps_are_of_the_sessions_memory)
{
	struct pvgpu_tensor_desc d = {.type = CU_TENSOR_MAP_DATA_TYPE_FLOAT32,
				      .rank = 3,
				      .dims = {64, 32, 8},
				      .strides = {256, 8192},
				      .box = {4, 4, 4},
				      .steps = {1, 1, 1}};
	struct pvgpu_wire_mem_alloc m = {.ctx = FAKE_CTX, .size = 65536};
	struct pvgpu_wire_mem_free f = {.ctx = FAKE_CTX};

	FAKE_SUBMIT(w, MEM_ALLOC, 11, m);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 11), 0);
	memcpy(&d.address, fake_body(w, PVGPU_REP_REPLY, 11), 8);
	for (d.how = 0; d.how < 3; d.how++)
		ck_assert_int_eq(tensor_map(12 + d.how, &d), 0);
	ck_assert_int_eq(tensor_map(15, &d), CUDA_ERROR_INVALID_VALUE);
	d.how = PVGPU_TENSOR_TILED;
	d.dims[2] = 9;
	ck_assert_int_eq(tensor_map(16, &d), CUDA_ERROR_INVALID_VALUE);
	d.dims[2] = 8;
	d.strides[0] = UINT64_MAX;
	ck_assert_int_eq(tensor_map(17, &d), CUDA_ERROR_INVALID_VALUE);
	d.strides[0] = 256;
	d.dims[1] = 0;
	ck_assert_int_eq(tensor_map(18, &d), CUDA_ERROR_INVALID_VALUE);
	d.dims[1] = 32;
	d.rank = 6;
	ck_assert_int_eq(tensor_map(19, &d), CUDA_ERROR_INVALID_VALUE);
	d.rank = 3;
	d.type = 77;
	ck_assert_int_eq(tensor_map(20, &d), CUDA_ERROR_NOT_SUPPORTED);
	d.type = CU_TENSOR_MAP_DATA_TYPE_FLOAT64;
	d.dims[0] = 65; /* of eight bytes each, the last row ends behind the memory */
	ck_assert_int_eq(tensor_map(21, &d), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(replaced_map(22, d.address), 0);
	ck_assert_int_eq(replaced_map(23, 0x400000), CUDA_ERROR_INVALID_VALUE);
	d.type = CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
	d.dims[0] = 64;
	ck_assert_int_eq(tensor_map(24, &d), 0);
	f.address = d.address;
	FAKE_SUBMIT(w, MEM_FREE, 25, f);
	ck_assert_int_eq(tensor_map(26, &d), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(replaced_map(27, d.address), CUDA_ERROR_INVALID_VALUE);
}
END_TEST

/* 16 texels of 4 bytes, 8 rows, 4 slices in the first level */
static int create_mipmap(uint32_t seq, uint32_t i, uint32_t levels)
{
	struct pvgpu_wire_mipmap_create c = {.ctx = FAKE_CTX,
					     .width = 16,
					     .height = 8,
					     .depth = 4,
					     .format = CU_AD_FORMAT_FLOAT,
					     .channels = 1,
					     .levels = levels,
					     .mipmap = MIPMAP(i)};

	FAKE_SUBMIT(w, MIPMAP_CREATE, seq, c);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static void destroy_mipmap(uint32_t i)
{
	struct pvgpu_wire_mipmap_destroy d = {.mipmap = MIPMAP(i)};

	FAKE_SUBMIT(w, MIPMAP_DESTROY, 0, d);
	ck_assert(fake_until(w, no_jobs, NULL));
}

static void name_level(uint32_t mipmap, uint32_t level, uint32_t array)
{
	struct pvgpu_wire_mipmap_level l = {
		.mipmap = MIPMAP(mipmap), .level = level, .array = ARRAY(array)};

	FAKE_SUBMIT(w, MIPMAP_LEVEL, 0, l);
}

START_TEST(a_mipmapped_array_is_paid_for)
{
	ck_assert_int_eq(create_mipmap(11, 0, 5), 0);
	ck_assert_int_eq(fake_far.mipmaps, 1); /* the one that was measured is gone */
	ck_assert_uint_eq(w->leased, 4 * MIB);
	w->quota = 6 * MIB;
	ck_assert_int_eq(create_mipmap(12, 1, 5), CUDA_ERROR_OUT_OF_MEMORY);
	ck_assert_int_eq(create_mipmap(13, 1, 6), CUDA_ERROR_INVALID_VALUE);
	name_level(0, 1, 0);
	ck_assert_uint_eq(w->leased, 4 * MIB); /* its level costs nothing */
	destroy_mipmap(0);
	ck_assert_int_eq(fake_far.mipmaps, 0);
	ck_assert_uint_eq(w->leased, 0);
}
END_TEST

static CUresult no_mipmap_needs(const char *call)
{
	return strcmp(call, "mipmap_needs") ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult no_level(const char *call)
{
	return strcmp(call, "mipmap_level") ? CUDA_SUCCESS : CUDA_ERROR_UNKNOWN;
}

START_TEST(mipmaps_of_other_drivers)
{
	struct pvgpu_wire_mipmap_create c = {.ctx = FAKE_CTX,
					     .width = 1u << 30,
					     .height = 1u << 30,
					     .depth = 1u << 30,
					     .format = CU_AD_FORMAT_FLOAT,
					     .channels = 4,
					     .levels = 31,
					     .mipmap = MIPMAP(1)};

	fake_far.fail = no_mipmap_needs;
	ck_assert_int_eq(create_mipmap(11, 0, 5), 0);
	ck_assert_uint_eq(w->leased, 5 * (64u << 10));
	FAKE_SUBMIT(w, MIPMAP_CREATE, 12, c);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 12), CUDA_ERROR_OUT_OF_MEMORY);
	c.channels = 3;
	FAKE_SUBMIT(w, MIPMAP_CREATE, 13, c);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 13), CUDA_ERROR_INVALID_VALUE);
	fake_far.fail = no_level;
	ck_assert_int_eq(create_mipmap(14, 2, 5), CUDA_ERROR_UNKNOWN);
	ck_assert_int_eq(fake_far.mipmaps, 1);
	ck_assert_uint_eq(w->leased, 5 * (64u << 10));
	fake_far.fail = NULL;
	destroy_mipmap(0);
}
END_TEST

/* Levels are as large as they are, and go with what they are of. */
START_TEST(levels_are_arrays)
{
	struct pvgpu_wire_array_destroy d = {.array = ARRAY(0)};
	uint64_t before;

	ck_assert_int_eq(create_mipmap(11, 0, 3), 0);
	name_level(0, 1, 0); /* 8 texels, 4 rows, 2 slices */
	COPY(20, 0, how.width = 32, how.height = 4, how.depth = 2);
	COPY(21, 1, how.width = 36, how.height = 4, how.depth = 2);
	COPY(22, 1, how.width = 32, how.height = 5, how.depth = 2);
	COPY(23, 1, how.width = 32, how.height = 4, how.depth = 3);
	name_level(0, 2, 1);
	COPY(24, 0, how.dst_array = ARRAY(1), how.width = 16, how.height = 2, how.depth = 1);
	COPY(25, 1, how.dst_array = ARRAY(1), how.width = 32, how.height = 2, how.depth = 1);
	fake_complete(-1, 100);
	name_level(0, 3, 2); /* there is none */
	COPY(26, 1, how.dst_array = ARRAY(2), how.width = 4, how.height = 1, how.depth = 1);
	FAKE_SUBMIT(w, ARRAY_DESTROY, 0, d); /* a level is not its own */
	ck_assert(fake_until(w, no_jobs, NULL));
	COPY(27, 0, how.width = 32, how.height = 4, how.depth = 2);
	fake_complete(-1, 100);
	ck_assert_int_eq(surface(28, 0, ARRAY(0)), 0);
	destroy_mipmap(0);
	COPY(29, 1, how.width = 32, how.height = 4, how.depth = 2);
	ck_assert_int_eq(surface(30, 1, ARRAY(0)), CUDA_ERROR_INVALID_HANDLE);
	name_level(0, 1, 3); /* of what is gone */
	COPY(31, 1, how.dst_array = ARRAY(3), how.width = 4, how.height = 1, how.depth = 1);
	ck_assert_int_eq(create(32, 0), 0); /* the handle is free again */
	destroy(0);
}
END_TEST

/* Work that was issued before the destroy ends before it. */
START_TEST(a_mipmap_waits_for_its_levels)
{
	struct pvgpu_wire_mipmap_destroy d = {.mipmap = MIPMAP(0)};
	uint64_t before;

	ck_assert_int_eq(create_mipmap(11, 0, 3), 0);
	name_level(0, 0, 0);
	fake_far.manual = true;
	COPY(20, 0, how.depth = 4);
	FAKE_SUBMIT(w, MIPMAP_DESTROY, 0, d);
	COPY(21, 1, how.depth = 4);
	ck_assert_int_eq(fake_far.mipmaps, 1);
	ck_assert_uint_eq(w->leased, 4 * MIB);
	fake_far.manual = false;
	fake_complete(-1, 100);
	ck_assert(fake_until(w, no_jobs, NULL));
	ck_assert_int_eq(fake_far.mipmaps, 0);
	ck_assert_uint_eq(w->leased, 0);
}
END_TEST

START_TEST(textures_of_mipmaps)
{
	struct pvgpu_wire_tex_create t = {.kind = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY,
					  .array = MIPMAP(0)};
	struct pvgpu_wire_tex_destroy d = {.texture = TEXTURE(0)};

	ck_assert_int_eq(create_mipmap(11, 0, 3), 0);
	name_level(0, 1, 0);
	ck_assert_int_eq(texture(12, 0, &t), 0);
	ck_assert_int_eq(fake_far.textures, 1);
	t.kind = CU_RESOURCE_TYPE_ARRAY;
	ck_assert_int_eq(texture(13, 1, &t), CUDA_ERROR_INVALID_HANDLE);
	t.array = ARRAY(0);
	ck_assert_int_eq(texture(14, 1, &t), 0);
	t.kind = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY;
	ck_assert_int_eq(texture(15, 2, &t), CUDA_ERROR_INVALID_HANDLE);
	t.array = 0;
	ck_assert_int_eq(texture(16, 2, &t), CUDA_ERROR_INVALID_HANDLE);
	t.array = MIPMAP(7);
	ck_assert_int_eq(texture(17, 2, &t), CUDA_ERROR_INVALID_HANDLE);
	destroy_mipmap(0);
	t.array = MIPMAP(0);
	ck_assert_int_eq(texture(18, 2, &t), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(fake_far.textures, 2);
	FAKE_SUBMIT(w, TEX_DESTROY, 0, d);
	d.texture = TEXTURE(1);
	FAKE_SUBMIT(w, TEX_DESTROY, 0, d);
	ck_assert(fake_until(w, no_jobs, NULL));
	ck_assert_int_eq(fake_far.textures, 0);
}
END_TEST

/* One that could not be made gives way to the next one in its place, and owns nothing by then. */
START_TEST(a_level_of_a_failed_mipmap)
{
	struct pvgpu_wire_mipmap_create again = {.ctx = FAKE_CTX,
						 .width = 16,
						 .height = 8,
						 .format = CU_AD_FORMAT_FLOAT,
						 .channels = 1,
						 .levels = 1,
						 .mipmap = PVGPU_HANDLE(PVGPU_H_MIPMAP, 0, 1, 0)};
	struct pvgpu_wire_array_create a = {.ctx = FAKE_CTX,
					    .width = 16,
					    .format = CU_AD_FORMAT_FLOAT,
					    .channels = 1,
					    .array = PVGPU_HANDLE(PVGPU_H_ARRAY, 0, 1, 0)};
	struct obj *level;

	w->quota = MIB;
	ck_assert_int_eq(create_mipmap(11, 0, 5), CUDA_ERROR_OUT_OF_MEMORY);
	w->quota = 16 * MIB;
	name_level(0, 1, 0);
	level = obj_lookup(&w->gpu->tables, PVGPU_H_ARRAY, ARRAY(0));
	ck_assert_int_eq(obj_error(level), CUDA_ERROR_OUT_OF_MEMORY);
	ck_assert_ptr_eq(level->owner, level->ctx);
	FAKE_SUBMIT(w, MIPMAP_CREATE, 12, again);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 12), 0);
	FAKE_SUBMIT(w, ARRAY_CREATE, 13, a);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 13), 0);
}
END_TEST

START_TEST(all_go_with_their_context)
{
	struct pvgpu_wire_tex_create t = {.kind = CU_RESOURCE_TYPE_ARRAY, .array = ARRAY(0)};
	struct pvgpu_wire_ctx_destroy d = {.ctx = FAKE_CTX};

	ck_assert_int_eq(create(11, 0), 0);
	ck_assert_int_eq(create(12, 1), 0);
	ck_assert_int_eq(texture(13, 0, &t), 0);
	ck_assert_int_eq(surface(14, 1, ARRAY(1)), 0);
	ck_assert_int_eq(surface(15, 2, ARRAY(7)), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(create_mipmap(18, 0, 3), 0);
	name_level(0, 1, 4);
	name_level(0, 2, 5);
	destroy(1);
	ck_assert_int_eq(surface(16, 3, ARRAY(1)), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(fake_far.textures, 2);
	FAKE_SUBMIT(w, CTX_DESTROY, 17, d);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 17), 0);
	ck_assert_int_eq(fake_far.textures, 0);
	ck_assert_int_eq(fake_far.arrays, 0);
	ck_assert_int_eq(fake_far.mipmaps, 0);
	ck_assert_uint_eq(w->leased, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker_array");
	TCase *t = tcase_create("arrays");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, an_array_is_paid_for);
	tcase_add_test(t, an_array_waits_for_frees);
	tcase_add_test(t, a_driver_that_cannot_measure);
	tcase_add_test(t, sizes_do_not_overflow);
	tcase_add_test(t, copies_stay_in_the_array);
	tcase_add_test(t, textures_read_what_is_the_sessions);
	tcase_add_test(t, tensor_maps_are_of_the_sessions_memory);
	tcase_add_test(t, a_mipmapped_array_is_paid_for);
	tcase_add_test(t, mipmaps_of_other_drivers);
	tcase_add_test(t, levels_are_arrays);
	tcase_add_test(t, a_mipmap_waits_for_its_levels);
	tcase_add_test(t, textures_of_mipmaps);
	tcase_add_test(t, a_level_of_a_failed_mipmap);
	tcase_add_test(t, all_go_with_their_context);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
