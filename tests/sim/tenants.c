/* SPDX-License-Identifier: MIT */
/*
 * Tenants as tests/bench/loops.py writes them (WEIGHT:US:BURST:THINK_US[:high|low][xN],...), each
 * in a closed loop, for a comparison with real runs of the same load: that machine's times are
 * options.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/bench.h"

#define SECONDS 20

struct tenant_load {
	uint32_t weight, times;
	double us, burst, think_us;
	enum sched_class class;
};

static _Noreturn void wrong(const char *text)
{
	fprintf(stderr,
		"pvsim: --tenants: \"%s\": must be WEIGHT:US:BURST:THINK_US[:high|low][xN],..., at "
		"most %d of them\n",
		text, BENCH_LOADS);
	exit(2);
}

/* In decimal: 0x8 is one that does not think, eight times. */
static double part(const char **s, char end, const char *whole)
{
	char *after;
	unsigned long n = strtoul(*s, &after, 10);

	if (after == *s || **s < '0' || **s > '9' || n > 1000000000 || (end && *after != end))
		wrong(whole);
	*s = after + (end != '\0');
	return (double)n;
}

static const char *parse_one(const char *s, const char *whole, struct tenant_load *t)
{
	static const char *const high = ":high", *const low = ":low";

	t->weight = (uint32_t)part(&s, ':', whole) * 100;
	t->us = part(&s, ':', whole);
	t->burst = part(&s, ':', whole);
	t->think_us = part(&s, '\0', whole);
	t->class = SCHED_MEDIUM;
	if (!strncmp(s, high, strlen(high))) {
		t->class = SCHED_HIGH;
		s += strlen(high);
	} else if (!strncmp(s, low, strlen(low))) {
		t->class = SCHED_LOW;
		s += strlen(low);
	}
	t->times = 1;
	if (*s == 'x') {
		s++;
		t->times = (uint32_t)part(&s, '\0', whole);
	}
	if (!t->weight || t->us <= 0 || t->burst < 1 || !t->times || t->times > 1000)
		wrong(whole);
	if (*s && *s++ != ',')
		wrong(whole);
	return s;
}

static void add(struct bench *b, const struct tenant_load *t)
{
	const struct sim_load load = {
		.name = "loop",
		.arrival = SIM_CLOSED,
		.gap = {SIM_UNIFORM, (t->think_us + options.gap_us) * 1e3, 0.5},
		.kernels = {SIM_CONST, t->burst, 0},
		.kernel_ns = {SIM_CONST, (t->us + options.overhead_us) * 1e3, 0},
	};
	const uint32_t number = bench_load(b, &load);

	for (uint32_t i = 0; i < t->times; i++) {
		struct sim_vgpu_spec *v = bench_vgpus(b, number, 1);

		v->share.weight = t->weight;
		v->share.class = t->class;
	}
}

void run_tenants(void)
{
	struct tenant_load t[BENCH_LOADS];
	const char *s = options.tenants;
	struct sim_result *r;
	size_t n = 0, v = 0;
	struct bench b;
	char name[32];

	bench_init(&b, SECONDS);
	do {
		if (n == BENCH_LOADS)
			wrong(options.tenants);
		s = parse_one(s, options.tenants, &t[n]);
		add(&b, &t[n++]);
	} while (*s);
	b.c.model.bell_ns = (uint64_t)(options.bell_us * 1e3);
	b.c.model.switch_ns = (uint64_t)(options.switch_us * 1e3);
	r = bench_run(&b, "tenants");
	for (size_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < t[i].times; k++, v++) {
			snprintf(name, sizeof(name), "tenant_%zu", v);
			row(name, share_of(r, v) * t[i].us / (t[i].us + options.overhead_us),
			    "of the GPU's time", ROW_NONE, 0, NULL);
		}
	}
	sim_result_free(r);
	bench_free(&b);
}
