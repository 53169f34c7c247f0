/* SPDX-License-Identifier: MIT */
/* Copies of boxes of tensors, against a calculation element by element. */
#include "tests/simcuda/test/ptx_case.h"

enum { TENSOR = 1 << 16, SHARED = 32768 };

struct case_ {
	struct ptx_tensor_map map;
	int32_t at[5];
	uint16_t offsets[3];
	const char *insn; /* up to the operands */
	bool policy, store;
	uint16_t ranks; /* 0: no multicast */
};

static uint8_t tensor[TENSOR], after[TENSOR], box[4][SHARED], want[SHARED];
static uint32_t seed;

static uint32_t pick(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static uint32_t count_of(const struct ptx_tensor_map *m, int n)
{
	return (m->box[n] + m->step[n] - 1u) / m->step[n];
}

static uint32_t rows_of(const struct ptx_tensor_map *m)
{
	uint32_t rows = m->is_im2col ? m->pixels : 1;

	for (int n = 1; n < m->rank && !m->is_im2col; n++)
		rows *= count_of(m, n);
	return rows;
}

static uint32_t columns_of(const struct ptx_tensor_map *m)
{
	return m->is_im2col ? m->channels : count_of(m, 0);
}

/* Coordinates of element k of row r of the box. */
static void coordinates(const struct case_ *t, uint32_t r, uint32_t k, int64_t c[5])
{
	const struct ptx_tensor_map *m = &t->map;

	for (int n = 0; n < m->rank; n++)
		c[n] = t->at[n];
	if (!m->is_im2col) {
		c[0] += (int64_t)k * m->step[0];
		for (int n = 1; n < m->rank; n++) {
			c[n] += (int64_t)(r % count_of(m, n)) * m->step[n];
			r /= count_of(m, n);
		}
		return;
	}
	c[0] += k;
	for (; r; r--) { /* the pixel after this one */
		int n = 1;

		for (; n < m->rank - 1; n++) {
			c[n] += m->step[n];
			if (c[n] <= (int64_t)m->last[n] + m->upper[n - 1])
				break;
			c[n] = m->lower[n - 1];
		}
		c[n] += n == m->rank - 1;
	}
	for (int n = 1; n < m->rank - 1; n++)
		c[n] += t->offsets[n - 1];
}

/* The element's place in the tensor; -1: outside. */
static int64_t place(const struct ptx_tensor_map *m, const int64_t c[5])
{
	int64_t at = c[0] * ptx_tensor_bytes(m->element);

	for (int n = 0; n < m->rank; n++) {
		if (c[n] < 0 || c[n] > m->last[n])
			return -1;
		at += n ? c[n] * (int64_t)m->stride[n - 1] : 0;
	}
	return at;
}

/* Where a byte of the box lies in shared memory, at a multiple of 1024. */
static uint32_t shared_at(const struct ptx_tensor_map *m, uint32_t offset)
{
	static const uint32_t lines[] = {1, 2, 4, 8}; /* units of 16 bytes that change places */
	const uint32_t n = lines[m->swizzle], unit = offset / 16 % 8, line = offset / 128 % 8;
	/* of 128 bytes by each line's number, of 64 by that of two, of 32 by that of four */
	const uint32_t key = line % n;

	return offset / 128 * 128 + ((unit ^ key) * 16) + offset % 16;
}

static const char *sources[] = {"map", "const", "param"};

/* The kernel's memory: the tensor, the map, and what the blocks' boxes hold afterwards. */
static enum ptx_step run(const struct case_ *t, int source, uint32_t blocks,
			 struct ptx_fault *fault)
{
	const struct ptx_tensor_map *m = &t->map;
	const uint32_t bytes = rows_of(m) * columns_of(m) * ptx_tensor_bytes(m->element);
	static char text[8192];
	char operands[256], offsets[64] = "", hint[16] = "", ranks[16] = "";
	struct ptx_tensor_map map = *m;
	struct ptx_world w;
	uint8_t *data, *out, *at;
	enum ptx_step s;
	int n = 0;

	for (int k = 0; k < m->rank; k++)
		n += snprintf(operands + n, sizeof(operands) - (size_t)n, "%s%d", k ? ", " : "{",
			      t->at[k]);
	snprintf(operands + n, sizeof(operands) - (size_t)n, "}");
	if (m->is_im2col && !t->store) {
		n = 0;
		for (int k = 0; k < m->rank - 2; k++)
			n += snprintf(offsets + n, sizeof(offsets) - (size_t)n, "%s%u",
				      k ? ", " : ", {", t->offsets[k]);
		snprintf(offsets + n, sizeof(offsets) - (size_t)n, "}");
	}
	if (t->policy)
		snprintf(hint, sizeof(hint), ", policy");
	if (t->ranks)
		snprintf(ranks, sizeof(ranks), ", %u", t->ranks);
	n = snprintf(
		text, sizeof(text),
		PTX_HEAD
		".const .align 64 .b8 cmap[128];\n.shared .align 1024 .b8 sh[32768];\n"
		".shared .align 8 .b64 bar;\n.visible .entry k(.param .align 64 .b8 pmap[128], "
		".param .u64 map, .param .u64 io)\n{\n.reg .b64 policy, m, d, s;\n.reg .b32 i, "
		"v, a, x<4>;\n.reg .pred p, q;\nmov.b64 policy, 1;\nld.param.u64 d, [io];\n"
		"mov.u32 i, %%ctaid.x;\nmul.wide.u32 s, i, 32768;\nadd.u64 d, d, s;\n%s"
		"fence.proxy.tensormap::generic.acquire.gpu [m], 128;\nprefetch.tensormap "
		"[m];\nmov.u32 a, sh;\nmov.u32 i, 0;\nFILL:\nadd.u32 v, a, i;\ncvt.u64.u32 s, "
		"i;\nadd.u64 s, s, d;\nld.global.v4.u32 {x0, x1, x2, x3}, [s];\n"
		"st.shared.v4.u32 [v], {x0, x1, x2, x3};\nadd.u32 i, i, 16;\n"
		"setp.lt.u32 p, i, 32768;\n@p bra FILL;\n"
		"mbarrier.init.shared.b64 [bar], 1;\nbarrier.cluster.arrive;\n"
		"barrier.cluster.wait;\n",
		source == 0   ? "ld.param.u64 m, [map];\n"
		: source == 1 ? "mov.u64 m, cmap;\ncvta.const.u64 m, m;\n"
			      : "mov.b64 m, pmap;\ncvta.param.u64 m, m;\n");
	if (t->store)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      "fence.proxy.async.shared::cta;\n%s [m, %s], [sh]%s;\n"
			      "cp.async.bulk.commit_group;\ncp.async.bulk.wait_group 0;\n",
			      t->insn, operands, hint);
	else
		n += snprintf(
			text + n, sizeof(text) - (size_t)n,
			"mov.u32 v, %%cluster_ctarank;\nmov.u32 i, 1;\nshl.b32 i, i, v;\nand.b32 "
			"i, i, %u;\nsetp.ne.u32 p, i, 0;\nsetp.ne.u32 q, v, 0;\n"
			"@p mbarrier.arrive.expect_tx.shared.b64 _, [bar], %u;\n"
			"@!q %s [sh], [m, %s], [bar]%s%s%s;\n@!p bra DONE;\nWAIT:\n"
			"mbarrier.try_wait.parity.shared.b64 q, [bar], 0;\n@!q bra WAIT;\n"
			"DONE:\nbarrier.cluster.arrive;\nbarrier.cluster.wait;\n",
			t->ranks ? t->ranks : 1, bytes, t->insn, operands, offsets, ranks, hint);
	snprintf(text + n, sizeof(text) - (size_t)n,
		 "mov.u32 i, 0;\nBACK:\nadd.u32 v, a, i;\ncvt.u64.u32 s, i;\nadd.u64 s, s, d;\n"
		 "ld.shared.v4.u32 {x0, x1, x2, x3}, [v];\n"
		 "st.global.v4.u32 [s], {x0, x1, x2, x3};\nadd.u32 i, i, 16;\n"
		 "setp.lt.u32 p, i, 32768;\n@p bra BACK;\nret;\n}\n");
	world_open(&w, text);
	data = world_alloc(&w, TENSOR);
	out = world_alloc(&w, (size_t)SHARED * blocks);
	at = world_alloc(&w, 256);
	memcpy(data, tensor, TENSOR);
	memcpy(out, box, (size_t)SHARED * blocks);
	map.base = (uintptr_t)data;
	memcpy(at, &map, sizeof(map));
	memcpy(w.mem, &map, sizeof(map)); /* the constant is the only global */
	world_param(&w, 0, at);
	world_param_ptr(&w, 1, at);
	world_param_ptr(&w, 2, out);
	w.launch.grid[0] = blocks;
	w.launch.cluster[0] = blocks;
	w.launch.cluster[1] = w.launch.cluster[2] = 1;
	w.launch.block[0] = 1;
	s = world_run(&w, fault);
	memcpy(after, data, TENSOR);
	memcpy(box, out, (size_t)SHARED * blocks);
	world_close(&w);
	return s;
}

static void make_tensor(struct case_ *t, uint32_t rank, uint32_t element)
{
	struct ptx_tensor_map *m = &t->map;
	const uint32_t bytes = ptx_tensor_bytes(element);
	uint64_t stride;

	memset(t, 0, sizeof(*t));
	m->magic = PTX_TENSOR_MAGIC;
	m->rank = (uint8_t)rank;
	m->element = (uint8_t)element;
	m->last[0] = 5 + pick(30);
	stride = ((m->last[0] + 1) * bytes + 15) / 16 * 16 + 16 * pick(2);
	for (uint32_t n = 0; n < rank; n++) {
		if (n) {
			m->last[n] = 1 + pick(4);
			m->stride[n - 1] = stride;
			stride *= m->last[n] + 1;
		}
		m->step[n] = 1;
		m->box[n] = (uint16_t)(n ? 1 + pick(4) : (1 + pick(2)) * 16 / bytes);
		t->at[n] = (int32_t)pick(m->last[n] + 4) - 2;
	}
	ck_assert_uint_le(stride, TENSOR);
}

static void fill(void)
{
	for (uint32_t i = 0; i < TENSOR; i++)
		tensor[i] = (uint8_t)pick(256);
	for (uint32_t i = 0; i < sizeof(box); i++)
		box[i / SHARED][i % SHARED] = (uint8_t)pick(256);
}

static void loads(const struct case_ *t, int source)
{
	const struct ptx_tensor_map *m = &t->map;
	const uint32_t bytes = ptx_tensor_bytes(m->element), columns = columns_of(m);
	const uint32_t blocks = t->ranks ? 4 : 1;
	struct ptx_fault f = {0};
	int64_t c[5];

	fill();
	memcpy(want, box[0], SHARED);
	for (uint32_t r = 0; r < rows_of(m); r++) {
		for (uint32_t k = 0; k < columns; k++) {
			int64_t at;

			coordinates(t, r, k, c);
			at = place(m, c);
			for (uint32_t b = 0; b < bytes; b++) {
				uint8_t outside = !m->fill_nan ? 0 : b == bytes - 1 ? 0x7f : 0xff;

				want[shared_at(m, (r * columns + k) * bytes + b)] =
					at < 0 ? outside : tensor[at + b];
			}
		}
	}
	for (uint32_t b = 1; b < blocks; b++)
		memcpy(box[b], box[0], SHARED);
	static uint8_t before[SHARED];

	memcpy(before, box[0], SHARED);
	ck_assert_msg(run(t, source, blocks, &f) == PTX_DONE,
		      "%s of %s: fault %d at %#llx, line %u", t->insn, sources[source], f.kind,
		      (unsigned long long)f.address, f.line);
	for (uint32_t b = 0; b < blocks; b++) {
		const uint8_t *is = (t->ranks ? t->ranks : 1) >> b & 1 ? want : before;

		for (uint32_t i = 0; i < SHARED; i++)
			if (box[b][i] != is[i])
				ck_abort_msg("%s: byte %u of block %u is %#x, not %#x (swizzle %u)",
					     t->insn, i, b, box[b][i], is[i], m->swizzle);
	}
}

static void swizzle(struct case_ *t, uint32_t way)
{
	struct ptx_tensor_map *m = &t->map;

	m->swizzle = (uint8_t)way;
	if (way) /* as wide as the swizzle */
		m->box[0] = (uint16_t)((16u << way) / ptx_tensor_bytes(m->element));
}

START_TEST(tiles)
{
	char insn[160];

	seed = 7;
	for (int i = 0; i < 240; i++) {
		struct case_ t;

		make_tensor(&t, 1 + (uint32_t)i % 5, (uint32_t)i % PTX_TENSOR_ELEMENTS);
		if (i % 3 == 1)
			t.map.step[pick(t.map.rank)] = (uint8_t)(1 + pick(3));
		else
			swizzle(&t, (uint32_t)i / 3 % 4);
		t.map.fill_nan = t.map.element >= PTX_TENSOR_F16 && i % 2;
		t.policy = i % 4 == 1;
		t.ranks = i % 7 == 3 ? 13 : 0;
		snprintf(insn, sizeof(insn),
			 "cp.async.bulk.tensor.%ud.shared::%s.global%s.mbarrier::complete_tx::bytes"
			 "%s%s",
			 t.map.rank, i % 3 && !t.ranks ? "cta" : "cluster", i % 2 ? ".tile" : "",
			 t.ranks ? ".multicast::cluster" : "", t.policy ? ".L2::cache_hint" : "");
		t.insn = insn;
		loads(&t, i % 3);
	}
}
END_TEST

static void make_image(struct case_ *t, int i)
{
	struct ptx_tensor_map *m = &t->map;

	make_tensor(t, 3 + (uint32_t)i % 3, (uint32_t)i % PTX_TENSOR_ELEMENTS);
	m->is_im2col = 1;
	m->channels = (uint16_t)(16 / ptx_tensor_bytes(m->element));
	m->pixels = (uint16_t)(1 + pick(40));
	for (int n = 1; n < m->rank - 1; n++) {
		m->lower[n - 1] = (int16_t) - (int)pick(3);
		m->upper[n - 1] = (int16_t)((int)pick(3) - 1);
		m->step[n] = (uint8_t)(1 + pick(2));
		t->at[n] = m->lower[n - 1] + m->step[n] * (int32_t)pick(2);
		t->offsets[n - 1] = (uint16_t)pick(3);
	}
}

START_TEST(images)
{
	char insn[160];

	seed = 11;
	for (int i = 0; i < 120; i++) {
		struct case_ t;

		make_image(&t, i);
		t.map.swizzle = 0;
		t.policy = i % 4 == 1;
		t.ranks = i % 5 == 3 ? 6 : 0;
		snprintf(insn, sizeof(insn),
			 "cp.async.bulk.tensor.%ud.shared::%s.global.im2col.mbarrier::complete_tx::"
			 "bytes%s%s",
			 t.map.rank, i % 2 && !t.ranks ? "cta" : "cluster",
			 t.ranks ? ".multicast::cluster" : "", t.policy ? ".L2::cache_hint" : "");
		t.insn = insn;
		loads(&t, i % 3);
	}
}
END_TEST

static void stores(struct case_ *t, uint64_t (*combine)(uint64_t old, uint64_t v))
{
	const struct ptx_tensor_map *m = &t->map;
	const uint32_t bytes = ptx_tensor_bytes(m->element), columns = columns_of(m);
	static uint8_t expected[TENSOR];
	struct ptx_fault f = {0};
	int64_t c[5];

	t->store = true;
	memset(t->offsets, 0, sizeof(t->offsets));
	fill();
	memcpy(expected, tensor, TENSOR);
	for (uint32_t r = 0; r < rows_of(m); r++) {
		for (uint32_t k = 0; k < columns; k++) {
			uint64_t old = 0, v = 0;
			int64_t at;

			coordinates(t, r, k, c);
			at = place(m, c);
			if (at < 0)
				continue;
			for (uint32_t b = 0; b < bytes; b++) {
				const uint32_t from = shared_at(m, (r * columns + k) * bytes + b);

				v |= (uint64_t)box[0][from] << 8 * b;
			}
			memcpy(&old, expected + at, bytes);
			v = combine ? combine(old, v) : v;
			memcpy(expected + at, &v, bytes);
		}
	}
	ck_assert_msg(run(t, 0, 1, &f) == PTX_DONE, "%s: fault %d at %#llx, line %u", t->insn,
		      f.kind, (unsigned long long)f.address, f.line);
	for (uint32_t i = 0; i < TENSOR; i++)
		if (after[i] != expected[i])
			ck_abort_msg("%s: byte %u is %#x, not %#x", t->insn, i, after[i],
				     expected[i]);
}

START_TEST(boxes_to_tensors)
{
	char insn[160];

	seed = 13;
	for (int i = 0; i < 160; i++) {
		const bool image = i % 4 == 3;
		struct case_ t;

		if (image) {
			make_image(&t, i / 4);
		} else {
			make_tensor(&t, 1 + (uint32_t)i % 5, (uint32_t)i % PTX_TENSOR_ELEMENTS);
			swizzle(&t, (uint32_t)i % 4);
		}
		t.policy = i % 5 == 1;
		snprintf(insn, sizeof(insn),
			 "cp.async.bulk.tensor.%ud.global.shared::cta%s.bulk_group%s", t.map.rank,
			 image   ? ".im2col_no_offs"
			 : i % 2 ? ".tile"
				 : "",
			 t.policy ? ".L2::cache_hint" : "");
		t.insn = insn;
		stores(&t, NULL);
	}
}
END_TEST

#define COMBINE(name, expression)                                                                  \
	static uint64_t combine_##name(uint64_t old, uint64_t v)                                   \
	{                                                                                          \
		const uint32_t a = (uint32_t)old, b = (uint32_t)v;                                 \
		return (uint32_t)(expression);                                                     \
	}
COMBINE(add, a + b)
COMBINE(min, a < b ? a : b)
COMBINE(max, a > b ? a : b)
COMBINE(inc, a >= b ? 0 : a + 1)
COMBINE(dec, a == 0 || a > b ? b : a - 1)
COMBINE(and, a &b)
COMBINE(or, a | b)
COMBINE(xor, a ^ b)

START_TEST(reductions)
{
	static const struct {
		const char *name;
		uint64_t (*combine)(uint64_t old, uint64_t v);
	} ops[] = {{"add", combine_add}, {"min", combine_min}, {"max", combine_max},
		   {"inc", combine_inc}, {"dec", combine_dec}, {"and", combine_and},
		   {"or", combine_or},   {"xor", combine_xor}};
	char insn[160];

	seed = 17;
	for (int i = 0; i < 160; i++) {
		const bool image = i / 8 % 4 == 3;
		struct case_ t;

		if (image)
			make_image(&t, 2 + 13 * (i / 8));
		else
			make_tensor(&t, 1 + (uint32_t)(i / 8) % 5, PTX_TENSOR_U32);
		if (image) {
			t.map.element = PTX_TENSOR_U32;
			t.map.channels = 4;
			t.map.last[0] = 5;
		}
		t.policy = i % 3 == 1;
		snprintf(insn, sizeof(insn),
			 "cp.reduce.async.bulk.tensor.%ud.global.shared::cta.%s%s.bulk_group%s",
			 t.map.rank, ops[i % 8].name,
			 image       ? ".im2col_no_offs"
			 : i / 8 % 2 ? ".tile"
				     : "",
			 t.policy ? ".L2::cache_hint" : "");
		t.insn = insn;
		stores(&t, ops[i % 8].combine);
	}
}
END_TEST

/* Nothing is read; also the fences. */
START_TEST(hints)
{
	static const char *const scopes[] = {"cta", "cluster", "gpu", "sys"};
	char text[4096];
	struct ptx_world w;
	int n = snprintf(text, sizeof(text),
			 PTX_HEAD ".visible .entry k(.param .align 64 .b8 m[128])\n{\n.reg .b64 "
				  "a, policy;\nmov.b64 a, 0;\nmov.b64 policy, 1;\n"
				  "prefetch.param.tensormap [m];\nprefetch.const.tensormap [a];\n");

	for (int i = 0; i < 4; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      "fence.proxy.tensormap::generic.release.%s;\n"
			      "fence.proxy.tensormap::generic.acquire.%s [a], 128;\n",
			      scopes[i], scopes[i]);
	for (int i = 0; i < 20; i++) {
		static const char *const at[] = {"1", "1, 2", "1, 2, 3", "1, 2, 3, 4",
						 "1, 2, 3, 4, 5"};
		static const char *const offsets[] = {"", "", ", {1}", ", {1, 2}", ", {1, 2, 3}"};
		const int rank = i % 5;
		const bool image = rank > 1 && i / 5 % 2;

		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      "cp.async.bulk.prefetch.tensor.%dd.L2.global%s%s [a, {%s}]%s%s;\n",
			      rank + 1,
			      image   ? ".im2col"
			      : i % 2 ? ".tile"
				      : "",
			      i / 10 ? ".L2::cache_hint" : "", at[rank], image ? offsets[rank] : "",
			      i / 10 ? ", policy" : "");
	}
	snprintf(text + n, sizeof(text) - (size_t)n, "ret;\n}\n");
	world_open(&w, text);
	world_run_ok(&w);
	world_close(&w);
}
END_TEST

START_TEST(faults)
{
	struct ptx_fault f;
	struct case_ t, bad;
	const struct {
		size_t at;
		uint8_t value;
	} wrong[] = {{offsetof(struct ptx_tensor_map, magic), 0},
		     {offsetof(struct ptx_tensor_map, element), PTX_TENSOR_ELEMENTS},
		     {offsetof(struct ptx_tensor_map, swizzle), 4},
		     {offsetof(struct ptx_tensor_map, box) + 1, 255}};

	seed = 19;
	make_tensor(&t, 2, PTX_TENSOR_U8);
	t.insn = "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes";
	fill();
	ck_assert_int_eq(run(&t, 0, 1, &f), PTX_DONE);
	for (size_t i = 0; i < CASE_COUNT(wrong); i++) {
		bad = t;
		((uint8_t *)&bad.map)[wrong[i].at] = wrong[i].value;
		ck_assert_int_eq(run(&bad, 0, 1, &f), PTX_FAULTED);
		ck_assert_int_eq(f.kind, PTX_FAULT_INSTRUCTION);
	}
	bad = t; /* a tensor that is larger than the memory */
	bad.map.stride[0] = 1ull << 39;
	bad.at[0] = bad.at[1] = 0;
	bad.map.box[1] = 2;
	ck_assert_int_eq(run(&bad, 0, 1, &f), PTX_FAULTED);
	ck_assert_int_eq(f.kind, PTX_FAULT_ADDRESS);
	expect_invalid(PTX_HEAD ".visible .entry k() {\n.reg .b64 %d;\n.reg .b32 %r;\n"
				"cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_"
				"tx::bytes [%r], [%d, {%r}], [%r];\n}\n",
		       "operand 2 of 'cp.async.bulk.tensor.2d");
	expect_invalid(PTX_HEAD ".visible .entry k() {\n.reg .b64 %d;\n.reg .b32 %r;\n"
				"cp.async.bulk.tensor.2d.shared::cluster.global.im2col.mbarrier::"
				"complete_tx::bytes [%r], [%d, {%r, %r}], [%r];\n}\n",
		       "unknown instruction 'cp.async.bulk.tensor.2d");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_tensor");
	TCase *t = tcase_create("tensor");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, tiles);
	tcase_add_test(t, images);
	tcase_add_test(t, boxes_to_tensors);
	tcase_add_test(t, reductions);
	tcase_add_test(t, hints);
	tcase_add_test(t, faults);
	suite_add_tcase(s, t);
	return run_suite(s);
}
