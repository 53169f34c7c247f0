/* SPDX-License-Identifier: MIT */
/*
 * How long others wait for the GPU while a guest or worker floods pvgpud: turns of the loop from a worker's
 * wish to the open gate, at most twice as many as on a quiet machine, and what a turn does.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/daemon/xenctl_case.h"
#include "xen-pvgpu-back/daemon/dispatch/schedule_state.h"

#define BAD    6u
#define ROUNDS 100u
#define PAGES  65536u

/* ---- two honest workers, of vGPUs of their own ---- */

static struct end {
	struct tenant *t;
	struct gate *g;
	const struct pvgpu_gate *word;
	struct pvgpu_gate_report *says;
	int fds[PVGPU_GATE_FDS];
} ends[2];
static struct schedule *s;

static void join(struct end *e)
{
	const struct tenant_policy p = {.share = {.class = SCHED_MEDIUM, .weight = 100}};

	e->t = tenant_new(s, NULL, &p, NULL);
	e->g = gate_new(e->t, false, e->fds);
	e->word = mmap(NULL, 4096, PROT_READ, MAP_SHARED, e->fds[PVGPU_GATE_FD_GATE], 0);
	e->says = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, e->fds[PVGPU_GATE_FD_REPORT],
		       0);
	ck_assert(e->word != MAP_FAILED && e->says != MAP_FAILED);
	e->says->drained = 1;
}

static void part(struct end *e)
{
	gate_free(e->g);
	tenant_free(e->t);
	munmap((void *)(uintptr_t)e->word, 4096);
	munmap(e->says, 4096);
	for (unsigned int i = 0; i < PVGPU_GATE_FDS; i++)
		close(e->fds[i]);
}

static void ring(const struct end *e)
{
	const char one = 1;

	ck_assert(write(e->fds[PVGPU_GATE_FD_TO_PVGPUD], &one, 1) == 1 || errno == EAGAIN);
}

static bool is_open(const struct end *e)
{
	return __atomic_load_n(&e->word->open, __ATOMIC_SEQ_CST);
}

static unsigned int ops(void)
{
	return fake.maps + fake.unmaps + fake.copies + fake.channels;
}

static unsigned int most_ops;

static void turn(void (*flood)(void))
{
	unsigned int before;
	char rung[64];

	/* A worker that is rung reports again. */
	for (unsigned int i = 0; i < 2; i++)
		if (read(ends[i].fds[PVGPU_GATE_FD_TO_WORKER], rung, sizeof(rung)) > 0)
			ring(&ends[i]);
	flood();
	before = ops();
	ev_run(fake.d.loop, EVRUN_NOWAIT);
	if (ops() - before > most_ops)
		most_ops = ops() - before;
}

/* An honest worker rings less often than pvgpud listens; here the time between rounds is short. */
static void rest(const struct tenant *t)
{
	while (t->muted || (t->bells > 16 && schedule_now() < t->window_end))
		ev_run(fake.d.loop, EVRUN_NOWAIT);
}

/* They take turns, each with an idle GPU before it. Turns of the loop while one waits for its gate. */
static unsigned int all_turns(void (*flood)(void))
{
	unsigned int turns = 0;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct end *e = &ends[i % 2], *o = &ends[!(i % 2)];

		rest(o->t);
		rest(e->t);
		o->says->wants = 0;
		o->says->sleeps = o->says->drained = 1;
		ring(o);
		e->says->sleeps = e->says->wants = 1;
		ring(e);
		for (unsigned int n = 0; !is_open(e); n++, turns++) {
			ck_assert_uint_lt(n, 100000);
			turn(flood);
		}
	}
	ck_assert_uint_ge(turns, ROUNDS / 2);
	return turns;
}

/* ---- floods ---- */

static struct fake_worker *bad[BAD];
static unsigned int sent;

static void quiet(void)
{
}

static void hear(struct fake_worker *k)
{
	struct pvgpu_sup_assign m;
	struct msg_in in;

	while (msg_recv(k->control, &m, sizeof(m), MSG_FDS_MAX, &in) > 0)
		msg_close_fds(&in);
}

static void say_much(const struct pvgpu_sup *m)
{
	for (unsigned int i = 0; i < BAD; i++) {
		if (!bad[i]->w || bad[i]->w->killed)
			continue;
		hear(bad[i]);
		while (msg_send(bad[i]->control, m, sizeof(*m), NULL, 0) == 0)
			sent++;
	}
}

static void control(void)
{
	say_much(&(struct pvgpu_sup){.kind = PVGPU_SUP_MEMINFO});
}

static void leases(void)
{
	say_much(&(struct pvgpu_sup){.kind = PVGPU_SUP_LEASE, .id = 1, .a = 4096});
}

static int logs[BAD];

static void lines(void)
{
	static const char line[] = "something that it has to say\n";

	for (unsigned int i = 0; i < BAD; i++) {
		if (!logs[i]) {
			int pair[2];

			ck_assert_int_eq(worker_log_make(pair), 0);
			worker_log_open(bad[i]->w, pair[0]);
			logs[i] = pair[1];
		}
		while (write(logs[i], line, sizeof(line) - 1) > 0)
			sent++;
	}
}

/* As many requests as there is room for; the answers are taken, and the killed die. */
static void ask(const struct pvgpu_ctl_msg *m, unsigned int n)
{
	struct pvgpu_ctl_msg got;

	for (unsigned int i = 0; i < fake.worker_n; i++)
		if (fake.workers[i].w && fake.workers[i].w->killed)
			fake_die(&fake.workers[i]);
	while (fake_answer(&got))
		;
	for (unsigned int i = 0; i < n && !fake.fatal[0]; i++)
		sent += fake_put(&m[i]) == 0;
}

static void sessions(void)
{
	struct pvgpu_ctl_msg m[16];

	for (unsigned int i = 0; i < 16; i++) {
		m[i] = (struct pvgpu_ctl_msg){.op = i % 2 ? PVGPU_CTL_SESSION_CLOSE
							  : PVGPU_CTL_SESSION_OPEN,
					      .id = i + 1,
					      .session = 100 + i / 2};
		if (i % 2 == 0)
			m[i].u.open = good_open();
	}
	ask(m, 16);
}

static void chunks(void)
{
	struct pvgpu_ctl_msg m[BAD];
	struct pvgpu_sup_assign heard;
	unsigned int fds;

	fake_directory(DIR_REF, RING_REF, PAGES);
	for (unsigned int i = 0; i < BAD; i++) {
		m[i] = (struct pvgpu_ctl_msg){
			.op = PVGPU_CTL_CHUNK_ADD, .id = i + 1, .session = SESSION + i};
		m[i].u.chunk = (struct pvgpu_ctl_chunk){.address = BASE + sent * (1ull << 30),
							.size = PAGES * 4096ull,
							.dir = DIR_REF};
		if (bad[i]->w && fake_hear(bad[i], PVGPU_SUP_CHUNK_ADD, &heard, &fds))
			msg_send(
				bad[i]->control,
				&(struct pvgpu_sup){.kind = PVGPU_SUP_CHUNKED, .id = heard.head.id},
				sizeof(struct pvgpu_sup), NULL, 0);
	}
	ask(m, BAD);
}

static void rings(void)
{
	fake_ring();
	sent++;
}

/* Bells of gates that want nothing, with a report of which nothing is true. */
static struct end bells[BAD];

static void bell(void)
{
	static const char many[512];
	char rung[64];

	for (unsigned int i = 0; i < BAD; i++) {
		if (!bells[i].t) {
			join(&bells[i]);
			memset(bells[i].says, 0xff, sizeof(*bells[i].says));
			bells[i].says->wants = 0;
		}
		while (read(bells[i].fds[PVGPU_GATE_FD_TO_WORKER], rung, sizeof(rung)) > 0)
			;
		while (write(bells[i].fds[PVGPU_GATE_FD_TO_PVGPUD], many, sizeof(many)) > 0)
			sent++;
	}
}

/* ---- lies ---- */

static const struct lie {
	const char *name;
	size_t bytes; /* 0: all */
	struct pvgpu_sup m;
} all_lies[] = {
#define LIE(name, kind_, bytes, reason, ...) {name, bytes, {.kind = kind_, __VA_ARGS__}},
#include "tests/hostile/lies.def"
#undef LIE
};
static size_t first_lie;

/* Each of the workers has a lie of its own, which it tells as often as there is room for it. */
static void lies(void)
{
	static unsigned char bytes[4096];

	for (size_t i = 0; i < BAD && first_lie + i < COUNT(all_lies); i++) {
		const struct lie *l = &all_lies[first_lie + i];

		if (!bad[i]->w || bad[i]->w->killed)
			continue;
		hear(bad[i]);
		memset(bytes, 0, sizeof(bytes));
		memcpy(bytes, &l->m, sizeof(l->m));
		while (msg_send(bad[i]->control, bytes, l->bytes ? l->bytes : sizeof(l->m), NULL,
				0) == 0)
			sent++;
	}
}

static const struct {
	const char *name;
	void (*flood)(void);
	unsigned int ops; /* of a turn: grants copied and mapped, event channels bound */
} floods[] = {
	{"control socket", control, 0}, {"leases", leases, 0}, {"log", lines, 0},
	{"sessions", sessions, 8},      {"chunks", chunks, 3}, {"rings", rings, 0},
	{"bells", bell, 0},
};

static void begin(void)
{
	const struct sched_params p = {.policy = SCHED_FAIR, .slice_ns = 1000000};

	s = schedule_new(fake.d.loop, "test", &p);
	join(&ends[0]);
	join(&ends[1]);
	for (unsigned int i = 0; i < BAD; i++)
		bad[i] = opened(SESSION + i);
	fake.v->cfg.policy.arena_limit = 1ull << 50;
	fake.d.cfg.xen_max_grants = UINT32_MAX;
	all_turns(quiet);
}

static void end(void)
{
	for (unsigned int i = 0; i < BAD; i++) {
		if (logs[i])
			close(logs[i]);
		logs[i] = 0;
		if (bells[i].t)
			part(&bells[i]);
	}
	part(&ends[0]);
	part(&ends[1]);
	schedule_free(s);
}

static void compare(const char *name, void (*flood)(void), unsigned int least)
{
	const unsigned int calm = all_turns(quiet);
	unsigned int loud;

	most_ops = 0;
	sent = 0;
	loud = all_turns(flood);
	ck_assert_msg(sent >= least, "%s: sent %u", name, sent);
	ck_assert_msg(loud <= 2 * calm, "%s: %u turns, quiet %u", name, loud, calm);
}

START_TEST(others_wait_no_longer)
{
	begin();
	compare(floods[_i].name, floods[_i].flood, ROUNDS / 4);
	ck_assert_msg(most_ops <= floods[_i].ops && (most_ops || !floods[_i].ops),
		      "%s: %u in one turn", floods[_i].name, most_ops);
	end();
}
END_TEST

START_TEST(nor_for_liars)
{
	size_t left;

	first_lie = (size_t)_i * BAD;
	left = COUNT(all_lies) - first_lie;
	begin();
	compare(all_lies[first_lie].name, lies, left < BAD ? (unsigned int)left : BAD);
	end();
}
END_TEST

static void add(TCase *t)
{
	LOOP(others_wait_no_longer, COUNT(floods));
	LOOP(nor_for_liars, (COUNT(all_lies) + BAD - 1) / BAD);
}

int main(void)
{
	return run_xenctl_tests("gate_flood", add);
}
