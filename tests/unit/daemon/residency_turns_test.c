/* SPDX-License-Identifier: MIT */
/*
 * A GPU with less memory than its vGPUs have, in simulated time: what pvgpud's rule of who leaves
 * gives each of them, whatever the machine's load. The test plays the workers, a link that copies
 * one thing at a time each way, and a GPU that those who have their memory there share evenly.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ring/poll.h"
#include "xen-pvgpu-back/contract/log.h"
#include "xen-pvgpu-back/daemon/core/held.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/cgroup/cgroup_files.h"
#include "xen-pvgpu-back/daemon/cgroup/host_memory.h"
#include "xen-pvgpu-back/daemon/workers/parking.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"
#include "xen-pvgpu-back/daemon/workers/residency.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"

#define MIB   (1ull << 20)
#define GIB   (1ull << 30)
#define MS    1000000ull
#define S     (1000 * MS)
#define MOST  128u
#define LINK  25u /* bytes a nanosecond, each way */
#define DRAIN (20 * MS)

enum state { NONE, ASKS, HERE, DRAINS, LEAVES, AWAY, COMES };

/* A vGPU with one session that has allocations of one size: `piece`. */
static struct tenant_model {
	struct vgpu v;
	struct worker w;
	enum state state;
	bool computes;
	bool waits; /* for its turn, always */
	int lies;   /* about the time that copies take it: 1: they are slow, -1: there are none */
	uint64_t bytes, piece, until, gpu_ns, refused, commands;
	uint64_t away, moves; /* bytes that are parked, and that leave now */
	uint32_t question;
	unsigned int turns;
} tenants[MOST];

static struct daemon d;
static struct pool pool, *pools[] = {&pool};
static struct vgpu *vgpus[MOST];
static unsigned int tenant_n;
static uint64_t now_ns, look_ns, busy_ns, copied, link_out, link_in;

/* ---- what pvgpud's other files would do ---- */

int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	*t = (struct timespec){(time_t)(now_ns / S), (long)(now_ns % S)};
	return 0;
}

uint64_t now_ms(void)
{
	return now_ns / MS;
}

void ev_timer_start(struct ev_loop *loop, ev_timer *t)
{
	if (t == &pool.residency)
		look_ns = now_ns + (uint64_t)(t->at * 1e9);
}

void ev_timer_stop(struct ev_loop *loop, ev_timer *t)
{
	if (t == &pool.residency)
		look_ns = UINT64_MAX;
}

uint64_t cgroup_read_number(int dir, const char *file)
{
	return UINT64_MAX;
}

uint64_t host_memory_room(const struct vgpu *v, uint64_t machine)
{
	return UINT64_MAX;
}

int held_set_leased(struct held *h, uint64_t bytes)
{
	return 0;
}

void faults_kill(struct worker *w, enum fault kind, const char *fmt, ...)
{
	ck_abort_msg("%s: %s", worker_name(w), fmt);
}

void judge_lease(struct judge *j, uint64_t leased, uint64_t now)
{
}

void log_line(enum log_level level, const char *fmt, ...)
{
}

bool log_room(struct log_bound *b, uint64_t ms, const char *who)
{
	return false;
}

uint64_t pool_room(const struct vgpu *v)
{
	return 0;
}

uint64_t pool_spare_memory(const struct pool *p)
{
	return 0;
}

void supervise_meminfo(struct worker *w, uint64_t free)
{
}

void vgpu_changed(struct vgpu *v)
{
}

void vgpu_tell(struct vgpu *v)
{
}

uint64_t vgpu_quota(const struct vgpu *v)
{
	return v->cfg.memory;
}

const char *worker_name(const struct worker *w)
{
	return w->vgpu->cfg.name;
}

/* ---- the workers ---- */

static struct tenant_model *of(const struct worker *w)
{
	return &tenants[w->id];
}

bool share_gate_read(const struct worker *w, struct pvgpu_gate_report *out)
{
	struct tenant_model *t = of(w);

	*out = (struct pvgpu_gate_report){
		.wants = t->computes, .drained = !t->computes || t->waits, .commands = t->commands};
	return true;
}

int supervise_tell(struct worker *w, const struct pvgpu_sup *m, int fd)
{
	struct tenant_model *t = of(w);

	ck_assert_uint_eq(m->kind, PVGPU_SUP_PARK);
	ck_assert_uint_eq(m->b & PVGPU_SUP_PARK_BUSY, PVGPU_SUP_PARK_BUSY);
	ck_assert(t->state == HERE || t->state == AWAY);
	t->moves = (m->c >> 32 << 20) + t->piece - 1;
	t->moves -= t->moves % t->piece;
	if (t->moves > t->bytes - t->away)
		t->moves = t->bytes - t->away;
	ck_assert_uint_ge(m->a, t->moves);
	t->question = m->id;
	t->until = now_ns + (t->state == HERE && t->computes ? DRAIN : 0);
	t->state = DRAINS;
	return 0;
}

static uint64_t copy(uint64_t *link, uint64_t bytes)
{
	*link = (*link > now_ns ? *link : now_ns) + bytes / LINK;
	copied += bytes;
	return *link;
}

int supervise_say(struct worker *w, uint32_t kind, uint32_t id, uint64_t a)
{
	struct tenant_model *t = of(w);

	ck_assert_uint_eq(kind, PVGPU_SUP_LEASED);
	if (t->state == AWAY) {
		ck_assert_uint_eq(a, t->away);
		t->state = COMES;
		t->until = copy(&link_in, t->away);
		t->until = t->lies > 0 ? t->until + 20 * S : t->lies ? now_ns : t->until;
		t->turns++;
		return 0;
	}
	ck_assert_int_eq(t->state, ASKS);
	t->refused += !a;
	t->state = a ? HERE : NONE;
	return 0;
}

static void heard(struct tenant_model *t, uint32_t kind, uint32_t id, uint64_t bytes)
{
	const struct pvgpu_sup m = {.kind = kind, .id = id, .a = bytes};

	parking_heard(&t->w, &m);
}

static void wants(struct tenant_model *t)
{
	heard(t, PVGPU_SUP_RESUME, 1, t->away);
}

/* Ends the phase whose time is over. */
static void step(struct tenant_model *t)
{
	if (now_ns < t->until)
		return;
	if (t->state == DRAINS) {
		t->state = LEAVES;
		t->until = copy(&link_out, t->moves);
	} else if (t->state == LEAVES) {
		const bool again = t->away;

		t->state = AWAY;
		t->away += t->moves;
		heard(t, PVGPU_SUP_PARKED, t->question, t->moves);
		if (t->computes && !again)
			wants(t);
	} else if (t->state == COMES) {
		const uint64_t came = t->away;

		t->state = HERE;
		t->away = 0;
		heard(t, PVGPU_SUP_RESUMED, 0, came);
	}
}

static bool runs(const struct tenant_model *t)
{
	return t->computes && !t->waits && !t->away && (t->state == HERE || t->state == DRAINS);
}

/* A millisecond: those that compute share the GPU. */
static void tick(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < tenant_n; i++)
		n += runs(&tenants[i]);
	busy_ns += n ? MS : 0;
	for (unsigned int i = 0; i < tenant_n; i++) {
		if (!runs(&tenants[i]))
			continue;
		tenants[i].gpu_ns += MS / n;
		tenants[i].commands++;
	}
	now_ns += MS;
	for (unsigned int i = 0; i < tenant_n; i++)
		step(&tenants[i]);
	if (now_ns >= look_ns)
		pool.residency.cb(NULL, &pool.residency, 0);
}

static void pass(uint64_t ns)
{
	for (const uint64_t end = now_ns + ns; now_ns < end;)
		tick();
}

/* ---- set-up ---- */

static void make_pool(uint64_t device, uint64_t park_memory)
{
	memset(tenants, 0, sizeof(tenants));
	tenant_n = 0;
	busy_ns = copied = link_out = link_in = 0;
	now_ns = 1000 * S;
	d = (struct daemon){.pools = pools, .pool_n = 1, .vgpus = vgpus};
	d.cfg.park_idle_ms = 10000;
	TAILQ_INIT(&d.workers);
	pool = (struct pool){.d = &d, .device_memory = device};
	pool.cfg.park_memory = park_memory;
	pool.cfg.park_ppm = CONFIG_PARK_PPM;
	pool.cfg.mode = POOL_SHARED;
	residency_init(&pool);
}

static struct tenant_model *add(uint64_t memory, uint64_t reserve, uint64_t bytes, bool computes)
{
	struct tenant_model *t = &tenants[tenant_n];
	const struct pvgpu_sup m = {.kind = PVGPU_SUP_LEASE, .id = 1, .a = bytes};

	t->v = (struct vgpu){.d = &d, .pool = &pool};
	snprintf(t->v.cfg.name, sizeof(t->v.cfg.name), "v%u", tenant_n);
	t->v.cfg.memory = t->v.ledger.quota = memory;
	t->v.cfg.policy.memory_reserve = reserve;
	t->w = (struct worker){.d = &d, .pool = &pool, .vgpu = &t->v, .id = tenant_n};
	t->w.state = CHECK_SERVING;
	t->w.sealed = t->w.parking.knows = t->w.parking.knows_busy = true;
	t->w.parking.knows_more = true;
	t->w.guest_pidfd = t->w.cgroup = -1;
	t->bytes = bytes;
	t->piece = bytes;
	t->computes = computes;
	vgpus[tenant_n++] = &t->v;
	d.vgpu_n = tenant_n;
	TAILQ_INSERT_TAIL(&d.workers, &t->w, link);
	t->state = ASKS;
	lease_asked(&t->w, &m);
	return t;
}

static double jain(unsigned int n)
{
	double sum = 0, squares = 0;

	for (unsigned int i = 0; i < n; i++) {
		const double x = (double)tenants[i].gpu_ns;

		sum += x;
		squares += x * x;
	}
	return sum * sum / (n * squares);
}

static unsigned int fewest(unsigned int n)
{
	unsigned int least = UINT32_MAX;

	for (unsigned int i = 0; i < n; i++)
		least = tenants[i].turns < least ? tenants[i].turns : least;
	return least;
}

static unsigned int most(unsigned int n)
{
	unsigned int k = 0;

	for (unsigned int i = 0; i < n; i++)
		k = tenants[i].turns > k ? tenants[i].turns : k;
	return k;
}

static void count_from_now(void)
{
	for (unsigned int i = 0; i < tenant_n; i++)
		tenants[i].gpu_ns = tenants[i].turns = 0;
	busy_ns = copied = 0;
}

static struct tenant_model *crowd(uint64_t piece)
{
	make_pool(96 * GIB, 1024 * GIB);
	for (unsigned int i = 0; i < 12; i++)
		add(24 * GIB, 512 * MIB, 20 * GIB, true)->piece = piece;
	return add(16 * GIB, 0, 16 * GIB, true);
}

/* ---- the figures ---- */

/* Twelve that compute have 240 GiB of a GPU with 80 left to them: three are there at a time, so
 * that others compute while one is moved, and the bound for their work is all of the GPU's time.
 * With allocations of 1 GiB it is the same: all that leaves is missing for those that wait. */
START_TEST(three_times_the_memory)
{
	const struct tenant_model *kept = crowd(_i ? GIB : 20 * GIB);

	pass(100 * S);
	count_from_now();
	pass(900 * S);
	printf("three times the memory: Jain %.4f, %u to %u turns, the GPU computes %.3f of the "
	       "time, the link copies %.3f each way, one of 13 with its memory reserved has %.3f\n",
	       jain(12), fewest(12), most(12), (double)busy_ns / (900. * S),
	       (double)copied / LINK / (1800. * S), (double)kept->gpu_ns / (900. * S));
	ck_assert_double_ge(jain(12), 0.98);
	ck_assert_uint_ge(fewest(12), 8);
	ck_assert_uint_le(most(12) - fewest(12), 1);
	ck_assert_double_ge((double)busy_ns, 0.85 * 900 * S);
	/* It loses nothing: beside twelve that fit it had a thirteenth. */
	ck_assert_double_ge((double)kept->gpu_ns, 0.98 / 13 * 900 * S);
	ck_assert_uint_eq(kept->v.parking.parks, 0);
}
END_TEST

/* Nothing computes while they change places, which takes a tenth of the time at most. Of 112 GiB 32
 * do not fit, and no more are moved where they have allocations of that size or less. */
START_TEST(two_that_need_most_of_it)
{
	static const struct {
		uint64_t piece;
		double computes, copies; /* GiB that a turn moves, both ways */
	} c[] = {{56 * GIB, 0.9, 112}, {8 * GIB, 0.935, 64}, {GIB, 0.935, 64}};
	unsigned int turns;

	make_pool(80 * GIB, 1024 * GIB);
	for (unsigned int i = 0; i < 2; i++)
		add(64 * GIB, GIB, 56 * GIB, true)->piece = c[_i].piece;
	pass(100 * S);
	count_from_now();
	pass(1000 * S);
	turns = tenants[0].turns + tenants[1].turns;
	printf("two that need 70 %%, allocations of %u GiB: the GPU computes %.4f of the time, "
	       "Jain %.4f, %u turns, %.1f GiB copied for each\n",
	       (unsigned int)(c[_i].piece / GIB), (double)busy_ns / (1000. * S), jain(2), turns,
	       (double)copied / GIB / turns);
	ck_assert_double_ge((double)busy_ns, c[_i].computes * 1000 * S);
	ck_assert_double_le((double)copied / GIB / turns, 1.1 * c[_i].copies);
	ck_assert_double_ge(jain(2), 0.98);
	ck_assert_uint_ge(fewest(2), 8);
}
END_TEST

static bool settled(void)
{
	for (unsigned int i = 0; i < tenant_n; i++)
		if (tenants[i].state != HERE && tenants[i].state != AWAY)
			return false;
	return true;
}

static unsigned int away(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < tenant_n; i++)
		n += tenants[i].state == AWAY;
	return n;
}

START_TEST(a_hundred_idle_and_one_that_wants_most)
{
	struct tenant_model *big;
	uint64_t asked;

	make_pool(80 * GIB, 2048 * GIB);
	for (unsigned int i = 0; i < 100; i++) {
		add(17 * GIB, 64 * MIB, 16 * GIB, false);
		while (!settled())
			tick();
	}
	pass(20 * S);
	count_from_now();
	asked = now_ns;
	big = add(76 * GIB, 64 * MIB, 70 * GIB, true);
	while (big->state != HERE) {
		tick();
		ck_assert_uint_lt(now_ns - asked, 60 * S);
	}
	printf("one that wants 70 GiB of 80 that a hundred fill has them after %.2f s, bound "
	       "%.2f\n",
	       (double)(now_ns - asked) / S, 1.15 * 70 * GIB / LINK / S);
	ck_assert_double_le((double)(now_ns - asked), 1.15 * 70 * GIB / LINK);
	/* Four were there, and no more than these had to leave. */
	ck_assert_uint_eq(away(), 100);
	for (unsigned int i = 0; i < tenant_n; i++)
		ck_assert_uint_eq(tenants[i].refused, 0);
}
END_TEST

/* Room for two of 18 GiB, and a third one that wants them. */
static struct tenant_model *third(void)
{
	struct tenant_model *t = add(24 * GIB, 512 * MIB, 18 * GIB, true);

	while (t->state != HERE)
		tick();
	return t;
}

START_TEST(who_came_first_leaves_first)
{
	struct tenant_model *first, *second;

	make_pool(40 * GIB, 1024 * GIB);
	second = add(24 * GIB, 512 * MIB, 18 * GIB, true);
	first = add(24 * GIB, 512 * MIB, 18 * GIB, true);
	/* In the other order than they are listed. */
	first->w.parking.came_ns -= S;
	pass(200 * S);
	third();
	ck_assert_uint_eq(first->v.parking.parks, 1);
	ck_assert_uint_eq(second->v.parking.parks, 0);
}
END_TEST

/* ... and before both who has been idle, for the longest time. */
START_TEST(who_is_idle_leaves_first)
{
	struct tenant_model *first, *second;

	make_pool(40 * GIB, 1024 * GIB);
	first = add(24 * GIB, 512 * MIB, 18 * GIB, true);
	pass(200 * S);
	second = add(24 * GIB, 512 * MIB, 18 * GIB, false);
	pass(15 * S);
	first->computes = _i;
	pass(_i ? 0 : 15 * S);
	third();
	ck_assert_int_eq(first->state, HERE);
	ck_assert_int_eq(second->state, AWAY);
}
END_TEST

/* Others have the GPU for longer than it takes to count as idle. */
START_TEST(who_waits_for_its_turn_is_not_idle)
{
	struct tenant_model *waits, *idle;

	make_pool(40 * GIB, 1024 * GIB);
	waits = add(24 * GIB, 512 * MIB, 18 * GIB, true);
	waits->waits = true;
	pass(5 * S);
	idle = add(24 * GIB, 512 * MIB, 18 * GIB, false);
	pass(15 * S);
	third();
	ck_assert_int_eq(waits->state, HERE);
	ck_assert_int_eq(idle->state, AWAY);
}
END_TEST

/* ---- an owned worker ---- */

/* Slow to say that its memory is back (0), or says so at once (1): all have as many turns as
 * before, and are moved no more often. */
START_TEST(one_lies_about_its_copies)
{
	unsigned int honest;

	crowd(20 * GIB);
	pass(1000 * S);
	honest = most(12);
	crowd(20 * GIB);
	tenants[0].lies = _i ? -1 : 1;
	pass(1000 * S);
	ck_assert_uint_ge(pool.copy_ns, 1024 / LINK);
	ck_assert_uint_le(pool.copy_ns, 1024 / LINK + 2);
	/* It stays for twice the time of another at most. */
	ck_assert_double_le((double)tenants[0].gpu_ns, 2 * (double)tenants[1].gpu_ns);
	for (unsigned int i = 1; i < 12; i++) {
		ck_assert_uint_le(tenants[i].turns, honest + 2);
		ck_assert_uint_ge(tenants[i].turns, honest * 2 / 3);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("residency_turns");
	TCase *t = tcase_create("residency_turns");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, three_times_the_memory, 0, 2);
	tcase_add_loop_test(t, two_that_need_most_of_it, 0, 3);
	tcase_add_test(t, a_hundred_idle_and_one_that_wants_most);
	tcase_add_test(t, who_came_first_leaves_first);
	tcase_add_loop_test(t, who_is_idle_leaves_first, 0, 2);
	tcase_add_test(t, who_waits_for_its_turn_is_not_idle);
	tcase_add_loop_test(t, one_lies_about_its_copies, 0, 2);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
