/* SPDX-License-Identifier: MIT */
/*
 * Replay tables: the inputs of pvgpud's scheduling (daemon/dispatch) and its decisions, line by
 * line. They hold a time for each input, and no model: a table is played back to a driver open
 * loop, so code can move without a decision being changed.
 *
 *     TIME INPUT [GATE:REPORT]... >[ DECISION]...
 *
 * TIME has passed since the line before. Times are nanoseconds; `u` and `m` after a number stand
 * for thousands and millions. Gates, vGPUs and groups are numbered by the table. # is a comment.
 *
 * INPUT is one of these, with its numbers:
 *     P policy:slice:starve:exclusive   settings of the pool; the first time it is new
 *     Q group:weight:min:max            a new group          q group   it is removed
 *     R group:weight:min:max            its settings change
 *     V vgpu:class:weight:min:max:fixed:group   a new vGPU (group 0: none); v vgpu: it is removed
 *     S vgpu:class:weight:min:max:fixed its settings change
 *     G gate:vgpu:adopted               a new gate of it     g gate    it is removed
 *     B gate                            its worker has rung  T         the timer fires
 *     K gate:on                         it is kept closed, or not any more
 *     C vgpu:ns, M vgpu:ns              GPU time that the driver's accounting charges, or has found
 *     A more                            an adopted worker without a gate is there, or not any more
 *     L vgpu, H                         its statistics; those of the pool
 * REPORT: words of the worker's report that have changed since the line before, by letter: fields[]
 * below. Counters are written as their growth, `o` as the age of the oldest work (none: nothing is
 * in flight), and `r` only if it is not what `i` has become.
 * DECISION, each as far as it has changed:
 *     +gate, -gate   it is opened, closed
 *     w c l t e      gate:value of inflight_ns, contended, learn, tell, exclusive
 *     !gate          its worker is rung
 *     $vgpu:ns       it is charged
 *     @ns            the timer is set, to so long from now; one that is set earlier stays
 *     =...           statistics
 *
 * drive() and put_decisions() alone know the driver: to play the tables to another one takes other
 * versions of these two. A decision says how the words of gates differ after an input, whatever the
 * order in which they were stored.
 */
#ifndef PVGPU_TEST_SCHEDULE_REPLAY_H
#define PVGPU_TEST_SCHEDULE_REPLAY_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/daemon/schedule_clock.h"

#define PLACES    64u /* of gates, vGPUs and groups */
#define ARGS      8u
#define LINE_MOST 16384u

struct text {
	char s[LINE_MOST];
	size_t n;
};

struct place {
	struct fake f;
	bool there, rung; /* rung: since the model has looked */
	struct pvgpu_gate_report told;
	struct pvgpu_gate seen; /* pvgpud's words as the last decision left them */
};

struct seat {
	struct tenant *t;
	struct tenant_stats count;
	uint64_t charged; /* of it, as the last decision left it */
};

static struct place gates[PLACES];
static struct seat vgpus[PLACES];
static struct sched_group *groups[PLACES];

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format, ...)
{
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(t->s + t->n, sizeof(t->s) - t->n, format, list);
	va_end(list);
	ck_assert_msg(n >= 0 && t->n + (size_t)n < sizeof(t->s), "a line is too long");
	t->n += (size_t)n;
}

static void put_number(struct text *t, uint64_t n)
{
	if (n && n % MS == 0)
		put(t, "%llum", (unsigned long long)(n / MS));
	else if (n && n % 1000 == 0)
		put(t, "%lluu", (unsigned long long)(n / 1000));
	else
		put(t, "%llu", (unsigned long long)n);
}

static uint64_t get_number(const char **p)
{
	char *end;
	uint64_t n = strtoull(*p, &end, 10);

	if (*end == 'u' || *end == 'm')
		n *= *end++ == 'u' ? 1000 : MS;
	*p = end;
	return n;
}

/* ---- reports ---- */

struct field {
	char letter;
	size_t at;
	size_t size;
	enum { PLAIN, FOLLOWS, GROWTH, AGE } how; /* FOLLOWS: as the field before, if not given */
};

#define FIELD(letter_, member_, how_)                                                              \
	{                                                                                          \
		letter_, offsetof(struct pvgpu_gate_report, member_),                              \
			sizeof(((struct pvgpu_gate_report *)NULL)->member_), how_                  \
	}

static const struct field fields[] = {
	FIELD('w', wants, PLAIN),      FIELD('s', sleeps, PLAIN),
	FIELD('d', drained, PLAIN),    FIELD('k', counts_full, PLAIN),
	FIELD('n', issued, PLAIN), /* nothing is parked any more */
	FIELD('p', parked, PLAIN),     FIELD('i', inflight_ns, PLAIN),
	FIELD('r', drain_ns, FOLLOWS), /* remaining */
	FIELD('o', oldest_ns, AGE),    FIELD('b', busy_ns, GROWTH),
	FIELD('c', commands, GROWTH),  FIELD('f', full, GROWTH),
	FIELD('a', awaited, PLAIN),
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static uint64_t get_field(const struct pvgpu_gate_report *r, const struct field *f)
{
	uint32_t n;
	uint64_t wide;

	if (f->size == sizeof(wide)) {
		memcpy(&wide, (const char *)r + f->at, sizeof(wide));
		return wide;
	}
	memcpy(&n, (const char *)r + f->at, sizeof(n));
	return n;
}

static void set_field(struct pvgpu_gate_report *r, const struct field *f, uint64_t value)
{
	const uint32_t n = (uint32_t)value;

	if (f->size == sizeof(value))
		memcpy((char *)r + f->at, &value, sizeof(value));
	else
		memcpy((char *)r + f->at, &n, sizeof(n));
}

static void tell(struct place *g, const struct field *f, uint64_t value)
{
	set_field(&g->told, f, value);
	set_field(g->f.says, f, value);
}

static const char *get_report(struct place *g, const char *p)
{
	const struct field *f;
	uint64_t value;
	bool given;

	while (*p && *p != ' ') {
		for (f = fields; f < fields + FIELDS && f->letter != *p; f++)
			;
		ck_assert_msg(g->there && f < fields + FIELDS, "no such report: %s", p);
		given = *++p >= '0' && *p <= '9';
		value = given ? get_number(&p) : 0;
		if (f->how == GROWTH)
			value += get_field(&g->told, f);
		else if (f->how == AGE && given)
			value = clock_ns - value;
		tell(g, f, value);
		if (f + 1 < fields + FIELDS && f[1].how == FOLLOWS)
			tell(g, f + 1, value);
	}
	return p;
}

/* ---- the driver ---- */

static struct tenant_policy get_policy(const uint64_t a[ARGS])
{
	return (struct tenant_policy){.share = {.class = (enum sched_class)a[1],
						.weight = (uint32_t)a[2],
						.min_ppm = (uint32_t)a[3],
						.max_ppm = (uint32_t)a[4],
						.fixed_ppm = (uint32_t)a[5]}};
}

static void set_pool(const uint64_t a[ARGS])
{
	const struct sched_params p = {.policy = (enum sched_policy)a[0],
				       .slice_ns = a[1],
				       .starve_ns = a[2],
				       .exclusive = a[3]};

	if (!s)
		start(p.policy, p.exclusive);
	schedule_set(s, &p);
}

static void add_vgpu(const uint64_t a[ARGS])
{
	const struct tenant_policy p = get_policy(a);
	struct seat *v = &vgpus[a[0]];

	*v = (struct seat){0};
	v->t = tenant_new(s, groups[a[6] % PLACES], &p, &v->count);
	ck_assert_ptr_nonnull(v->t);
}

static void set_group(char what, const uint64_t a[ARGS])
{
	const struct sched_share share = {
		.weight = (uint32_t)a[1], .min_ppm = (uint32_t)a[2], .max_ppm = (uint32_t)a[3]};

	if (what == 'Q')
		groups[a[0]] = schedule_group_add(s, &share);
	ck_assert_ptr_nonnull(groups[a[0]]);
	if (what == 'R')
		schedule_group_set(s, groups[a[0]], &share);
}

static void put_statistics(struct text *out, struct tenant *t)
{
	struct tenant_stats n;

	tenant_stats(t, &n);
	put(out, " =gpu:%llu,due:%llu,waits:%llu,longest:%llu,held:%llu,slices:%llu",
	    (unsigned long long)n.gpu_ns, (unsigned long long)n.due_ns,
	    (unsigned long long)n.wait_ns, (unsigned long long)n.longest_wait_ns,
	    (unsigned long long)n.throttled_ns, (unsigned long long)n.slices);
}

static void put_pool(struct text *out)
{
	put(out, " =charged:%llu,waste:%llu,handovers:%llu,cost:%llu",
	    (unsigned long long)schedule_charged_ns(s), (unsigned long long)schedule_waste_ns(s),
	    (unsigned long long)schedule_handovers(s), (unsigned long long)schedule_handover_ns(s));
}

static void drive_gate(char what, const uint64_t a[ARGS])
{
	struct place *g = &gates[a[0]];

	ck_assert_msg(what == 'G' || g->there, "there is no gate %llu", (unsigned long long)a[0]);
	if (what == 'G') {
		*g = (struct place){.f = join(vgpus[a[1] % PLACES].t, a[2]), .there = true};
	} else if (what == 'g') {
		g->there = false;
		leave(&g->f);
	} else if (what == 'B') {
		ring(&g->f);
		bells();
	} else {
		gate_keep_closed(g->f.g, a[1]);
	}
}

static void drive_vgpu(char what, const uint64_t a[ARGS], struct text *out)
{
	const struct tenant_policy p = get_policy(a);
	struct seat *v = &vgpus[a[0]];

	ck_assert_msg(what == 'V' || v->t, "there is no vGPU %llu", (unsigned long long)a[0]);
	if (what == 'V') {
		add_vgpu(a);
	} else if (what == 'v') {
		tenant_free(v->t);
		v->t = NULL;
	} else if (what == 'S') {
		tenant_set(v->t, &p);
	} else if (what == 'C') {
		tenant_charge(v->t, a[1]);
	} else if (what == 'M') {
		tenant_measured(v->t, a[1]);
	} else {
		put_statistics(out, v->t);
	}
}

/* One input. */
static void drive(char what, const uint64_t a[ARGS], struct text *out)
{
	ck_assert_msg(what == 'P' || a[0] < PLACES, "%c%llu: the most is %u", what,
		      (unsigned long long)a[0], PLACES - 1);
	if (strchr("GgBK", what))
		drive_gate(what, a);
	else if (strchr("VvSCML", what))
		drive_vgpu(what, a, out);
	else if (what == 'T')
		fire();
	else if (what == 'P')
		set_pool(a);
	else if (what == 'Q' || what == 'R')
		set_group(what, a);
	else if (what == 'q')
		schedule_group_remove(s, groups[a[0]]);
	else if (what == 'A')
		schedule_await(s, a[0]);
	else if (what == 'H')
		put_pool(out);
	else
		ck_abort_msg("there is no input %c", what);
}

static void put_word(struct text *out, char letter, size_t gate, uint64_t was, uint64_t is)
{
	if (was == is)
		return;
	put(out, " %c%zu:", letter, gate);
	put_number(out, is);
}

static void put_gate(struct text *out, struct place *g)
{
	const struct pvgpu_gate *was = &g->seen, is = *g->f.word;
	const size_t i = (size_t)(g - gates);

	if (is.open != was->open)
		put(out, " %c%zu", is.open ? '+' : '-', i);
	put_word(out, 'w', i, was->inflight_ns, is.inflight_ns);
	put_word(out, 'c', i, was->contended, is.contended);
	put_word(out, 'l', i, was->learn, is.learn);
	put_word(out, 't', i, was->tell, is.tell);
	put_word(out, 'e', i, was->exclusive, is.exclusive);
	if (rung(&g->f)) {
		g->rung = true;
		put(out, " !%zu", i);
	}
	g->seen = is;
}

/* timer_was: when the timer was to fire before the input. */
static void put_decisions(struct text *out, uint64_t timer_was)
{
	for (size_t i = 0; i < PLACES; i++) {
		if (gates[i].there)
			put_gate(out, &gates[i]);
	}
	for (size_t i = 0; i < PLACES; i++) {
		struct seat *v = &vgpus[i];

		if (v->count.gpu_ns == v->charged)
			continue;
		put(out, " $%zu:", i);
		put_number(out, v->count.gpu_ns - v->charged);
		v->charged = v->count.gpu_ns;
	}
	if (timer_at != timer_was && timer_at != SCHED_NEVER) {
		put(out, " @");
		put_number(out, timer_at - clock_ns);
	}
}

/* ---- lines ---- */

static void replay_start(void)
{
	memset(gates, 0, sizeof(gates));
	memset(vgpus, 0, sizeof(vgpus));
	memset(groups, 0, sizeof(groups));
	s = NULL;
	start_clock();
}

static void replay_end(void)
{
	finish();
	s = NULL;
}

/* Plays a line up to its '>'. The decisions go to *out. */
static void replay_line(const char *p, struct text *out)
{
	uint64_t a[ARGS] = {0}, timer_was;
	size_t n = 0;
	char what;

	out->n = 0;
	out->s[0] = '\0';
	clock_ns += get_number(&p);
	ck_assert_msg(*p == ' ' && p[1], "no input: %s", p);
	what = *++p;
	while (*++p >= '0' && *p <= '9' && n < ARGS) {
		a[n++] = get_number(&p);
		if (*p != ':')
			break;
	}
	while (*p == ' ' && p[1] != '>') {
		const char *at = p + 1;
		const uint64_t gate = get_number(&at);

		ck_assert_msg(gate < PLACES && *at == ':', "no report: %s", p);
		p = get_report(&gates[gate], at + 1);
	}
	ck_assert_msg(!*p || *p == ' ', "what is that: %s", p);
	timer_was = what == 'T' ? SCHED_NEVER : timer_at;
	drive(what, a, out);
	put_decisions(out, timer_was);
}

#endif
