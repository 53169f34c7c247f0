/* SPDX-License-Identifier: MIT */
/* Tensor maps: boxes and pixels of tensors that kernels copy by them, and what is refused. */
#include "tests/programs/common.h"

enum { WIDTH = 40, HEIGHT = 12, BOX_W = 16, BOX_H = 8, CHANNELS = 8, IMAGE = 6, IMAGES = 3 };

/* Copies the box at (x, y) to `out`, as it lies in shared memory, and back to (x, y) of `back`. */
static const char text[] =
	".version 8.0\n.target sm_90\n.address_size 64\n"
	".visible .entry tile(.param .align 64 .b8 from[128], .param .align 64 .b8 back[128],\n"
	".param .u64 out, .param .s32 x, .param .s32 y)\n{\n"
	".shared .align 128 .b8 sh[512];\n.shared .align 8 .b64 bar;\n"
	".reg .b64 %d<6>;\n.reg .b32 %r<8>;\n.reg .pred %p<2>;\n"
	"ld.param.u64 %d1, [out];\nld.param.s32 %r1, [x];\nld.param.s32 %r2, [y];\n"
	"mov.b64 %d2, from;\ncvta.param.u64 %d2, %d2;\nmov.b64 %d3, back;\n"
	"cvta.param.u64 %d3, %d3;\nmbarrier.init.shared::cta.b64 [bar], 1;\n"
	"fence.proxy.async.shared::cta;\n"
	"mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], 512;\n"
	"cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [sh], "
	"[%d2, {%r1, %r2}], [bar];\n"
	"WAIT:\nmbarrier.try_wait.parity.shared::cta.b64 %p1, [bar], 0;\n@!%p1 bra WAIT;\n"
	"cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%d3, {%r1, %r2}], [sh];\n"
	"cp.async.bulk.commit_group;\ncp.async.bulk.wait_group 0;\nmov.u32 %r3, 0;\n"
	"COPY:\nmov.u32 %r4, sh;\nadd.u32 %r4, %r4, %r3;\nld.shared.u32 %r5, [%r4];\n"
	"cvt.u64.u32 %d4, %r3;\nadd.u64 %d4, %d4, %d1;\nst.global.u32 [%d4], %r5;\n"
	"add.u32 %r3, %r3, 4;\nsetp.lt.u32 %p1, %r3, 512;\n@%p1 bra COPY;\nret;\n}\n"
	/* 32 pixels from (0, w, h, n) on, moved by one in each direction */
	".visible .entry pixels(.param .align 64 .b8 from[128], .param .u64 out,\n"
	".param .s32 w, .param .s32 h, .param .s32 n)\n{\n"
	".shared .align 128 .b8 sh2[512];\n.shared .align 8 .b64 bar2;\n"
	".reg .b64 %d<6>;\n.reg .b32 %r<8>;\n.reg .b16 %h<2>;\n.reg .pred %p<2>;\n"
	"ld.param.u64 %d1, [out];\nld.param.s32 %r1, [w];\nld.param.s32 %r2, [h];\n"
	"ld.param.s32 %r3, [n];\nmov.b64 %d2, from;\ncvta.param.u64 %d2, %d2;\nmov.b16 %h1, 1;\n"
	"mbarrier.init.shared::cta.b64 [bar2], 1;\nfence.proxy.async.shared::cta;\n"
	"mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar2], 512;\nmov.u32 %r4, 0;\n"
	"cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [sh2], "
	"[%d2, {%r4, %r1, %r2, %r3}], [bar2], {%h1, %h1};\n"
	"WAIT:\nmbarrier.try_wait.parity.shared::cta.b64 %p1, [bar2], 0;\n@!%p1 bra WAIT;\n"
	"COPY:\nmov.u32 %r5, sh2;\nadd.u32 %r5, %r5, %r4;\nld.shared.u32 %r6, [%r5];\n"
	"cvt.u64.u32 %d4, %r4;\nadd.u64 %d4, %d4, %d1;\nst.global.u32 [%d4], %r6;\n"
	"add.u32 %r4, %r4, 4;\nsetp.lt.u32 %p1, %r4, 512;\n@%p1 bra COPY;\nret;\n}\n";

static const cuuint64_t dims[2] = {WIDTH, HEIGHT}, strides[1] = {WIDTH * 4};
static const cuuint32_t box[2] = {BOX_W, BOX_H}, steps[4] = {1, 1, 1, 1};

static CUresult encode(CUtensorMap *map, CUdeviceptr at, const cuuint32_t *of,
		       CUtensorMapSwizzle swizzle)
{
	return cuTensorMapEncodeTiled(map, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 2, (void *)at, dims,
				      strides, of, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle,
				      CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
				      CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
}

static void check_tiles(CUfunction fn)
{
	static float tensor[HEIGHT][WIDTH], back[HEIGHT][WIDTH], want[HEIGHT][WIDTH];
	static float got[BOX_H][BOX_W];
	static const int at[][2] = {{0, 0}, {24, 4}, {-5, -3}, {30, 9}, {100, 0}};
	CUdeviceptr dt, db, dout = device_alloc(sizeof(got));
	CUtensorMap from, to, other;

	for (int y = 0; y < HEIGHT; y++)
		for (int x = 0; x < WIDTH; x++)
			tensor[y][x] = (float)(100 * y + x + 1);
	dt = upload(tensor, sizeof(tensor));
	db = upload(want, sizeof(want));
	for (unsigned int i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		const bool swizzled = i % 2;
		int x0 = at[i][0], y0 = at[i][1];

		CU(encode(&from, dt, box,
			  swizzled ? CU_TENSOR_MAP_SWIZZLE_64B : CU_TENSOR_MAP_SWIZZLE_NONE));
		CU(encode(&to, dt, box,
			  swizzled ? CU_TENSOR_MAP_SWIZZLE_64B : CU_TENSOR_MAP_SWIZZLE_NONE));
		CHECK(!memcmp(&from, &to, sizeof(to)), "the same tensor has two maps");
		CU(cuTensorMapReplaceAddress(&to, (void *)db));
		CU(encode(&other, db, box,
			  swizzled ? CU_TENSOR_MAP_SWIZZLE_64B : CU_TENSOR_MAP_SWIZZLE_NONE));
		CHECK(!memcmp(&other, &to, sizeof(to)), "a replaced address makes another map");
		LAUNCH(fn, 1, 1, 0, NULL, &from, &to, &dout, &x0, &y0);
		CU(cuCtxSynchronize());
		download(got, dout, sizeof(got));
		download(back, db, sizeof(back));
		for (int y = 0; y < BOX_H; y++) {
			for (int x = 0; x < BOX_W; x++) {
				const int tx = x0 + x, ty = y0 + y;
				const bool inside = tx >= 0 && tx < WIDTH && ty >= 0 && ty < HEIGHT;
				/* 64 bytes a row: units of 16 by the number of the line of 128 */
				const int sx = swizzled ? x ^ (y / 2 % 4 * 4) : x;
				const float value = inside ? tensor[ty][tx] : 0;

				CHECK(got[y][sx] == value, "box %u at (%d, %d): %g, not %g", i, x,
				      y, (double)got[y][sx], (double)value);
				if (inside)
					want[ty][tx] = value;
			}
		}
		CHECK(!memcmp(back, want, sizeof(want)), "box %u is stored wrong", i);
	}
	CU(cuMemFree(dt));
	CU(cuMemFree(db));
	CU(cuMemFree(dout));
	printf("tiles: all right\n");
}

static void check_images(CUfunction fn)
{
	static uint16_t image[IMAGES][IMAGE][IMAGE][CHANNELS], got[32][CHANNELS];
	const cuuint64_t size[4] = {CHANNELS, IMAGE, IMAGE, IMAGES};
	const cuuint64_t bytes[3] = {sizeof(image[0][0][0]), sizeof(image[0][0]), sizeof(image[0])};
	const int lower[2] = {-1, -1}, upper[2] = {-1, -1};
	CUdeviceptr di, dout = device_alloc(sizeof(got));
	int w = -1, h = 1, n = 1, x = w, y = h, k = n;
	CUtensorMap map;

	random_fill(image, sizeof(image), 5);
	di = upload(image, sizeof(image));
	CU(cuTensorMapEncodeIm2col(
		&map, CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 4, (void *)di, size, bytes, lower, upper,
		CHANNELS, 32, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
		CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
	LAUNCH(fn, 1, 1, 0, NULL, &map, &dout, &w, &h, &n);
	CU(cuCtxSynchronize());
	download(got, dout, sizeof(got));
	for (int p = 0; p < 32; p++) {
		const int px = x + 1, py = y + 1;
		const bool inside = k < IMAGES && px >= 0 && px < IMAGE && py >= 0 && py < IMAGE;
		static const uint16_t zeros[CHANNELS];

		CHECK(!memcmp(got[p], inside ? image[k][py][px] : zeros, sizeof(zeros)),
		      "pixel %d is wrong", p);
		if (++x > IMAGE - 2) {
			x = -1;
			if (++y > IMAGE - 2) {
				y = -1;
				k++;
			}
		}
	}
	CU(cuMemFree(di));
	CU(cuMemFree(dout));
	printf("images: all right\n");
}

#define REFUSED(call) CHECK((call) != CUDA_SUCCESS, "%s is not refused", #call)

static void check_refusals(void)
{
	const cuuint32_t empty[2] = {16, 0}, large[2] = {16, 257}, odd[2] = {3, 1};
	CUdeviceptr at = device_alloc(sizeof(float) * WIDTH * HEIGHT);
	const int corner[3] = {0, 0, 0};
	CUtensorMap map;

	REFUSED(encode(NULL, at, box, CU_TENSOR_MAP_SWIZZLE_NONE));
	REFUSED(encode(&map, 0, box, CU_TENSOR_MAP_SWIZZLE_NONE));
	REFUSED(encode(&map, at + 4, box, CU_TENSOR_MAP_SWIZZLE_NONE));
	REFUSED(encode(&map, at, NULL, CU_TENSOR_MAP_SWIZZLE_NONE));
	REFUSED(encode(&map, at, empty, CU_TENSOR_MAP_SWIZZLE_NONE));
	REFUSED(encode(&map, at, large, CU_TENSOR_MAP_SWIZZLE_NONE));
	REFUSED(encode(&map, at, odd, CU_TENSOR_MAP_SWIZZLE_NONE));
	REFUSED(encode(&map, at, box, CU_TENSOR_MAP_SWIZZLE_32B));
	REFUSED(encode(&map, at, box, (CUtensorMapSwizzle)99));
	for (cuuint32_t rank = 0; rank < 8; rank += 6)
		REFUSED(cuTensorMapEncodeTiled(
			&map, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, rank, (void *)at, dims, strides, box,
			steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
			CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
	REFUSED(cuTensorMapEncodeIm2col(
		&map, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 2, (void *)at, dims, strides, corner, corner,
		4, 1, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
		CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
	REFUSED(cuTensorMapEncodeIm2colWide(
		&map, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 2, (void *)at, dims, strides, 0, 0, 4, 1,
		steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_IM2COL_WIDE_MODE_W,
		CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_L2_PROMOTION_NONE,
		CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
	REFUSED(cuTensorMapReplaceAddress(NULL, (void *)at));
	CU(cuMemFree(at));
	CU(cuCtxSynchronize());
}

int main(void)
{
	CUdevice dev = start();
	CUmodule module;
	int has = 0;

	CU(cuDeviceGetAttribute(&has, CU_DEVICE_ATTRIBUTE_TENSOR_MAP_ACCESS_SUPPORTED, dev));
	if (has) {
		module = load(text);
		check_tiles(function(module, "tile"));
		check_images(function(module, "pixels"));
		check_refusals();
		CU(cuModuleUnload(module));
	} else {
		printf("tiles: all right\nimages: all right\n");
	}
	finish();
	return 0;
}
