/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "xen-pvgpu-back/contract/log.h"
#include "xen-pvgpu-back/daemon/config/config.h"

static struct config c;
static char error[CONFIG_ERROR];

static int parse(const char *text)
{
	FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	int r;

	ck_assert_ptr_nonnull(f);
	error[0] = '\0';
	r = config_stream(&c, f, "x.conf", error);
	fclose(f);
	return r;
}

static void setup(void)
{
	config_init(&c);
}

static void teardown(void)
{
	config_free(&c);
}

START_TEST(reads_everything)
{
	int r = parse("# a comment\n"
		      "[daemon]\n"
		      "run_dir = /tmp/x\n"
		      "libcuda = /usr/lib/libcuda.so.1 ; a comment\n"
		      "spare_workers = 3\n"
		      "log_level = debug\n"
		      "env = SIMCUDA_MEMORY=1G\n"
		      "env = B=c=d\n"
		      "\n"
		      "[vgpu first]\n"
		      "memory = 4G\n"
		      "  mode = 0660\n"
		      "owner = nobody:users\n"
		      "[vgpu second]\n"
		      "[vgpu third]\n"
		      "memory = 0\n"
		      "socket = /tmp/s\n");

	ck_assert_msg(r == 0, "%s", error);
	ck_assert_int_eq(config_finish(&c, error), 0);
	ck_assert_str_eq(c.run_dir, "/tmp/x");
	ck_assert_str_eq(c.libcuda, "/usr/lib/libcuda.so.1");
	ck_assert_uint_eq(c.spares, 3);
	ck_assert_uint_eq(c.log_level, LOG_LEVEL_DEBUG);
	ck_assert_uint_eq(c.env_n, 2);
	ck_assert_str_eq(c.env[1], "B=c=d");
	ck_assert_uint_eq(c.vgpu_n, 3);
	ck_assert_uint_eq(c.vgpus[0].memory, 4ull << 30);
	ck_assert_uint_eq(c.vgpus[0].mode, 0660);
	ck_assert_str_eq(c.vgpus[0].owner, "nobody:users");
	ck_assert_str_eq(c.vgpus[1].name, "second");
	ck_assert_str_eq(c.vgpus[1].socket, "/tmp/x/second.sock");
	ck_assert_uint_eq(c.vgpus[1].memory, 0);
	ck_assert_str_eq(c.vgpus[2].socket, "/tmp/s");
}
END_TEST

/* Overrides for tests are off unless the configuration sets them. */
START_TEST(overrides)
{
	ck_assert_str_eq(config_overrides(&c), "");
	ck_assert_int_eq(parse("[daemon]\ntest_judge_observes = 1\n"), 0);
	ck_assert_uint_eq(c.test_judge_observes, 1);
	ck_assert_uint_eq(c.test_allow_hmm, 0);
	ck_assert_str_eq(config_overrides(&c), "test_judge_observes");
	ck_assert_int_eq(config_set(&c, "test_allow_hmm=1", error), 0);
	ck_assert_str_eq(config_overrides(&c), "test_allow_hmm test_judge_observes");
	ck_assert_int_eq(config_set(&c, "test_judge_observes=0", error), 0);
	ck_assert_str_eq(config_overrides(&c), "test_allow_hmm");
}
END_TEST

static const struct {
	const char *text, *error;
} bad[] = {
	{"[daemon]\nspare_workers = many\n",
	 "x.conf:2: spare_workers = many: must be a number from 0 to 64"},
	{"[daemon]\nspare_workers = 65\n", "x.conf:2: spare_workers = 65: must be"},
	{"[daemon]\nspare_workers = 3x\n", "x.conf:2: spare_workers = 3x: must be"},
	{"[daemon]\nspare_workers = -1\n", "x.conf:2: spare_workers = -1: must be"},
	{"[daemon]\n\n\nrun_dir = here\n", "x.conf:4: run_dir = here: must be an absolute path"},
	{"[daemon]\nrundir = /x\n", "x.conf:2: rundir: no such key in [daemon]"},
	{"[daemon]\nlog_level = loud\n",
	 "x.conf:2: log_level = loud: must be error, warning, info or debug"},
	{"[daemon]\ntest_allow_hmm = 2\n",
	 "x.conf:2: test_allow_hmm = 2: must be a number from 0 to 1"},
	{"[daemon]\ntest_judge_observes = yes\n", "must be a number from 0 to 1"},
	{"[vgpu a]\ntest_allow_hmm = 1\n", "test_allow_hmm: no such key in [vgpu a]"},
	{"[daemon]\nenv = PATH\n", "x.conf:2: env = PATH: must be NAME=VALUE"},
	{"[vgpu a]\nmemory = 4X\n", "x.conf:2: memory = 4X: must be a size"},
	{"[vgpu a]\nmemory = 4GB\n", "x.conf:2: memory = 4GB: must be a size"},
	{"[vgpu a]\nmemory = 99999999999999999999\n",
	 "x.conf:2: memory = 99999999999999999999: must be a size"},
	{"[vgpu a]\nmemory = 99999999999999T\n", "must be a size"},
	{"[vgpu a]\nmemory = 8\n", "x.conf:2: memory = 8: must be a size from 1M to 1024T, such as "
				   "512M or 4G, or 0; did you mean 8G?"},
	{"[vgpu a]\nmemory = 1048575\n", "; did you mean 1048575M?"},
	{"[vgpu a]\nmemory = 8K\n", "memory = 8K: must be a size"},
	{"[vgpu a]\nrate_bytes = 100\n", "; did you mean 100G?"},
	{"[daemon]\nworker_memory = 2\n", "; did you mean 2G?"},
	{"[group g]\nrate_bytes = 300\n", "; did you mean 300M?"},
	{"[vgpu a]\nwieght = 5\n", "wieght: no such key in [vgpu a]: did you mean weight?"},
	{"[pool a]\npolcy = fair\n", "polcy: no such key in [pool a]: did you mean policy?"},
	{"[vgpu a]\nweight = 5\n[vgpu b]\n[vgpu a]\n",
	 "x.conf:4: [vgpu a] is there already: put its settings into one section"},
	{"[pool a]\ndevice = 0\n[pool a]\n", "x.conf:3: [pool a] is there already"},
	{"[group a]\n[group a]\n", "x.conf:2: [group a] is there already"},
	{"[daemon]\n[daemon]\n", "x.conf:2: [daemon] is there already"},
	{"[vgpu a]\nmemory = -4G\n", "must be a size"},
	{"[vgpu a]\nmode = 0888\n", "x.conf:2: mode = 0888: must be file permissions"},
	{"[vgpu a]\nmode = 1777\n", "must be file permissions"},
	{"[vgpu a/b]\n", "x.conf:1: vgpu a/b: a name is"},
	{"[vgpu ..]\n", "a name is"},
	{"[vgpu ]\n", "a name is"},
	{"[gpu a]\nmemory = 1G\n", "x.conf:1: [gpu a]: no such section"},
	{"memory = 1G\n", "no such section"},
	{"[pool a]\npolicy = unfair\n",
	 "x.conf:2: policy = unfair: must be fair, equal, fixed or best-effort"},
	{"[pool a]\nmode = alone\n",
	 "x.conf:2: mode = alone: must be shared, exclusive or confidential"},
	{"[pool a]\ndevice = 256\n", "x.conf:2: device = 256: must be a GPU's number"},
	{"[pool a]\ndevice = 01\n", "must be a GPU's number"},
	{"[pool a]\ndevice = 0,1\n", "must be a GPU's number"},
	{"[pool a]\ndevice = GPU-\n", "must be a GPU's number"},
	{"[pool a]\ndevice = GPU-12;34\n", "device = GPU-12;34: must be a GPU's number"},
	{"[pool a]\novercommit = 0.09\n", "must be a ratio from 0.1 to 100, such as 1.5"},
	{"[pool a]\novercommit = 1.\n", "must be a ratio"},
	{"[pool a]\novercommit = 1.5x\n", "must be a ratio"},
	{"[pool a]\novercommit = 99999999999999999999\n", "must be a ratio"},
	{"[pool a]\nslice_ms = 31\n", "must be a number from 0 to 30"},
	{"[pool a]\ncredit_ms = 1001\n", "must be a number from 0 to 1000"},
	{"[pool sixteen-letters!]\n", "x.conf:1: pool sixteen-letters!: a name is 1 to 15"},
	{"[pool a@b]\n", "a name is"},
	{"[pool a.b]\n", "a name is"},
	{"[pool -a]\n", "a name is"},
	{"[pool ]\n", "a name is"},
	{"[group g]\nweight = 0\n", "x.conf:2: weight = 0: must be a number from 1 to 10000"},
	{"[group g]\nmax_share = 25\n", "must be a share from 0% to 100%, such as 25% or 12.5%"},
	{"[group g]\nmax_share = 101%\n", "must be a share"},
	{"[group g]\nmax_share = 100.0001%\n", "must be a share"},
	{"[group g]\nmax_share = -1%\n", "must be a share"},
	{"[group g]\nmax_share = 1.%\n", "must be a share"},
	{"[group g]\nmax_share = 1.23456%\n", "must be a share"},
	{"[vgpu a]\npool = b/c/d\n", "must be POOL, POOL/GROUP or /GROUP"},
	{"[vgpu a]\npool = b/\n", "must be POOL, POOL/GROUP or /GROUP"},
	{"[vgpu a]\npool = /\n", "must be POOL, POOL/GROUP or /GROUP"},
	{"[vgpu a]\npool = sixteen-letters-\n", "must be POOL, POOL/GROUP or /GROUP"},
	{"[group forty-letters-are-more-than-a-uuid-has.]\n", "a name is 1 to 39"},
	{"[vgpu a]\npool = /forty-letters-are-more-than-a-uuid--has-\n", "up to 39 of a group"},
	{"[daemon]\nsandbox = on\n", "x.conf:2: sandbox = on: must be off, no-seccomp or full"},
	{"[daemon]\ncgroup = here\n",
	 "x.conf:2: cgroup = here: must be auto, off or the absolute path of a cgroup's directory"},
	{"[daemon]\nworker_pids = 8\n",
	 "x.conf:2: worker_pids = 8: must be a number from 64 to 4096"},
	{"[daemon]\nworker_uids = 5000\n", "must be FIRST-LAST"},
	{"[daemon]\nworker_uids = 999-2000\n", "must be FIRST-LAST"},
	{"[daemon]\nworker_uids = 0-2000\n", "must be FIRST-LAST"},
	{"[daemon]\nworker_uids = 3000-3000\n", "must be FIRST-LAST"},
	{"[daemon]\nworker_uids = 3001-3000\n", "must be FIRST-LAST"},
	{"[daemon]\nworker_uids = 3000-4000x\n", "must be FIRST-LAST"},
	{"[daemon]\nworker_uids = 1000-2000000\n", "must be FIRST-LAST"},
	{"[daemon]\nworker_uids = 2147483000-4294967295\n", "must be FIRST-LAST"},
	{"[daemon]\nplacement = first\n", "must be breadth-first, depth-first or least-loaded"},
	{"[daemon]\nnonsense\n", "x.conf:2: neither [section] nor key = value"},
	{"[daemon]\nspare_workers = 99\nspare_workers = 1\n", "x.conf:2: "},
};

START_TEST(names_what_is_wrong)
{
	ck_assert_int_eq(parse(bad[_i].text), -1);
	ck_assert_msg(strstr(error, bad[_i].error) != NULL, "'%s' is not in '%s'", bad[_i].error,
		      error);
}
END_TEST

START_TEST(refuses_long_lines)
{
	char text[1000];

	memset(text, 'x', sizeof(text));
	memcpy(text, "[daemon]\nlibcuda = ", 19);
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(parse(text), -1);
	ck_assert_msg(strstr(error, "x.conf:2: line longer than") != NULL, "%s", error);
}
END_TEST

START_TEST(takes_vgpus_from_the_command_line)
{
	ck_assert_int_eq(config_vgpu(&c, "a:memory=512M,max_sessions=2", error), 0);
	ck_assert_int_eq(config_vgpu(&c, "b", error), 0);
	ck_assert_int_eq(config_vgpu(&c, "a:arena_limit=1G", error), 0);
	ck_assert_uint_eq(c.vgpu_n, 2);
	ck_assert_uint_eq(c.vgpus[0].memory, 512ull << 20);
	ck_assert_uint_eq(c.vgpus[0].policy.max_sessions, 2);
	ck_assert_uint_eq(c.vgpus[0].policy.arena_limit, 1ull << 30);
	ck_assert_int_eq(config_vgpu(&c, "a:memory", error), -1);
	ck_assert_int_eq(config_vgpu(&c, "a:memory=much", error), -1);
	ck_assert_int_eq(config_vgpu(&c, ":memory=1G", error), -1);
	ck_assert_int_eq(config_set(&c, "spare_workers=2", error), 0);
	ck_assert_uint_eq(c.spares, 2);
	ck_assert_int_eq(config_set(&c, "spare_workers", error), -1);
	ck_assert_int_eq(config_set(&c, "worker_env=2", error), -1);
}
END_TEST

START_TEST(one_pool_without_a_section)
{
	ck_assert_int_eq(parse("[daemon]\ndevice = 3\n[vgpu a]\n"), 0);
	ck_assert_int_eq(config_finish(&c, error), 0);
	ck_assert_uint_eq(c.pool_n, 1);
	ck_assert_str_eq(c.pools[0].name, "default");
	ck_assert_str_eq(c.pools[0].device, "3");
	ck_assert_int_eq(c.pools[0].policy, SCHED_FAIR);
	ck_assert_uint_eq(c.pools[0].mode, POOL_SHARED);
	ck_assert_uint_eq(c.pools[0].overcommit, 1000);
	ck_assert_int_eq(c.placement, PLACE_BREADTH);
}
END_TEST

static const char two_pools[] = "[daemon]\n"
				"placement = least-loaded\n"
				"[pool a]\n"
				"device = 0\n"
				"policy = best-effort\n"
				"mode = exclusive\n"
				"slice_ms = 5\n"
				"credit_ms = 40\n"
				"starvation-ms = 200\n"
				"overcommit = 1.25\n"
				"[pool b_2]\n"
				"device = MIG-9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90\n"
				"[group team]\n"
				"weight = 300\n"
				"min-share = 12.5%\n"
				"max_share = 60%\n"
				"[group other]\n"
				"[vgpu x]\n"
				"pool = b_2/team\n"
				"[vgpu y]\n"
				"pool = /other\n"
				"[vgpu z]\n"
				"pool = a\n";

START_TEST(pools_and_groups)
{
	ck_assert_msg(parse(two_pools) == 0, "%s", error);
	ck_assert_msg(config_finish(&c, error) == 0, "%s", error);
	ck_assert_int_eq(c.placement, PLACE_LOAD);
	ck_assert_uint_eq(c.pool_n, 2);
	ck_assert_int_eq(c.pools[0].policy, SCHED_BEST_EFFORT);
	ck_assert_uint_eq(c.pools[0].mode, POOL_EXCLUSIVE);
	ck_assert_uint_eq(c.pools[0].slice_ms, 5);
	ck_assert_uint_eq(c.pools[0].credit_ms, 40);
	ck_assert_uint_eq(c.pools[0].starvation_ms, 200);
	ck_assert_uint_eq(c.pools[0].overcommit, 1250);
	ck_assert_str_eq(c.pools[1].device, "MIG-9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90");
	ck_assert_uint_eq(c.group_n, 2);
	ck_assert_uint_eq(c.groups[0].weight, 300);
	ck_assert_uint_eq(c.groups[0].min_ppm, 125000);
	ck_assert_uint_eq(c.groups[0].max_ppm, 600000);
	ck_assert_uint_eq(c.groups[1].weight, 100);
	ck_assert_str_eq(c.vgpus[0].pool, "b_2");
	ck_assert_str_eq(c.vgpus[0].group, "team");
	ck_assert_str_eq(c.vgpus[1].pool, "");
	ck_assert_str_eq(c.vgpus[1].group, "other");
	ck_assert_str_eq(c.vgpus[2].pool, "a");
	ck_assert_str_eq(c.vgpus[2].group, "");
}
END_TEST

static const struct {
	const char *text, *error;
} apart[] = {
	{"[pool a]\ndevice = 0\n[pool b]\ndevice = 0\n[vgpu x]\n",
	 "pool b: device = 0 is pool a's already: a GPU is in one pool"},
	{"[pool a]\ndevice = GPU-ab\n[pool b]\ndevice = GPU-AB\n[vgpu x]\n", "is pool a's already"},
	{"[pool a]\n[vgpu x]\n", "pool a: no device"},
	{"[vgpu x]\npool = default/team\n",
	 "vgpu x: pool = default/team: there is no group team; add a [group team] section"},
	{"[pool a]\ndevice = 0\n[vgpu x]\npool = default\n",
	 "vgpu x: pool = default: there is no pool default"},
	{"[group g]\nmin_share = 50%\nmax_share = 49.9999%\n[vgpu x]\n",
	 "group g: min_share is above max_share"},
	{"[vgpu x]\nmax_share = 50%\nmin_share = 60%\n",
	 "vgpu x: min-share 60% is above max-share 50%: lower the one or raise the other"},
	{"[daemon]\nenv = CUDA_VISIBLE_DEVICES=1\n[vgpu x]\n",
	 "env = CUDA_VISIBLE_DEVICES is pvgpud's own"},
	{"[pool a]\ndevice = 0\nmode = confidential\novercommit = 1.5\n[vgpu x]\n",
	 "pool a: overcommit is above 1.0, and mode is confidential"},
};

START_TEST(what_does_not_go_together)
{
	ck_assert_msg(parse(apart[_i].text) == 0, "%s", error);
	ck_assert_int_eq(config_finish(&c, error), -1);
	ck_assert_msg(strstr(error, apart[_i].error) != NULL, "'%s' is not in '%s'",
		      apart[_i].error, error);
}
END_TEST

static const struct {
	const char *text, *error;
} promises[] = {
	{"[vgpu a]\nmin_share = 60%\n[vgpu b]\nmin_share = 40%\n", NULL},
	{"[vgpu a]\nmin_share = 60%\n[vgpu b]\nmin_share = 40.5%\n",
	 "pool default: its vGPUs and groups are guaranteed 100.5% of the GPU's time together: "
	 "lower "
	 "min_share"},
	/* The vGPUs of a group share its guarantee. */
	{"[group g]\nmin_share = 50%\n[vgpu a]\npool = /g\nmin_share = 20%\n"
	 "[vgpu b]\npool = /g\nmin_share = 30%\n[vgpu c]\nmin_share = 50%\n",
	 NULL},
	{"[group g]\nmin_share = 50%\n[vgpu a]\npool = /g\n[vgpu c]\nmin_share = 51%\n",
	 "are guaranteed 101%"},
	{"[group g]\nmin_share = 60%\n[vgpu c]\nmin_share = 51%\n", NULL},
	{"[pool default]\ndevice = 0\npolicy = fixed\n[vgpu a]\nfixed_share = 60%\n"
	 "[vgpu b]\nfixed_share = 50%\n",
	 "are guaranteed 110% of the GPU's time together: lower fixed_share"},
	{"[pool default]\ndevice = 0\npolicy = equal\n[vgpu a]\nmin_share = 60%\n"
	 "[vgpu b]\nmin_share = 60%\n",
	 NULL},
	{"[pool p]\ndevice = 0\n[pool q]\ndevice = 1\n[vgpu a]\nmin_share = 90%\n"
	 "[vgpu b]\nmin_share = 90%\n",
	 NULL},
	{"[pool p]\ndevice = 0\n[pool q]\ndevice = 1\n[vgpu a]\nmin_share = 90%\npool = p\n"
	 "[vgpu b]\nmin_share = 90%\n[vgpu c]\nmin_share = 30%\n",
	 "all vGPUs are guaranteed 210% of a GPU's time together, and the pools have 200%"},
};

START_TEST(guarantees)
{
	ck_assert_msg(parse(promises[_i].text) == 0, "%s", error);
	ck_assert_msg(config_finish(&c, error) == 0, "%s", error);
	if (!promises[_i].error) {
		ck_assert_int_eq(config_guarantees(&c, error), 0);
		return;
	}
	ck_assert_int_eq(config_guarantees(&c, error), -1);
	ck_assert_msg(strstr(error, promises[_i].error) != NULL, "'%s' is not in '%s'",
		      promises[_i].error, error);
}
END_TEST

START_TEST(live_settings)
{
	ck_assert_int_eq(parse(two_pools), 0);
	ck_assert_int_eq(config_finish(&c, error), 0);
	ck_assert_msg(config_live(&c, "pool", " b_2 policy=equal overcommit=2 ;a mode=shared;",
				  error) == 0,
		      "%s", error);
	ck_assert_int_eq(c.pools[1].policy, SCHED_EQUAL);
	ck_assert_uint_eq(c.pools[1].overcommit, 2000);
	ck_assert_uint_eq(c.pools[0].mode, POOL_SHARED);
	ck_assert_int_eq(config_live(&c, "pool", "", error), 0);
	ck_assert_int_eq(config_live(&c, "pool", "none policy=fair", error), -1);
	ck_assert_msg(strstr(error, "pool none: no such pool") != NULL, "%s", error);
	ck_assert_int_eq(config_live(&c, "pool", "a device=2", error), -1);
	ck_assert_int_eq(config_live(&c, "pool", "a mode=confidential", error), -1);
	ck_assert_msg(strstr(error, "in pvgpud.conf only") != NULL, "%s", error);
	c.pools[0].mode = POOL_CONFIDENTIAL;
	ck_assert_int_eq(config_live(&c, "pool", "a mode=shared", error), -1);
	ck_assert_int_eq(config_live(&c, "pool", "a overcommit=2", error), -1);
	c.pools[0].mode = POOL_SHARED;
	ck_assert_int_eq(config_live(&c, "pool", "a policy", error), -1);
	ck_assert_int_eq(config_live(&c, "pool", "a policy=unfair", error), -1);
	ck_assert_int_eq(config_live(&c, "group", "team weight=7; fresh max-share=5%", error), 0);
	ck_assert_uint_eq(c.groups[0].weight, 7);
	ck_assert_uint_eq(c.group_n, 3);
	ck_assert_uint_eq(c.groups[2].max_ppm, 50000);
	ck_assert_int_eq(config_live(&c, "group", "team min-share=70%", error), -1);
	ck_assert_int_eq(config_live(&c, "group", "te@m weight=7", error), -1);
}
END_TEST

START_TEST(wants_a_vgpu_and_sockets_of_their_own)
{
	ck_assert_int_eq(config_set(&c, "xen=off", error), 0);
	ck_assert_int_eq(config_finish(&c, error), -1);
	ck_assert_msg(strstr(error, "no vGPU") != NULL, "%s", error);
	ck_assert_int_eq(parse("[vgpu a]\nsocket = /x\n[vgpu b]\nsocket = /x\n"), 0);
	ck_assert_int_eq(config_finish(&c, error), -1);
	ck_assert_msg(strstr(error, "is also vgpu a's") != NULL, "%s", error);
}
END_TEST

START_TEST(leaves_vgpus_to_xen)
{
	ck_assert_uint_eq(c.xen, CONFIG_XEN_AUTO);
	ck_assert_int_eq(config_finish(&c, error), 0);
	ck_assert_int_eq(config_set(&c, "xen=on", error), 0);
	ck_assert_uint_eq(c.xen, CONFIG_XEN_ON);
	ck_assert_int_eq(config_set(&c, "xen=perhaps", error), -1);
	ck_assert_msg(strstr(error, "auto, on or off") != NULL, "%s", error);
	ck_assert_int_eq(config_vgpu(&c, "xen-3-0-9c1b7a52", error), -1);
	ck_assert_msg(strstr(error, "give it another") != NULL, "%s", error);
	ck_assert_int_eq(config_vgpu(&c, "xenia", error), 0);
}
END_TEST

START_TEST(sandbox)
{
	ck_assert_int_eq(c.sandbox, CONFIG_SANDBOX_FULL);
	ck_assert_uint_eq(c.worker_uids[0], 1900000000);
	ck_assert_uint_eq(c.worker_uids[1], 1900065535);
	ck_assert_msg(strstr(c.sandbox_files, "/dev/nvidiactl,") != NULL, "%s", c.sandbox_files);
	ck_assert_str_eq(c.cgroup, "auto");
	ck_assert_uint_eq(c.worker_memory, 0);
	ck_assert_uint_eq(c.worker_pids, 1024);
	ck_assert_str_eq(c.sandbox_allow_open, "");
	ck_assert_int_eq(parse("[daemon]\nsandbox = no-seccomp\nworker_uids = 70000-70099\n"
			       "sandbox_files =\nsandbox_preload = liba.so.1,libb.so\n"
			       "sandbox_allow_open = bpf,fork\n"),
			 0);
	ck_assert_int_eq(c.sandbox, CONFIG_SANDBOX_NO_SECCOMP);
	ck_assert_str_eq(config_sandbox_name(c.sandbox), "no-seccomp");
	ck_assert_uint_eq(c.worker_uids[0], 70000);
	ck_assert_uint_eq(c.worker_uids[1], 70099);
	ck_assert_str_eq(c.sandbox_files, "");
	ck_assert_str_eq(c.sandbox_preload, "liba.so.1,libb.so");
	ck_assert_str_eq(c.sandbox_allow_open, "bpf,fork");
}
END_TEST

START_TEST(says_that_there_is_no_file)
{
	ck_assert_int_eq(config_file(&c, "/nowhere/pvgpud.conf", error), -1);
	ck_assert_msg(strstr(error, "/nowhere/pvgpud.conf: No such file") != NULL, "%s", error);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("config");
	TCase *t = tcase_create("config");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, reads_everything);
	tcase_add_test(t, overrides);
	tcase_add_loop_test(t, names_what_is_wrong, 0, (int)(sizeof(bad) / sizeof(bad[0])));
	tcase_add_test(t, refuses_long_lines);
	tcase_add_test(t, takes_vgpus_from_the_command_line);
	tcase_add_test(t, wants_a_vgpu_and_sockets_of_their_own);
	tcase_add_test(t, leaves_vgpus_to_xen);
	tcase_add_test(t, one_pool_without_a_section);
	tcase_add_test(t, pools_and_groups);
	tcase_add_loop_test(t, what_does_not_go_together, 0,
			    (int)(sizeof(apart) / sizeof(apart[0])));
	tcase_add_loop_test(t, guarantees, 0, sizeof(promises) / sizeof(promises[0]));
	tcase_add_test(t, live_settings);
	tcase_add_test(t, sandbox);
	tcase_add_test(t, says_that_there_is_no_file);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
