/* SPDX-License-Identifier: MIT */
/* vGPUs move between pools and groups: all of it or, when memory runs out anywhere, nothing. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/dispatch/schedule_state.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/dispatch/usage.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"
#include "xen-pvgpu-back/daemon/xen/xenbus.h"

void *__wrap_calloc(size_t n, size_t size);
void *__real_calloc(size_t n, size_t size);

static unsigned int fail_at; /* the n-th allocation from now on fails; 0: none */

void *__wrap_calloc(size_t n, size_t size)
{
	if (fail_at && !--fail_at)
		return NULL;
	return __real_calloc(n, size);
}

/* ---- the rest of pvgpud ---- */

struct usage *usage_open(const char *run_dir)
{
	return NULL;
}

void usage_close(struct usage *u, bool remove)
{
}

void usage_look(struct usage *u)
{
}

struct tenant_stats *usage_of(struct usage *u, const char *name, bool *fresh)
{
	*fresh = true;
	return NULL; /* in the tenant */
}

void usage_forget(struct usage *u, const char *name)
{
}

void xenbus_changed(struct xen_vgpu *x)
{
}

void worker_kill(struct worker *w, const char *fmt, ...)
{
}

int msg_refuse_fds(int sock)
{
	return 0;
}

int msg_send(int sock, const void *msg, size_t len, const int *fds, unsigned int n)
{
	return 0;
}

/* ---- two pools, two groups, and a vGPU of the first of each ---- */

static struct daemon d;
static struct pool pools[2], *pool_list[2] = {&pools[0], &pools[1]};
static struct pool_group groups[2];
static struct vgpu v, other, *vgpu_list[2] = {&v, &other};

static void into(struct vgpu *u, unsigned int pool, struct pool_group *g)
{
	u->pool = &pools[pool];
	u->group = g;
	strcpy(u->cfg.group, g ? g->cfg.name : "");
}

static void add(struct vgpu *u, const char *name)
{
	u->d = &d;
	strcpy(u->cfg.name, name);
	u->cfg.policy = (struct pvgpu_backend_policy){
		.priority = PVGPU_PRIORITY_MEDIUM, .weight = 100, .max_share = SCHED_PPM};
}

static void setup(void)
{
	memset(&d, 0, sizeof(d));
	memset(&v, 0, sizeof(v));
	memset(&other, 0, sizeof(other));
	fail_at = 0;
	d.loop = ev_loop_new(EVFLAG_AUTO);
	d.pools = pool_list;
	d.pool_n = 2;
	d.vgpus = vgpu_list;
	d.vgpu_n = 2;
	TAILQ_INIT(&d.workers);
	for (unsigned int i = 0; i < 2; i++) {
		pools[i] = (struct pool){.d = &d};
		strcpy(pools[i].cfg.name, i ? "second" : "first");
		groups[i] = (struct pool_group){.cfg.weight = 100};
		strcpy(groups[i].cfg.name, i ? "blue" : "red");
	}
	ck_assert_int_eq(share_start(&d), 0);
	add(&v, "v");
	add(&other, "other");
	into(&v, 0, &groups[0]);
	into(&other, 0, NULL);
	ck_assert_int_eq(share_vgpu(&other), 0);
}

static void teardown(void)
{
	fail_at = 0;
	share_stop(&d, false);
	ev_loop_destroy(d.loop);
}

START_TEST(a_vgpu_without_its_group_is_none)
{
	int r = -1;

	for (unsigned int n = 1; r < 0; n++) {
		fail_at = n;
		r = share_vgpu(&v);
		fail_at = 0;
		ck_assert_uint_lt(n, 10);
		ck_assert_ptr_eq(v.tenant == NULL ? NULL : v.share_group, v.share_group);
		ck_assert(r < 0 ? !v.tenant : v.tenant && v.share_group);
		if (n == 1)
			ck_assert_int_lt(r, 0);
	}
	/* And if there was no memory for the group itself. */
	share_vgpu_gone(&v);
	v.group = NULL;
	ck_assert_int_eq(share_vgpu(&v), -ENOMEM);
}
END_TEST

static const struct {
	unsigned int pool;
	struct pool_group *group;
} moves[] = {{1, &groups[0]}, {0, &groups[1]}, {1, &groups[1]}, {1, NULL}};

START_TEST(a_move_is_all_or_nothing)
{
	struct share_group *old;
	unsigned int failed = 0;

	ck_assert_int_eq(share_vgpu(&v), 0);
	old = v.share_group;
	ck_assert_ptr_nonnull(old);
	for (unsigned int n = 1;; n++) {
		int r;

		into(&v, moves[_i].pool, moves[_i].group);
		fail_at = n;
		r = share_moved(&v);
		if (fail_at) {
			/* The move needed fewer allocations than that. */
			fail_at = 0;
			ck_assert_int_eq(r, 0);
			break;
		}
		ck_assert_int_eq(r, -ENOMEM);
		failed++;
		into(&v, 0, &groups[0]);
		ck_assert_ptr_eq(tenant_schedule(v.tenant), pools[0].schedule);
		ck_assert_ptr_eq(v.share_group, old);
		/* The old group still has the vGPU; nothing of the new group is left. */
		share_group_changed(&d, &groups[0]);
		share_group_changed(&d, &groups[1]);
		share_policy(&v);
		ck_assert_int_eq(share_moved(&v), 0);
		ck_assert_ptr_eq(v.share_group, old);
	}
	ck_assert_uint_gt(failed, 0);
	ck_assert_ptr_eq(tenant_schedule(v.tenant), pools[moves[_i].pool].schedule);
	ck_assert_int_eq(!v.share_group, !moves[_i].group);
}
END_TEST

/* A group's rates are those of its vGPUs in all pools together, and go with its last one. */
START_TEST(rates_follow_the_group)
{
	groups[0].cfg.commands_per_s = 500;
	ck_assert_int_eq(share_vgpu(&v), 0);
	ck_assert_ptr_nonnull(groups[0].rates);
	ck_assert_uint_eq(groups[0].rates->commands.per_s, 500);
	ck_assert_ptr_eq(v.tenant->rates, groups[0].rates);
	into(&other, 1, &groups[0]);
	ck_assert_int_eq(share_moved(&other), 0);
	ck_assert_ptr_eq(other.tenant->rates, groups[0].rates);
	groups[0].cfg.commands_per_s = 700;
	groups[0].cfg.bytes_per_s = 9;
	share_group_changed(&d, &groups[0]);
	ck_assert_uint_eq(groups[0].rates->commands.per_s, 700);
	ck_assert_uint_eq(groups[0].rates->bytes.per_s, 9);
	into(&v, 1, &groups[1]);
	ck_assert_int_eq(share_moved(&v), 0);
	ck_assert_ptr_eq(v.tenant->rates, groups[1].rates);
	into(&other, 1, NULL);
	ck_assert_int_eq(share_moved(&other), 0);
	ck_assert_ptr_null(groups[0].rates);
	ck_assert_ptr_null(other.tenant->rates);
	share_vgpu_gone(&v);
	ck_assert_ptr_null(groups[1].rates);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("share");
	TCase *t = tcase_create("share");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_vgpu_without_its_group_is_none);
	tcase_add_test(t, rates_follow_the_group);
	tcase_add_loop_test(t, a_move_is_all_or_nothing, 0,
			    (int)(sizeof(moves) / sizeof(moves[0])));
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
