/* SPDX-License-Identifier: MIT */
/*
 * Records replay tables (schedule_replay.h). The GPU, workers and programs of schedule_model.h do
 * what they do in other tests, but pvgpud hears of it by way of lines: each bell, each timer and
 * each change is written down, and then played from the line itself.
 */
#ifndef PVGPU_TEST_SCHEDULE_RECORD_H
#define PVGPU_TEST_SCHEDULE_RECORD_H

#include "tests/unit/daemon/schedule_replay.h"

static struct {
	FILE *to;
	uint64_t at;                 /* the time of the last line */
	unsigned int rung[PLACES];   /* gates whose workers have rung, in order */
	unsigned int rung_n, vgpu_n; /* vGPUs so far */
	unsigned int gate_n, group_n;
	const unsigned int *group_of; /* by vGPU; NULL: no groups */
	bool old_workers, adopted;
	uint64_t late_ns; /* of the timer */
} tape;

static void put_reports(struct text *line)
{
	for (size_t i = 0; i < PLACES; i++) {
		struct place *g = &gates[i];
		bool any = false;

		if (!g->there)
			continue;
		if (tape.old_workers)
			g->f.says->counts_full = 0;
		if (tape.old_workers)
			g->f.says->drain_ns = 0;
		for (const struct field *f = fields; f < fields + FIELDS; f++) {
			const uint64_t is = get_field(g->f.says, f);
			uint64_t was = get_field(&g->told, f);

			if (f->how == FOLLOWS &&
			    get_field(&g->told, f - 1) != get_field(g->f.says, f - 1))
				was = get_field(g->f.says, f - 1);

			if (was == is)
				continue;
			if (!any)
				put(line, " %zu:", i);
			any = true;
			put(line, "%c", f->letter);
			if (f->how == GROWTH)
				put_number(line, is - was);
			else if (f->how != AGE)
				put_number(line, is);
			else if (is)
				put_number(line, clock_ns - is);
		}
	}
}

/* Writes and plays a line with that input. */
__attribute__((format(printf, 1, 2))) static void record(const char *format, ...)
{
	static struct text line, decided;
	const uint64_t now = clock_ns;
	char what[160];
	va_list list;

	va_start(list, format);
	vsnprintf(what, sizeof(what), format, list);
	va_end(list);
	line.n = 0;
	put_number(&line, now - tape.at);
	put(&line, " %s", what);
	put_reports(&line);
	clock_ns = tape.at;
	replay_line(line.s, &decided);
	ck_assert_uint_eq(clock_ns, now);
	fprintf(tape.to, "%s >%s\n", line.s, decided.s);
	tape.at = now;
}

static struct place *place_of(const struct fake *f)
{
	for (size_t i = 0; i < PLACES; i++) {
		if (gates[i].there && gates[i].f.g == f->g)
			return &gates[i];
	}
	ck_abort_msg("a gate that is not there");
}

static unsigned int number_of(const struct tenant *t)
{
	for (unsigned int i = 0; i < PLACES; i++) {
		if (t && vgpus[i].t == t)
			return i;
	}
	ck_abort_msg("a vGPU that is not there");
}

/* ---- in the place of the functions of the model that pvgpud hears ---- */

static void record_pool(struct schedule *ignored, const struct sched_params *p)
{
	record("P%d:%llu:%llu:%d", (int)p->policy, (unsigned long long)p->slice_ns,
	       (unsigned long long)p->starve_ns, p->exclusive);
}

static struct tenant *record_vgpu(const struct sched_share *h)
{
	const unsigned int i = tape.vgpu_n++, group = tape.group_of ? tape.group_of[i] : 0;

	record("V%u:%d:%u:%u:%u:%u:%u", i, (int)h->class, h->weight, h->min_ppm, h->max_ppm,
	       h->fixed_ppm, group);
	return vgpus[i].t;
}

static void record_vgpu_gone(struct tenant *t)
{
	if (t)
		record("v%u", number_of(t));
}

static struct fake record_join(struct tenant *t)
{
	const unsigned int i = tape.gate_n++;

	record("G%u:%u:%d", i, number_of(t), tape.adopted);
	return gates[i].f;
}

static void record_leave(const struct fake *f)
{
	record("g%zu", (size_t)(place_of(f) - gates));
}

static void record_ring(const struct fake *f)
{
	const unsigned int i = (unsigned int)(place_of(f) - gates);

	for (unsigned int k = 0; k < tape.rung_n; k++) {
		if (tape.rung[k] == i)
			return;
	}
	tape.rung[tape.rung_n++] = i;
}

/* pvgpud takes one bell after the other. */
static void record_bells(void)
{
	for (unsigned int i = 0; i < tape.rung_n; i++) {
		if (gates[tape.rung[i]].there)
			record("B%u", tape.rung[i]);
	}
	tape.rung_n = 0;
}

static void record_timer(void)
{
	clock_ns = (timer_at > clock_ns ? timer_at : clock_ns) + tape.late_ns;
	record("T");
}

static bool record_rung(const struct fake *f)
{
	struct place *g = place_of(f);
	const bool was = g->rung;

	g->rung = false;
	return was;
}

static void record_end(void)
{
	for (unsigned int i = 1; i <= tape.group_n; i++)
		record("q%u", i);
	replay_end();
}

#define start(policy, exclusive)       ((void)0)
#define finish()                       record_end()
#define schedule_set(s, params)        record_pool(s, params)
#define tenant_new(s, group, p, count) record_vgpu(&(p)->share)
#define tenant_free(t)                 record_vgpu_gone(t)
#define join(t, adopted)               record_join(t)
#define leave(f)                       record_leave(f)
#define ring(f)                        record_ring(f)
#define rung(f)                        record_rung(f)
#define bells()                        record_bells()
#define fire()                         record_timer()

#include "tests/unit/daemon/schedule_model.h"

#undef start
#undef finish
#undef schedule_set
#undef tenant_new
#undef tenant_free
#undef join
#undef leave
#undef ring
#undef rung
#undef bells
#undef fire

/* ---- loads ---- */

/* A change at a time of the load: an input as in a table, or "leave N" and "gone N" for a model's
 * gate or all of its vGPU, "away NS" for pvgpud, "end N" for the work of a model that hangs,
 * "returned N" for a host function before work in flight of a model: it needs the gate to go on. */
struct change {
	uint64_t at;
	const char *what;
};

#define KINDS   8u
#define CHANGES 12u

struct load {
	const char *name, *about;
	struct sched_params pool;
	struct model v[KINDS];
	unsigned int kinds, n; /* n: so many, of each kind in turn; 0: one of each */
	uint64_t ns;
	struct change change[CHANGES];
	bool old_workers, adopted;
	uint64_t late_ns;
	const char *group[PLACES / 8];     /* settings, as in a line */
	unsigned int group_of[PLACES / 8]; /* by vGPU */
};

static void model_gone(unsigned int i, bool vgpu)
{
	if (m[i].begun)
		record_leave(&m[i].f);
	memset(m[i].stream, 0, sizeof(m[i].stream));
	m[i].begun = false;
	m[i].from = SCHED_NEVER;
	if (!vgpu)
		return;
	record_vgpu_gone(m[i].t);
	m[i].t = NULL;
}

static void make_change(const char *what)
{
	const char *p = strchr(what, ' ');
	const uint64_t n = p ? get_number(&(const char *){p + 1}) : 0;

	if (!strncmp(what, "leave ", 6) || !strncmp(what, "gone ", 5)) {
		model_gone((unsigned int)n, what[0] == 'g');
	} else if (!strncmp(what, "away ", 5)) {
		away_until = clock_ns + n;
	} else if (!strncmp(what, "end ", 4)) {
		m[n].stream[0].length = m[n].stream[0].left = MS;
		m[n].stream[0].depth = 0;
	} else if (!strncmp(what, "returned ", 9)) {
		m[n].f.says->sleeps = 1;
		record_ring(&m[n].f);
	} else {
		record("%s", what);
	}
}

/* A timer that is late may have passed the end already. */
static void play_until(uint64_t ns)
{
	if (ns > clock_ns)
		play(ns - clock_ns);
}

static void record_load(const struct load *l, FILE *to)
{
	const unsigned int n = l->n ? l->n : l->kinds;
	static struct model v[PLACES];
	uint64_t begun;

	memset(&tape, 0, sizeof(tape));
	tape.to = to;
	tape.old_workers = l->old_workers;
	tape.adopted = l->adopted;
	tape.late_ns = l->late_ns;
	tape.group_of = l->group[0] ? l->group_of : NULL;
	replay_start();
	tape.at = clock_ns;
	for (unsigned int i = 0; i < n; i++)
		v[i] = l->v[i % l->kinds];
	if (l->group[0])
		record_pool(NULL, &l->pool);
	while (l->group[tape.group_n]) {
		record("Q%u:%s", tape.group_n + 1, l->group[tape.group_n]);
		tape.group_n++;
	}
	model_start(&l->pool, v, n);
	begun = clock_ns;
	for (const struct change *c = l->change; c->what; c++) {
		play_until(begun + c->at);
		make_change(c->what);
	}
	play_until(begun + l->ns);
	for (unsigned int i = 0; i < PLACES; i++) {
		if (vgpus[i].t)
			record("L%u", i);
	}
	record("H");
	model_end();
}

#endif
