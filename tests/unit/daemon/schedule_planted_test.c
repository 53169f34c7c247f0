/* SPDX-License-Identifier: MIT */
/*
 * pvgpud and the simulator have no rules of their own: a constant of sched/turn that is changed
 * changes what both do. Linked with --wrap of what is planted here.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/daemon/schedule_model.h"
#include "xen-pvgpu-back/sched/sim/sim.h"
#include "xen-pvgpu-back/sched/turn/internal.h"

#define SECONDS 2u
#define SPAN    (SECONDS * 1000 * MS)

static bool planted;

/* Of a second. */
struct counts {
	uint64_t handovers, decisions;
};

uint64_t __real_window_early_dry(uint64_t handover_ns, uint64_t turn_ns);
uint64_t __wrap_window_early_dry(uint64_t handover_ns, uint64_t turn_ns);
uint64_t __real_window_brief_kernel(uint64_t handover_ns, bool alike);
uint64_t __wrap_window_brief_kernel(uint64_t handover_ns, bool alike);

/* No turn ends before its holder runs dry. */
uint64_t __wrap_window_early_dry(uint64_t handover_ns, uint64_t turn_ns)
{
	return planted ? 0 : __real_window_early_dry(handover_ns, turn_ns);
}

/* No vGPU is brief. */
uint64_t __wrap_window_brief_kernel(uint64_t handover_ns, bool alike)
{
	return planted ? 0 : __real_window_brief_kernel(handover_ns, alike);
}

/* Two vGPUs that wait for each kernel. */
static struct counts of_pvgpud(uint64_t kernel_ns, uint64_t think_ns)
{
	const struct sched_params p = {.policy = SCHED_FAIR};
	const struct model v = {.share = {.class = SCHED_MEDIUM, .weight = 100},
				.stream = {{.length = kernel_ns, .think = think_ns, .depth = 1}}};
	struct counts n;

	model_start(&p, (const struct model[]){v, v}, 2);
	play(SPAN);
	n = (struct counts){s->turns.handovers / SECONDS, s->turns.decisions / SECONDS};
	model_end();
	return n;
}

static struct counts of_simulator(uint64_t kernel_ns, uint64_t think_ns)
{
	const struct sim_load load = {.arrival = SIM_CLOSED,
				      .gap = {SIM_CONST, (double)think_ns, 0},
				      .kernels = {SIM_CONST, 1, 0},
				      .kernel_ns = {SIM_CONST, (double)kernel_ns, 0}};
	const struct sim_vgpu_spec v = {.share = {.class = SCHED_MEDIUM, .weight = 100}};
	const struct sim_vgpu_spec vgpus[] = {v, v};
	const struct place_gpu gpu = {0};
	struct sim_config c = {.duration_ns = SPAN,
			       .gpus = &gpu,
			       .n_gpus = 1,
			       .loads = &load,
			       .n_loads = 1,
			       .vgpus = vgpus,
			       .n_vgpus = 2};
	struct sim_result *r;
	struct counts n;

	sim_model_default(&c.model);
	r = sim_run(&c);
	ck_assert_ptr_nonnull(r);
	n = (struct counts){r->all.handovers / SECONDS, r->all.decisions / SECONDS};
	sim_result_free(r);
	return n;
}

/* Kernels of 200 us are brief: two such vGPUs have the GPU at once, and no hand-over, until no vGPU
 * counts as brief. */
START_TEST(who_is_brief)
{
	planted = false;
	ck_assert_uint_lt(of_pvgpud(200 * US, 100 * US).handovers, 50);
	ck_assert_uint_lt(of_simulator(200 * US, 100 * US).handovers, 50);
	planted = true;
	ck_assert_uint_gt(of_pvgpud(200 * US, 100 * US).handovers, 500);
	ck_assert_uint_gt(of_simulator(200 * US, 100 * US).handovers, 500);
}
END_TEST

/* Kernels of 4 ms have turns, which end before the holder runs dry, or else when it has: then a
 * decision at that time is missing. */
START_TEST(when_a_turn_ends)
{
	struct counts pvgpud, simulator;

	planted = false;
	pvgpud = of_pvgpud(4 * MS, 100 * US);
	simulator = of_simulator(4 * MS, 100 * US);
	planted = true;
	ck_assert_uint_ne(of_pvgpud(4 * MS, 100 * US).decisions, pvgpud.decisions);
	ck_assert_uint_ne(of_simulator(4 * MS, 100 * US).decisions, simulator.decisions);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("schedule_planted");
	TCase *c = tcase_create("schedule_planted");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_set_timeout(c, 120);
	tcase_add_test(c, who_is_brief);
	tcase_add_test(c, when_a_turn_ends);
	suite_add_tcase(suite, c);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
