/* SPDX-License-Identifier: MIT */
/* The cost of the watchdog's looks: on a simulated GPU it asks the kernel for the time for which
 * workers have waited for a processor. */
#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/account.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/guard/watchdog.h"

#define MS     1000000ull
#define MANY   36u
#define KERNEL (100 * MS) /* of each vGPU, one behind the other on the GPU */

static struct daemon d;
static struct pool pool, *pools = &pool;
static struct vgpu vgpus[MANY], *list[MANY];
static struct worker workers[MANY];
static uint64_t clock_ns, oldest[MANY];
static unsigned int asked;
static bool busy; /* each has had the GPU for its part of the time */

int __wrap_clock_gettime(clockid_t id, struct timespec *t);
DIR *__wrap_opendir(const char *path);

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	*t = (struct timespec){.tv_sec = (time_t)(clock_ns / (1000 * MS)),
			       .tv_nsec = (long)(clock_ns % (1000 * MS))};
	return 0;
}

DIR *__wrap_opendir(const char *path)
{
	asked++;
	return NULL;
}

uint64_t now_ms(void)
{
	return clock_ns / MS;
}

bool share_gate_read(const struct worker *w, struct pvgpu_gate_report *out)
{
	*out = (struct pvgpu_gate_report){.inflight_ns = KERNEL, .oldest_ns = oldest[w - workers]};
	return true;
}

uint64_t share_gate_others_ns(const struct worker *w)
{
	return busy ? clock_ns / MANY * (MANY - 1) : 0;
}

uint64_t share_gate_closed_ns(const struct worker *w)
{
	return 0;
}

void share_gate_ask(struct worker *w)
{
}

void share_gate_hold(struct worker *w, bool on)
{
	ck_abort_msg("worker %u is held", (unsigned int)(w - workers));
}

bool account_used(const struct worker *w, uint64_t *ns)
{
	*ns = 0;
	return false;
}

void faults_kill(struct worker *w, enum fault kind, const char *fmt, ...)
{
	ck_abort_msg("worker %u is ended", (unsigned int)(w - workers));
}

const char *worker_name(const struct worker *w)
{
	return "worker";
}

static void setup(void)
{
	clock_ns = 1000000 * MS;
	asked = 0;
	busy = false;
	d.loop = ev_loop_new(EVFLAG_AUTO);
	d.pools = &pools;
	d.pool_n = 1;
	d.vgpus = list;
	d.vgpu_n = MANY;
	strcpy(pool.model, "pvgpu simulated GPU");
	TAILQ_INIT(&d.workers);
	for (unsigned int i = 0; i < MANY; i++) {
		list[i] = &vgpus[i];
		vgpus[i].pool = &pool;
		vgpus[i].cfg.policy.kernel_limit = 10000;
		workers[i] = (struct worker){
			.d = &d, .vgpu = &vgpus[i], .state = CHECK_SERVING, .started_ms = now_ms()};
		TAILQ_INSERT_TAIL(&d.workers, &workers[i], link);
		oldest[i] = clock_ns + i * KERNEL;
	}
	watchdog_init(&d);
	watchdog_wake(&d);
}

static void teardown(void)
{
	watchdog_stop(&d);
	ev_loop_destroy(d.loop);
}

static void look(void)
{
	clock_ns += 50 * MS;
	ev_invoke(d.loop, &d.watchdog, EV_TIMER);
}

/* The work of each waits for that of all others: it is old, and none is judged. */
START_TEST(many_that_share_the_gpu)
{
	const uint64_t end = clock_ns + 100 * MANY * KERNEL;

	busy = true;
	while (clock_ns < end) {
		for (unsigned int i = 0; i < MANY; i++)
			if (clock_ns >= oldest[i] + MANY * KERNEL)
				oldest[i] += MANY * KERNEL;
		look();
	}
	ck_assert_uint_eq(asked, 0);
}
END_TEST

/* Where one comes near its limit, its own worker is asked about, once for each look. */
START_TEST(one_long_kernel)
{
	for (unsigned int i = 1; i < MANY; i++)
		oldest[i] = 0;
	while (clock_ns < oldest[0] + 5000 * MS) {
		asked = 0;
		look();
		ck_assert_uint_eq(asked, clock_ns >= oldest[0] + 1250 * MS);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("watchdog");
	TCase *t = tcase_create("watchdog");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, many_that_share_the_gpu);
	tcase_add_test(t, one_long_kernel);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
