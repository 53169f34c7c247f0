/* SPDX-License-Identifier: MIT */
/*
 * Images that are no plain text: fatbins that hold PTX, stored in each way, and machine code that a
 * compiler on this host makes of our text. Nothing that NVIDIA has compiled is kept.
 */
#include "tests/gpu/probe/kernels/step_images.h"
#include "tests/kernels/fatbin.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <lz4.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

/* One fatbin with one entry: both headers, and the payload behind them. */
struct fatbin {
	struct fat_header header;
	struct fat_entry entry;
	char bytes[16384];
};

static bool fatbin_make(struct fatbin *f, enum fat_storage how, const char *ptx)
{
	const size_t len = strlen(ptx) + 1;
	size_t stored = len;

	memset(f, 0, sizeof(*f));
	if (how == FAT_LZ4) {
		stored = (size_t)LZ4_compress_default(ptx, f->bytes, (int)len, sizeof(f->bytes));
	} else if (how == FAT_ZSTD) {
		stored = ZSTD_compress(f->bytes, sizeof(f->bytes), ptx, len, 3);
		if (ZSTD_isError(stored))
			return false;
	} else if (len <= sizeof(f->bytes)) {
		memcpy(f->bytes, ptx, len);
	} else {
		return false;
	}
	f->entry = fat_entry(FAT_PTX, 70, how, stored, len);
	f->header = fat_header(sizeof(f->entry) + f->entry.payload);
	return stored > 0;
}

static int load_and_run(const void *image)
{
	CUmodule module;
	int r = ASK(cuModuleLoadDataEx, &module, image, 0, NULL, NULL);

	if (r)
		return r;
	r = store_run_in(module);
	CU(cuModuleUnload, module);
	return r;
}

/* The worker lets the far end find its way in what the guest's fatbin holds. */
void images_fatbins(void)
{
	static const struct {
		const char *name;
		enum fat_storage how;
	} list[] = {{"plain", FAT_PLAIN}, {"lz4", FAT_LZ4}, {"zstd", FAT_ZSTD}};
	struct fat_wrapper wrapper = {.magic = FAT_WRAPPER_MAGIC, .version = 1};
	static struct fatbin f;
	CUmodule module;

	if (!part_context())
		return;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		int r;

		if (!fatbin_make(&f, list[i].how, ptx_store))
			continue;
		r = load_and_run(&f);
		say_intf(r, "%s_result", list[i].name);
		verdict(ASSUME_fatbin_ptx, !r, "%s: result %d", list[i].name, r);
	}
	wrapper.data = &f;
	say_int("wrapper_result", load_and_run(&wrapper));
	say_int("load_fatbinary_result", ASK(cuModuleLoadFatBinary, &module, &wrapper));
	/* Code for a device that this is not. */
	f.entry.sm = 999;
	say_int("newer_sm_result", load_and_run(&f));
	f.entry.sm = 70;
	f.entry.kind = 2;
	say_int("no_elf_result", load_and_run(&f));
}

/* ---- machine code ---- */

/* The first file that exists, of places where people have it. */
static bool find_file(const char *const *patterns, char *path, size_t cap)
{
	for (; *patterns; patterns++) {
		glob_t g;
		bool found = false;

		if (!glob(*patterns, GLOB_BRACE, NULL, &g)) {
			found = g.gl_pathc && strlen(g.gl_pathv[0]) < cap;
			if (found)
				strcpy(path, g.gl_pathv[0]);
			globfree(&g);
		}
		if (found)
			return true;
	}
	return false;
}

static char *read_file(const char *path, size_t *len)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *bytes = NULL;
	struct stat st;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && st.st_size > 0)
		bytes = malloc((size_t)st.st_size);
	if (bytes && read(fd, bytes, (size_t)st.st_size) != st.st_size) {
		free(bytes);
		bytes = NULL;
	}
	if (bytes)
		*len = (size_t)st.st_size;
	close(fd);
	return bytes;
}

extern char **environ;

/* ptxas, wherever it is; both files are memfds, so that nothing is left on the host. */
static char *by_ptxas(const char *arch, size_t *len)
{
	static const char *const where[] = {
		"/usr/local/cuda*/bin/ptxas",
		"/usr/bin/ptxas",
		"/usr/lib/cuda/bin/ptxas",
		"{/usr,/usr/local,/opt}/lib/python3*/{dist,site}-packages/triton/backends/nvidia/"
		"bin/ptxas",
		"/opt/*/lib/python3*/site-packages/triton/backends/nvidia/bin/ptxas",
		"/opt/*/bin/ptxas",
		NULL};
	const int in = memfd_create("in", 0), out = memfd_create("out", 0);
	char path[512], in_path[64], out_path[64], arg[32];
	int status = -1;
	pid_t pid;

	if (in < 0 || out < 0 || !find_file(where, path, sizeof(path)))
		return NULL;
	if (write(in, ptx_store, strlen(ptx_store)) < 0)
		return NULL;
	/* Our own: the compiler is another process. */
	snprintf(in_path, sizeof(in_path), "/proc/%d/fd/%d", (int)getpid(), in);
	snprintf(out_path, sizeof(out_path), "/proc/%d/fd/%d", (int)getpid(), out);
	snprintf(arg, sizeof(arg), "-arch=%s", arch);
	if (posix_spawn(&pid, path, NULL, NULL,
			(char *[]){path, arg, in_path, (char[]){"-o"}, out_path, NULL}, environ))
		return NULL;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	say_int("ptxas_status", status);
	return status ? NULL : read_file(out_path, len);
}

/* As much of NVRTC's interface as is needed. */
struct nvrtc {
	int (*version)(int *major, int *minor);
	int (*create)(void **prog, const char *src, const char *name, int n,
		      const char *const *headers, const char *const *names);
	int (*compile)(void *prog, int n, const char *const *options);
	int (*size)(void *prog, size_t *size);
	int (*get)(void *prog, char *cubin);
};

static bool nvrtc_load(struct nvrtc *n)
{
	static const char *const where[] = {
		"/usr/local/cuda*/lib64/libnvrtc.so.*", "/usr/lib/x86_64-linux-gnu/libnvrtc.so.*",
		"{/usr,/usr/local,/opt}/lib/python3*/{dist,site}-packages/nvidia/*/lib/"
		"libnvrtc.so.1*",
		"/opt/*/lib/python3*/site-packages/nvidia/*/lib/libnvrtc.so.1*", NULL};
	void *dl = dlopen("libnvrtc.so", RTLD_NOW);
	char path[512];

	if (!dl && find_file(where, path, sizeof(path)))
		dl = dlopen(path, RTLD_NOW);
	if (!dl)
		return false;
	/* POSIX lets what dlsym gives be called. */
	*(void **)&n->version = dlsym(dl, "nvrtcVersion");
	*(void **)&n->create = dlsym(dl, "nvrtcCreateProgram");
	*(void **)&n->compile = dlsym(dl, "nvrtcCompileProgram");
	*(void **)&n->size = dlsym(dl, "nvrtcGetCUBINSize");
	*(void **)&n->get = dlsym(dl, "nvrtcGetCUBIN");
	return n->version && n->create && n->compile && n->size && n->get;
}

static char *by_nvrtc(const char *arch, size_t *len)
{
	static const char source[] =
		"extern \"C\" __global__ void store_word(unsigned int *p, unsigned int value)\n"
		"{\n\t*p = value;\n}\n";
	char option[64], *cubin = NULL;
	const char *options[] = {option};
	int major = 0, minor = 0, r;
	struct nvrtc n;
	void *prog;

	if (!nvrtc_load(&n))
		return NULL;
	n.version(&major, &minor);
	say_text("nvrtc_version", "%d.%d", major, minor);
	snprintf(option, sizeof(option), "--gpu-architecture=%s", arch);
	r = n.create(&prog, source, "probe.cu", 0, NULL, NULL);
	if (!r)
		r = n.compile(prog, 1, options);
	if (!r)
		r = n.size(prog, len);
	say_int("nvrtc_result", r);
	if (!r && *len)
		cubin = malloc(*len);
	if (cubin && n.get(prog, cubin)) {
		free(cubin);
		cubin = NULL;
	}
	return cubin;
}

/* Its output is for NVIDIA's own devices only. */
static bool is_simulated(void)
{
	char name[128] = "";

	return CU(cuDeviceGetName, name, sizeof(name), 0) || strstr(name, "simulated");
}

void images_cubin(void)
{
	char *(*const make[])(const char *arch, size_t *len) = {by_ptxas, by_nvrtc};
	static const char *const name[] = {"ptxas", "nvrtc"};
	int major = 0, minor = 0;
	char arch[32];

	if (!part_context() ||
	    CU(cuDeviceGetAttribute, &major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0) ||
	    CU(cuDeviceGetAttribute, &minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0))
		return;
	if (is_simulated()) {
		say_text("absent", "the device is simulated");
		return;
	}
	snprintf(arch, sizeof(arch), "sm_%d%d", major, minor);
	for (int i = 0; i < 2; i++) {
		size_t len = 0;
		char *cubin = make[i](arch, &len);
		uint64_t begin;
		int r;

		if (!cubin) {
			say_intf(0, "%s_present", name[i]);
			continue;
		}
		begin = now_ns();
		r = load_and_run(cubin);
		say_intf((int64_t)(now_ns() - begin), "%s_load_run_ns", name[i]);
		say_intf(r, "%s_load_result", name[i]);
		say_intf((int64_t)len, "%s_cubin_bytes", name[i]);
		verdict(ASSUME_cubin_loads, !r, "by %s, %zu bytes: result %d", name[i], len, r);
		free(cubin);
	}
}
