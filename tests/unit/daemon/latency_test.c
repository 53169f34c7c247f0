/* SPDX-License-Identifier: MIT */
/* Histograms of times, and a snapshot's forms: bytes that are none are refused. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/statistics/statistics.h"

START_TEST(buckets)
{
	static const struct {
		uint64_t ns;
		unsigned int bucket;
	} cases[] = {
		{0, 0},           {1, 0},           {1000, 0},        {1001, 1},     {2000, 1},
		{2001, 2},        {4000, 2},        {1000000, 10},    {1024000, 10}, {1024001, 11},
		{4194304000, 22}, {4194304001, 23}, {UINT64_MAX, 23},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_uint_eq(pvgpu_latency_bucket(cases[i].ns), cases[i].bucket);
}
END_TEST

START_TEST(percentiles)
{
	struct pvgpu_latency l = {0};

	ck_assert_uint_eq(pvgpu_latency_percentile_us(&l, 99), 0);
	ck_assert_uint_eq(pvgpu_latency_average_us(&l), 0);
	/* 1 to 100 ms: each percentile lies in its own bucket. */
	for (unsigned int ms = 1; ms <= 100; ms++)
		pvgpu_latency_add(&l, ms * 1000000ull);
	ck_assert_uint_eq(pvgpu_latency_count(&l), 100);
	ck_assert_uint_eq(pvgpu_latency_average_us(&l), 50500);
	ck_assert_uint_eq(pvgpu_latency_percentile_us(&l, 50), 65536);
	ck_assert_uint_eq(pvgpu_latency_percentile_us(&l, 32), 32768);
	ck_assert_uint_eq(pvgpu_latency_percentile_us(&l, 95), 131072);
	ck_assert_uint_eq(pvgpu_latency_percentile_us(&l, 1), 1024);
	/* One that is far out moves the maximum only. */
	pvgpu_latency_add(&l, UINT64_MAX / 4);
	ck_assert_uint_eq(pvgpu_latency_percentile_us(&l, 99), 131072);
	ck_assert_uint_eq(pvgpu_latency_percentile_us(&l, 100), 1u << 23);
}
END_TEST

#define UUID "6f0c7d1e-2b7a-4d3c-9a57-2d8e1f3b4c60"

/* A snapshot of one GPU and n vGPUs. */
static void *snapshot(uint32_t n, size_t *size)
{
	struct pvgpu_snapshot_header *h;
	struct pvgpu_daemon_record *own;
	struct pvgpu_gpu_record *gpu;
	struct pvgpu_vgpu_record *v;

	*size = sizeof(*h) + sizeof(*own) + sizeof(*gpu) + n * sizeof(*v);
	h = calloc(1, *size);
	own = (void *)(h + 1);
	gpu = (void *)(own + 1);
	v = (void *)(gpu + 1);
	*h = (struct pvgpu_snapshot_header){
		.magic = PVGPU_SNAPSHOT_MAGIC,
		.layout = PVGPU_STATISTICS_LAYOUT,
		.gpus = 1,
		.vgpus = n,
		.daemon_size = sizeof(*own),
		.gpu_size = sizeof(*gpu),
		.vgpu_size = sizeof(*v),
		.event_size = sizeof(struct pvgpu_event_record),
	};
	strcpy(own->version, "1\"\\");
	strcpy(gpu->name, "default");
	strcpy(gpu->uuid, "GPU-" UUID);
	memset(gpu->model, 'm', sizeof(gpu->model)); /* without a NUL */
	for (uint32_t i = 0; i < n; i++) {
		strcpy(v[i].name, "xen-12345-0-0a8d5e0c");
		snprintf(v[i].vm, sizeof(v[i].vm), "a-vm-with-a-name-%u", i);
		strcpy(v[i].vm_uuid, UUID);
		strcpy(v[i].pool, "default");
		v[i].value[PVGPU_VGPU_GPU_TIME] = 1234567890123;
		for (unsigned int k = 0; k < PVGPU_VGPU_HIST_N; k++)
			for (unsigned int b = 0; b < PVGPU_LATENCY_BUCKETS; b++)
				v[i].latency[k].n[b] = 1000000000;
	}
	return h;
}

START_TEST(refused)
{
	char why[STATISTICS_WHY];
	struct statistics s;
	size_t size;
	struct pvgpu_snapshot_header *h;

	for (size_t cut = 0; cut < 3; cut++) {
		h = snapshot(2, &size);
		ck_assert_int_eq(statistics_take(&s, h, cut * size / 3, why), -EPROTO);
		ck_assert_ptr_null(s.header);
	}
	h = snapshot(2, &size);
	h->vgpus = UINT32_MAX;
	ck_assert_int_eq(statistics_take(&s, h, size, why), -EPROTO);
	h = snapshot(2, &size);
	h->layout++;
	ck_assert_int_eq(statistics_take(&s, h, size, why), -EPROTO);
	ck_assert_ptr_nonnull(strstr(why, "another version"));
}
END_TEST

START_TEST(forms)
{
	char why[STATISTICS_WHY];
	struct text t = {0};
	struct statistics s;
	size_t size;
	void *bytes = snapshot(100, &size);

	ck_assert_int_eq(statistics_take(&s, bytes, size, why), 0);
	ck_assert_uint_eq(strlen(s.gpus[0].model), sizeof(s.gpus[0].model) - 1);
	statistics_metrics(&t, &s);
	ck_assert(!t.failed);
	/* 100 vGPUs with numbers that are long fit into a scrape. */
	ck_assert_uint_le(t.n, 2u << 20);
	ck_assert_ptr_nonnull(strstr(t.bytes, "pvgpu_daemon_info{version=\"1\\\"\\\\\"} 1\n"));
	ck_assert_ptr_nonnull(strstr(
		t.bytes,
		"pvgpu_vgpu_gpu_seconds_total{vm=\"a-vm-with-a-name-17\",vm_uuid=\"" UUID
		"\",vgpu=\"0\",pool=\"default\",gpu_uuid=\"GPU-" UUID "\"} 1234567.890123\n"));
	ck_assert_ptr_nonnull(strstr(t.bytes, "le=\"4.194304\"} 23000000000\n"));
	ck_assert_ptr_nonnull(strstr(t.bytes, "le=\"+Inf\"} 24000000000\n"));
	text_free(&t);
	statistics_json(&t, &s, "none of that name");
	ck_assert_ptr_nonnull(strstr(t.bytes, "\"vgpus\":[]}\n"));
	text_free(&t);
	statistics_free(&s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("latency");
	TCase *tc = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(tc, buckets);
	tcase_add_test(tc, percentiles);
	tcase_add_test(tc, refused);
	tcase_add_test(tc, forms);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
