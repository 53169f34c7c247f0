/* SPDX-License-Identifier: MIT */
/*
 * Wrong calls and their results. `errors CASE` runs one group. Without an argument each group runs
 * in a process of its own, while this process keeps a context that must not be affected.
 */
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/programs/errors.h"

PTX(ptx_vector);

extern char **environ;

static const struct error_case {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"uninitialised", errors_uninitialised},
	{"no-context", errors_no_context},
	{"null", errors_null},
	{"values", errors_values},
	{"handles", errors_handles},
	{"images", errors_images},
	{"launches", errors_launches},
	{"memory", errors_memory},
	{"contexts", errors_contexts},
	{"fault-null", fault_null},
	{"fault-wild", fault_wild},
	{"fault-read", fault_read},
	{"fault-misaligned", fault_misaligned},
	{"fault-trap", fault_trap},
	{"fault-assert", fault_assert},
	{"fault-other-stream", fault_other_stream},
	{"fault-copy", fault_copy},
	{"fault-callback", fault_callback},
};

bool same_result(CUresult got, CUresult want, CUresult other)
{
	return got == want || got == other;
}

void show(const char *call, CUresult got)
{
	size_t name = strcspn(call, "(");

	printf("  %.*s: %s\n", (int)name, call, result_name(got));
}

static void run_child(char *program, const char *name)
{
	char copy[32];
	char *args[] = {program, copy, NULL};
	pid_t child;
	int status;

	snprintf(copy, sizeof(copy), "%s", name);
	fflush(stdout);
	CHECK(!posix_spawn(&child, own_path(), NULL, NULL, args, environ), "%s cannot be started",
	      name);
	CHECK(waitpid(child, &status, 0) == child, "%s is lost", name);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "case %s ended with %x", name, status);
}

int main(int argc, char **argv)
{
	uint32_t n = 500, seed = 12, words[500];
	CUdeviceptr p;
	CUmodule module;

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	for (size_t i = 0; argc > 1 && i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (strcmp(argv[1], cases[i].name))
			continue;
		printf("%s\n", cases[i].name);
		cases[i].run();
		return 0;
	}
	CHECK(argc == 1, "no case '%s'", argv[1]);
	start();
	module = load(ptx_vector);
	p = device_alloc(sizeof(words));
	LAUNCH(function(module, "fill"), 2, 64, 0, NULL, &p, &n, &seed);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		run_child(argv[0], cases[i].name);
	download(words, p, sizeof(words));
	for (uint32_t i = 0; i < n; i++)
		CHECK(words[i] == fill_value(seed, i), "another process's error changed word %u",
		      i);
	LAUNCH(function(module, "increment"), 2, 64, 0, NULL, &p, &n);
	download(words, p, sizeof(words));
	CHECK(words[3] == fill_value(seed, 3) + 1, "this process's context is spoilt");
	CU(cuMemFree(p));
	finish();
	printf("errors stay where they were made\n");
	return 0;
}
