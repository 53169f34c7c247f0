/* SPDX-License-Identifier: MIT */
/* A process that uses CUDA forks: children that do not use CUDA, and one that calls exec, do not
 * affect it. */
#include <sys/wait.h>
#include <unistd.h>

#include "tests/programs/common.h"

PTX(ptx_vector);

static void use(const char *who)
{
	uint32_t n = 5000, seed = 4, words[5000];
	CUdeviceptr p = device_alloc(sizeof(words));
	CUmodule module = load(ptx_vector);

	LAUNCH(function(module, "fill"), 4, 128, 0, NULL, &p, &n, &seed);
	download(words, p, sizeof(words));
	for (uint32_t i = 0; i < n; i++)
		CHECK(words[i] == fill_value(seed, i), "%s: word %u is %u", who, i, words[i]);
	CU(cuMemFree(p));
	CU(cuModuleUnload(module));
	printf("%s: all right\n", who);
}

static void end_well(pid_t child, const char *who)
{
	int status;

	CHECK(waitpid(child, &status, 0) == child, "%s is lost", who);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s ended with %x", who, status);
}

int main(int argc, char **argv)
{
	void *pinned;
	pid_t child;

	if (argc > 1) {
		start();
		use("a started child");
		finish();
		return 0;
	}
	child = fork(); /* before anything: both may use CUDA */
	if (!child) {
		start();
		use("a child forked before cuInit");
		finish();
		return 0;
	}
	end_well(child, "the first child");
	start();
	use("the parent");
	CU(cuMemHostAlloc(&pinned, 100000, 0));
	memset(pinned, 3, 100000);
	for (int i = 0; i < 3; i++) {
		fflush(stdout);
		child = fork();
		if (!child)
			i == 2 ? exit(0) : _exit(0); /* the last one runs the exit handlers */
		end_well(child, "a child that does nothing");
		use("the parent, again");
	}
	fflush(stdout);
	child = fork();
	if (!child) {
		execl(own_path(), argv[0], "child", (char *)NULL);
		_exit(1);
	}
	end_well(child, "the started child");
	use("the parent, after a started child");
	CHECK(((char *)pinned)[99999] == 3, "pinned memory changed");
	CU(cuMemFreeHost(pinned));
	finish();
	return 0;
}
