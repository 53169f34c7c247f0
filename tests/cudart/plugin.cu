// SPDX-License-Identifier: MIT
/* A shared library with kernels of its own is loaded and unloaded again: this program's code, as one. */
#include "test.h"

#include <dlfcn.h>
#include <unistd.h>

__device__ int counter = 40;

__global__ void bump(int *out)
{
	*out = ++counter;
}

extern "C" __attribute__((visibility("default"))) int plugin_run()
{
	both<int> out(1);

	bump<<<1, 1>>>(out.dev);
	DONE();
	out.down();
	return out.host[0];
}

int main()
{
	char path[4096];
	const ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 4);
	int (*run)();

	CHECK(len > 0, "no path");
	memcpy(path + len, ".so", 4);
	CHECK(plugin_run() == 41, "the program's own kernel");
	for (int i = 0; i < 4; i++) {
		void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);

		CHECK(so, "%s", dlerror());
		*(void **)&run = dlsym(so, "plugin_run");
		CHECK(run && run != plugin_run, "the library's function is the program's");
		/* Each load has variables of its own. */
		CHECK(run() == 41 && run() == 42, "load %d", i);
		CHECK(!dlclose(so), "%s", dlerror());
	}
	CHECK(plugin_run() == 42, "the program's own kernel again");
	printf("a library was loaded and unloaded\n");
	return 0;
}
