/* SPDX-License-Identifier: MIT */
/*
 * The thread that decodes: the decoding thread, a completion thread that has answered, or one that
 * stands by for the doorbell. The ring, the files and loop.c are the worker's; what is behind them
 * counts.
 */
#include <check.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pvgpu_decode.h"
#include "pvgpu_wire.h"
#include "xen-pvgpu-back/worker/frame/frame.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"

#define SIZE 65536u
#define MANY 200u /* records: more than one batch */

static struct worker *w;
static struct pvgpu_ring guest;
static pthread_t main_thread;

static struct {
	atomic_uint taken, by_main, pauses, looks, sends;
	atomic_bool hold;   /* gpu_submit() waits until it is false */
	atomic_bool held;   /* and does */
	atomic_bool end;    /* gpu_submit() ends the session */
	atomic_bool wanted; /* a queue lacks a thread */
	atomic_int look_ms;
} gpu;

/* ---- behind loop.c ---- */

int gpu_submit(struct worker *v, const struct pvgpu_cmd_desc *d, const void *rec, uint32_t len)
{
	if (atomic_load(&gpu.hold)) {
		atomic_store(&gpu.held, true);
		while (atomic_load(&gpu.hold))
			sched_yield();
	}
	if (atomic_load(&gpu.end))
		worker_end(v, PVGPU_END_GUEST_GONE, "the test says so");
	if (pthread_equal(pthread_self(), main_thread))
		atomic_fetch_add(&gpu.by_main, 1);
	atomic_fetch_add(&gpu.taken, 1);
	return 0;
}

int gpu_kicked(struct worker *v)
{
	return 0;
}

void gpu_pause(struct worker *v)
{
	atomic_fetch_add(&gpu.pauses, 1);
}

bool gpu_wants_thread(struct worker *v)
{
	return atomic_load(&gpu.wanted);
}

bool gpu_is_awaited(struct worker *v)
{
	return false;
}

void gpu_deferred(struct worker *v, void *ctx, int result)
{
}

void gpu_gate_look(struct worker *v, bool rung)
{
	atomic_fetch_add(&gpu.looks, 1);
}

int gpu_gate_look_ms(struct worker *v)
{
	return atomic_load(&gpu.look_ms);
}

void callback_done(struct worker *v, uint32_t done)
{
}

void worker_end(struct worker *v, int end, const char *fmt, ...)
{
	atomic_store(&v->ended, true);
	worker_kick(v);
}

void send_queued(struct worker *v)
{
	if (atomic_exchange(&v->send.queued, 0))
		atomic_fetch_add(&gpu.sends, 1);
}

bool send_wait_begin(struct worker *v)
{
	return true;
}

void send_wait_end(struct worker *v)
{
}

void control_read(struct worker *v)
{
}

void control_rung(struct worker *v)
{
}

void adopt_accept(struct worker *v)
{
}

void arena_message(struct worker *v)
{
}

void lease_tell(struct worker *v)
{
}

bool lease_behind(struct worker *v)
{
	return false;
}

static void rung(struct worker *v)
{
}

static const struct link_ops no_link = {.rung = rung};
const struct link_ops link_local, link_xen; /* for link.c */

void send_init(struct worker *v, uint32_t cmd_size, uint32_t rep_size)
{
}

/* One command, and the one that opens a session. */
const struct pvgpu_cmd_desc *pvgpu_cmd_find(uint32_t op)
{
	static const struct pvgpu_cmd_desc d = {.name = "command",
						.min_len = sizeof(struct pvgpu_cmd_hdr),
						.max_len = sizeof(struct pvgpu_cmd_hdr)};

	return &d;
}

/* ---- the guest ---- */

static void ring_doorbell(void)
{
	const uint64_t one = 1;

	ck_assert_int_eq(write(w->to_worker, &one, sizeof(one)), sizeof(one));
}

static void post(void)
{
	static uint32_t seq;
	struct pvgpu_cmd_hdr m = {.len = sizeof(m), .op = PVGPU_OP_MEM_INFO};

	m.seq = ++seq;
	if (seq == 1)
		m.op = PVGPU_OP_SESSION_HELLO;
	pvgpu_ring_put(&guest, 0, &m, sizeof(m));
	if (pvgpu_ring_publish(&guest, sizeof(m)))
		ring_doorbell();
}

/* ---- the session ---- */

static void *run_main(void *arg)
{
	loop_run(w);
	pthread_mutex_unlock(&w->decode);
	return NULL;
}

static void open_session(void)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u32 = FROM_KICK};

	w = calloc(1, sizeof(*w));
	w->page = aligned_alloc(4096, pvgpu_ring_bytes(SIZE, SIZE));
	memset(w->page, 0, pvgpu_ring_bytes(SIZE, SIZE));
	pvgpu_ring_format(w->page, SIZE, SIZE);
	pvgpu_ring_init_producer(&guest, w->page, PVGPU_RING_CMD, SIZE, SIZE);
	pvgpu_ring_init_consumer(&w->cmd, w->page, PVGPU_RING_CMD, SIZE, SIZE);
	pthread_mutex_init(&w->decode, NULL);
	w->link = &no_link;
	w->to_worker = eventfd(0, EFD_NONBLOCK);
	w->kick = eventfd(0, EFD_NONBLOCK);
	w->rouse = eventfd(0, EFD_NONBLOCK);
	w->epoll = epoll_create1(0);
	w->standby = epoll_create1(0);
	ck_assert_int_eq(epoll_ctl(w->standby, EPOLL_CTL_ADD, w->rouse, &e), 0);
	ck_assert_int_eq(link_watch(w, w->kick, EPOLLIN, FROM_KICK), 0);
	ck_assert_int_eq(link_watch_guest(w, w->to_worker, EPOLLIN | EPOLLET), 0);
	atomic_store(&gpu.look_ms, -1);
	/* The order of things, and no processor's speed, decides. */
	setenv("PVGPU_POLL_ITERATIONS", "0", 1);
	ck_assert_int_eq(pthread_create(&main_thread, NULL, run_main, NULL), 0);
}

static void until(const atomic_uint *n, unsigned int least)
{
	while (atomic_load(n) < least)
		sched_yield();
}

/* The decoding thread has nothing to do. */
static void until_asleep(void)
{
	for (;;) {
		while (!atomic_load(&w->sleeping))
			sched_yield();
		if (worker_decode_begin(w))
			break;
	}
	worker_decode(w, false);
}

static void close_session(void)
{
	worker_end(w, PVGPU_END_GUEST_GONE, "over");
	pthread_join(main_thread, NULL);
}

/* ---- */

START_TEST(the_doorbell_wakes_the_decoding_thread)
{
	open_session();
	until_asleep();
	for (uint32_t i = 1; i <= 10; i++) {
		post();
		until(&gpu.taken, i);
		ck_assert_uint_eq(atomic_load(&gpu.by_main), i);
	}
	close_session();
}
END_TEST

/* The guest need not ring for what it posts while another thread decodes. */
START_TEST(another_thread_decodes)
{
	open_session();
	until_asleep();
	for (uint32_t i = 1; i <= 10; i++) {
		ck_assert(worker_decode_begin(w));
		ck_assert(!worker_decode_begin(w));
		ck_assert_uint_eq(pvgpu_load(&w->page->cmd_sleeping.v), 0);
		post();
		worker_decode(w, false);
		ck_assert_uint_eq(atomic_load(&gpu.taken), i);
		ck_assert_uint_eq(pvgpu_load(&w->page->cmd_sleeping.v), 1);
	}
	ck_assert_uint_eq(atomic_load(&gpu.by_main), 0);
	ck_assert_uint_ge(atomic_load(&gpu.pauses), 10);
	/* And the decoding thread hears the next one. */
	post();
	until(&gpu.by_main, 1);
	close_session();
}
END_TEST

START_TEST(not_while_it_decodes)
{
	open_session();
	until_asleep();
	atomic_store(&gpu.hold, true);
	post();
	while (!atomic_load(&gpu.held))
		sched_yield();
	ck_assert(!worker_decode_begin(w));
	atomic_store(&gpu.hold, false);
	until_asleep();
	ck_assert_uint_eq(atomic_load(&gpu.by_main), 1);
	close_session();
}
END_TEST

/* It is wanted elsewhere: one batch, or less where something waits, and the rest is not lost. */
START_TEST(the_rest_is_left)
{
	open_session();
	until_asleep();
	ck_assert(worker_decode_begin(w));
	atomic_store(&gpu.wanted, _i);
	for (uint32_t i = 0; i < MANY; i++)
		post();
	worker_decode(w, false);
	until(&gpu.taken, MANY);
	ck_assert_uint_ge(MANY - atomic_load(&gpu.by_main), 1);
	ck_assert_uint_ge(atomic_load(&gpu.by_main), MANY / 2);
	close_session();
}
END_TEST

/* The session ends while another thread decodes: the decoding thread ends it. */
START_TEST(the_end_meanwhile)
{
	open_session();
	until_asleep();
	ck_assert(worker_decode_begin(w));
	atomic_store(&gpu.end, true);
	post();
	worker_decode(w, false);
	pthread_join(main_thread, NULL);
	ck_assert(!worker_decode_begin(w));
}
END_TEST

/* Work in flight is to be looked at: the decoding thread sleeps less long. */
START_TEST(it_sleeps_less_long)
{
	open_session();
	until_asleep();
	ck_assert(worker_decode_begin(w));
	atomic_store(&gpu.look_ms, 1);
	worker_decode(w, false);
	until(&gpu.looks, 3);
	close_session();
}
END_TEST

static atomic_bool leaves;

static void *stand_by(void *arg)
{
	while (!atomic_load(&leaves)) {
		if (worker_stand_by(w) > 0)
			worker_decode(w, true);
	}
	return NULL;
}

static void stand_down(pthread_t t)
{
	atomic_store(&leaves, true);
	worker_rouse(w);
	pthread_join(t, NULL);
}

/* The guest rings when the thread that goes to sleep has just looked: its lock is still taken. */
START_TEST(the_doorbell_as_it_goes_to_sleep)
{
	struct pollfd kicked;
	pthread_t t;

	open_session();
	until_asleep();
	kicked = (struct pollfd){.fd = w->kick, .events = POLLIN};
	pthread_create(&t, NULL, stand_by, NULL);
	for (uint32_t i = 1; i <= 100; i++) {
		unsigned int taken = atomic_load(&gpu.taken);

		until_asleep();
		pthread_mutex_lock(&w->decode);
		post();
		/* Time for the one that stands by to hear it; the decoding thread may, instead. */
		poll(&kicked, 1, 20);
		ck_assert_uint_eq(atomic_load(&gpu.taken), taken);
		pthread_mutex_unlock(&w->decode);
		until(&gpu.taken, taken + 1);
	}
	stand_down(t);
	close_session();
}
END_TEST

/* The guest looks at the flag so late that another thread has decoded its record, and raised the
 * flag again. It rings, and nothing is there; but it will ring for the next one. */
START_TEST(a_doorbell_that_comes_late)
{
	pthread_t t;

	open_session();
	until_asleep();
	pthread_create(&t, NULL, stand_by, NULL);
	for (uint32_t i = 1; i <= 100; i++) {
		until_asleep();
		if (!pvgpu_ring_claim(&w->page->cmd_sleeping.v))
			continue;
		ring_doorbell();
		while (!pvgpu_load(&w->page->cmd_sleeping.v))
			sched_yield();
	}
	post();
	until(&gpu.taken, 1);
	stand_down(t);
	close_session();
}
END_TEST

/* A guest that rings for what it writes and leaves the flag alone is looked at as well. */
START_TEST(a_doorbell_without_the_flag)
{
	pthread_t t;

	open_session();
	until_asleep();
	pthread_create(&t, NULL, stand_by, NULL);
	/* Time to stand by; without it the decoding thread hears the doorbell, which is right. */
	poll(NULL, 0, 5);
	until_asleep();
	pvgpu_store_release(&w->page->cmd_prod.v, 0x40000000u);
	ring_doorbell();
	pthread_join(main_thread, NULL);
	ck_assert_uint_eq(atomic_load(&gpu.taken), 0);
	stand_down(t);
}
END_TEST

static bool waits(const int epoll)
{
	struct epoll_event e;

	return epoll_wait(epoll, &e, 1, 0) == 0;
}

/* With one that stands by, no doorbell wakes the decoding thread. */
START_TEST(the_doorbell_of_one_that_stands_by)
{
	pthread_t t;

	open_session();
	until_asleep();
	pthread_create(&t, NULL, stand_by, NULL);
	/* A record that is rung for before it stands there goes to the decoding thread. */
	for (uint32_t i = 1; i <= 1000 && atomic_load(&gpu.taken) - atomic_load(&gpu.by_main) < 100;
	     i++) {
		post();
		until(&gpu.taken, i);
		until_asleep();
	}
	ck_assert_uint_ge(atomic_load(&gpu.taken) - atomic_load(&gpu.by_main), 100);
	/* The doorbell of a record that it took from the decoding thread may still be in there. */
	while (!waits(w->epoll))
		sched_yield();
	/* It rings for the room that it has made for replies, too. */
	for (uint32_t i = 1; i <= 20; i++) {
		atomic_store(&w->send.queued, 1);
		ring_doorbell();
		until(&gpu.sends, i);
		until_asleep();
	}
	stand_down(t);
	/* Without it, the decoding thread hears the guest. */
	until_asleep();
	atomic_store(&gpu.by_main, 0);
	post();
	until(&gpu.by_main, 1);
	close_session();
	worker_rouse(w);
	ck_assert_int_eq(worker_stand_by(w), -1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("loop");
	TCase *t = tcase_create("loop");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, the_doorbell_wakes_the_decoding_thread);
	tcase_add_test(t, another_thread_decodes);
	tcase_add_test(t, not_while_it_decodes);
	tcase_add_loop_test(t, the_rest_is_left, 0, 2);
	tcase_add_test(t, the_end_meanwhile);
	tcase_add_test(t, it_sleeps_less_long);
	tcase_add_test(t, the_doorbell_as_it_goes_to_sleep);
	tcase_add_test(t, a_doorbell_that_comes_late);
	tcase_add_loop_test(t, a_doorbell_without_the_flag, 0, 20);
	tcase_add_test(t, the_doorbell_of_one_that_stands_by);
	tcase_set_timeout(t, 120);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
