/* SPDX-License-Identifier: MIT */
/* The simulator: runs scenarios, prints their figures, writes them as JSON. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/bench.h"

#define MAX_ONLY 32

struct options options = {.seed = 1,
			  .trace_gpus = 8,
			  .trace_memory = 80ull << 30,
			  .trace_speed = 1,
			  .bell_us = 10,
			  .switch_us = 59,
			  .gap_us = 20};

const struct scenario scenarios[] = {
	{"idle", "one busy vGPU among idle ones", true, run_idle},
	{"equal", "2, 8 and 32 saturating vGPUs", true, run_equal},
	{"shares", "weights, caps, minima, fixed and equal shares", true, run_shares},
	{"processes", "a vGPU with 16 processes against one with one", true, run_processes},
	{"groups", "a project of nine vGPUs against one of one", true, run_groups},
	{"long", "kernels that outlast their turns", true, run_long},
	{"priority", "a high one's latency beside a low one; starvation bound", true, run_priority},
	{"decoders", "a decoder of class high beside seven low ones", true, run_decoders},
	{"wait", "random runs: no wait is longer than its bound", true, run_wait},
	{"endless", "a kernel that never ends", true, run_endless},
	{"cost", "what a decision costs, by number of vGPUs", true, run_cost},
	{"exclusive", "a pool whose tenants are never on the GPU together", true, run_exclusive},
	{"policies", "every policy under every kind of load", false, run_policies},
	{"latency", "latency by load", false, run_latency},
	{"loops", "tenants of different weight that compute, wait and think", true, run_loops},
	{"strategies", "a tenant that picks lengths, pauses, depth and streams to cheat", true,
	 run_strategies},
	{"timeline", "shares over time, as vGPUs come and go", true, run_timeline},
	{"trace", "load shaped like published traces, or a file (--trace)", true, run_trace},
	{"placement", "10,000 vGPUs on 500 GPUs, placed in three ways", false, run_placement},
	{"scale", "2 to 10,000 vGPUs on 1 to 500 GPUs", false, run_scale},
};
const size_t n_scenarios = sizeof(scenarios) / sizeof(scenarios[0]);

static const char *const usage =
	"Usage: pvsim [option]...\n"
	"Simulates GPUs under the scheduler, prints a table and writes it as JSON. Exit status: "
	"0,\n"
	"1 if a target was missed, 2 for wrong use.\n\n"
	"  --only NAME      this scenario (again for more); default all\n"
	"  --list           the scenarios\n"
	"  --quick          the short run\n"
	"  --seed N         default 1; the same seed gives the same result\n"
	"  --duration S     simulated seconds of each run; default each scenario's own\n"
	"  --out FILE       where the JSON goes (default sim.json)\n"
	"  --quiet          no progress\n"
	"  --trace FILE     a CSV file instead of the generated traces, with a header line:\n"
	"                   arrival_s,duration_ms,vgpu, or the columns of openb_pod_list\n"
	"                   (creation_time, deletion_time, num_gpu, gpu_milli)\n"
	"  --gpus N         of --trace (default 8)\n"
	"  --memory GIB     of each of them (default 80)\n"
	"  --speed X        the trace's clock runs X times as fast (default 1)\n"
	"  --tenants LOAD   WEIGHT:US:BURST:THINK_US[:high|low][xN],... instead: the part of each\n"
	"  --bell US        of --tenants: delay of a bell (default 10),\n"
	"  --switch US      change of context (default 59),\n"
	"  --overhead US    what a kernel takes beside its own time (default 0),\n"
	"  --gap US         a program's time between a result and the next launch (default 20)\n";

static void list(void)
{
	for (size_t i = 0; i < n_scenarios; i++)
		printf("%-12s %s%s\n", scenarios[i].name, scenarios[i].what,
		       scenarios[i].quick ? "" : " (not in --quick)");
}

static const struct scenario *find(const char *name)
{
	for (size_t i = 0; i < n_scenarios; i++)
		if (!strcmp(scenarios[i].name, name))
			return &scenarios[i];
	return NULL;
}

/* Positive, or exit. */
static double number(const char *option, const char *text, double most)
{
	char *end;
	double x = strtod(text, &end);

	if (end == text || *end || !(x > 0) || x > most) {
		fprintf(stderr, "pvsim: --%s %s: must be a number above 0, up to %g\n", option,
			text, most);
		exit(2);
	}
	return x;
}

static int write_json(const char *path)
{
	json_t *rows = rows_take();
	int ret = json_dump_file(rows, path, JSON_INDENT(1) | JSON_REAL_PRECISION(9));

	json_decref(rows);
	if (ret < 0)
		fprintf(stderr, "pvsim: %s: %s\n", path, strerror(errno));
	return ret;
}

static const struct option longs[] = {
	{"only", required_argument, NULL, 'o'},     {"list", no_argument, NULL, 'l'},
	{"quick", no_argument, NULL, 'q'},          {"seed", required_argument, NULL, 's'},
	{"duration", required_argument, NULL, 'd'}, {"out", required_argument, NULL, 'f'},
	{"quiet", no_argument, NULL, 'Q'},          {"trace", required_argument, NULL, 't'},
	{"gpus", required_argument, NULL, 'g'},     {"memory", required_argument, NULL, 'm'},
	{"speed", required_argument, NULL, 'x'},    {"tenants", required_argument, NULL, 'T'},
	{"bell", required_argument, NULL, 'B'},     {"switch", required_argument, NULL, 'S'},
	{"overhead", required_argument, NULL, 'O'}, {"gap", required_argument, NULL, 'G'},
	{"help", no_argument, NULL, 'h'},           {0},
};

int main(int argc, char **argv)
{
	const struct scenario *only[MAX_ONLY];
	size_t n_only = 0;
	const char *out = "sim.json";
	int c;

	options.quiet = !isatty(STDERR_FILENO);
	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (c) {
		case 'o':
			only[n_only] = find(optarg);
			if (!only[n_only] || ++n_only == MAX_ONLY) {
				fprintf(stderr,
					"pvsim: --only %s: no such scenario; --list shows them\n",
					optarg);
				return 2;
			}
			break;
		case 'l':
			list();
			return 0;
		case 'q':
			options.quick = true;
			break;
		case 's':
			options.seed = (uint64_t)number("seed", optarg, 1e18);
			break;
		case 'd':
			options.duration_s = number("duration", optarg, 1e6);
			break;
		case 'f':
			out = optarg;
			break;
		case 'Q':
			options.quiet = true;
			break;
		case 't':
			options.trace = optarg;
			break;
		case 'g':
			options.trace_gpus = (size_t)number("gpus", optarg, 100000);
			break;
		case 'm':
			options.trace_memory =
				(uint64_t)(number("memory", optarg, 1e6) * (double)(1ull << 30));
			break;
		case 'x':
			options.trace_speed = number("speed", optarg, 1e9);
			break;
		case 'T':
			options.tenants = optarg;
			break;
		case 'B':
			options.bell_us = number("bell", optarg, 1e6);
			break;
		case 'S':
			options.switch_us = number("switch", optarg, 1e6);
			break;
		case 'O':
			options.overhead_us = number("overhead", optarg, 1e6);
			break;
		case 'G':
			options.gap_us = number("gap", optarg, 1e6);
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			return 2;
		}
	}
	if (optind < argc) {
		fputs(usage, stderr);
		return 2;
	}
	if (options.tenants) {
		run_tenants();
		return write_json(out) < 0 ? 2 : 0;
	}
	if (options.trace && !n_only)
		only[n_only++] = find("trace");
	for (size_t i = 0; i < (n_only ? n_only : n_scenarios); i++) {
		const struct scenario *s = n_only ? only[i] : &scenarios[i];

		if (!n_only && options.quick && !s->quick)
			continue;
		printf("-- %s: %s\n", s->name, s->what);
		s->run();
	}
	printf("%zu passed, %zu failed\n", rows_judged() - rows_failed(), rows_failed());
	if (write_json(out) < 0)
		return 2;
	return rows_failed() ? 1 : 0;
}
