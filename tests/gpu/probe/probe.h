/* SPDX-License-Identifier: MIT */
/*
 * A step of the probe, and its findings. Each step runs in a process of its own with a time limit;
 * the findings that it has printed before it crashes or hangs are kept.
 */
#ifndef PVGPU_PROBE_H
#define PVGPU_PROBE_H

/* Names mean exactly the symbol that is written. */
#ifndef __CUDA_API_VERSION_INTERNAL
#define __CUDA_API_VERSION_INTERNAL
#endif
#include <cuda.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One for each row of assumptions.def, by its id. */
enum assumption {
#define ASSUME(id, step, text, code) ASSUME_##id,
#include "tests/gpu/assumptions.def"
#undef ASSUME
	ASSUMPTIONS
};

struct options {
	const char *libcuda; /* path or soname, as dlopen takes it */
	const char *libnvml; /* the same; "" leaves NVML out */
	const char *record;  /* where driver.json goes, or NULL */
	const char *role;    /* see role_run; NULL in a step's own process */
	bool quick;          /* small sizes and few rounds: for a rehearsal */
	bool risky;          /* steps that can wedge the GPU are run, too */
};
extern struct options opt;

/* ---- what a step says (say.c) ---- */
/* Keys are lower_snake with the unit at the end: _ns, _bytes, _gbps. */
void say_int(const char *key, int64_t value);
void say_num(const char *key, double value);
void say_text(const char *key, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A verdict on an assumption: it holds or does not. Said twice, "does not hold" stays. An
 * assumption that its step says nothing about is "not seen". */
void verdict(enum assumption a, bool holds, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A call that did not return CUDA_SUCCESS: `result` is its CUresult, or -1 where the library has no
 * such symbol. The same call with the same result is counted, not repeated. */
void say_failed(const char *call, int result);
/* The step cannot see what it is for, no driver for example: it ends as failed. */
void say_lacking(void);

/* ---- libcuda (far.c) ---- */
/* Load the library; false: said why. The step should return then. */
bool cuda_load(void);
/* An exported symbol of libcuda, or NULL. */
void *cuda_symbol(const char *name);
/* Call the exact symbol; a failure is said. CUDA_ERROR_NOT_FOUND where it is absent. */
#define CU(name, ...)                                                                              \
	({                                                                                         \
		__typeof__(name) *f_ = (__typeof__(name) *)cuda_symbol(#name);                     \
		CUresult r_ = f_ ? f_(__VA_ARGS__) : CUDA_ERROR_NOT_FOUND;                         \
		if (r_ != CUDA_SUCCESS)                                                            \
			say_failed(#name, f_ ? (int)r_ : -1);                                      \
		r_;                                                                                \
	})
/* cuInit and device 0; then with its primary context current as well. false: said why. */
bool cuda_device(CUdevice *dev);
bool cuda_context(CUdevice *dev, CUcontext *ctx);
/* A function of PTX that the probe carries (tests/kernels), loaded into the current context. */
CUfunction cuda_kernel(const char *ptx, const char *name);
/* A kernel that holds the device for about so long (half to twice), in the current context. */
bool cuda_occupy(CUstream stream, unsigned int ms);

/* ---- processes of a step (role.c) ---- */
/*
 * A step that needs another process (another environment, a first context, an owner that exits)
 * runs itself once more: the step's function is called in a new process, with opt.role set, and
 * tells by it what to do there. Keys that it says begin with `prefix`. `env` is a list of
 * NAME=VALUE that replace or join the environment, NULL at its end; or NULL. A role's findings
 * are kept when it crashes or hangs, and that costs the step nothing.
 */
struct role {
	pid_t pid;
	int alive; /* what role_ready says; end of file when the role's process has ended */
	int in;    /* a pipe to its standard input */
	bool worker;
	char prefix[32];
};
/* Start it; false: said why. */
bool role_start(struct role *r, const char *role, const char *prefix, const char *const *env);
/* The same as pvgpud starts a worker: a session of its own, files 0 to 5 and no other, and `env` is
 * all of its environment. */
bool role_start_worker(struct role *r, const char *role, const char *prefix,
		       const char *const *env);
/* Close its standard input and wait for its end, at most so long; then kill it. true: it ended by
 * itself with status 0. Otherwise <prefix>signal, <prefix>exit or <prefix>timeout is said, and
 * <prefix>last_call. */
bool role_wait(struct role *r, unsigned int limit_ms);
/* SIGKILL, and wait. */
void role_kill(struct role *r);
/* In the role's process: it is as far as its step waits for. */
void role_ready(void);
/* The same, and then wait until the step says that it may go on; false: it shall end. */
bool role_pause(void);
void role_go_on(struct role *r);
/* Wait for that, at most so long. */
bool role_await(struct role *r, unsigned int limit_ms);
/* Start and wait. */
bool role_run(const char *role, const char *prefix, const char *const *env, unsigned int limit_ms);

/* Memory that all processes of a step share, zero at first; NULL above 2 KiB. */
void *role_shared(size_t bytes);

/* ---- what the kernel says of this process (proc.c) ---- */
/* The beginning of a file as text; false: it cannot be read. */
bool proc_read(const char *path, char *text, size_t cap);
/* A number of /proc/self/status, such as "Threads"; -1: there is none. */
int64_t proc_status(const char *field);
unsigned int proc_fds(void);
int proc_highest_fd(void);
/* Is anything mapped there? */
bool proc_mapped(uint64_t from, uint64_t bytes);
/* Files that are mapped or open, as texts: shared libraries, others, and mappings of 1 GiB and
 * more. */
void say_files(const char *when);
/* <when>_vm_bytes, _rss_bytes, _threads, _fds. */
void say_process(const char *when);

/* ---- helpers (util.c) ---- */
uint64_t now_ns(void);
/* Times in ns of n calls: <key>_p50_ns, <key>_p99_ns, <key>_max_ns. Sorts the array. */
void say_times(const char *key, uint64_t *ns, size_t n);

/* ---- the steps (main.c has the table) ---- */
void step_machine(void);   /* 1: driver, HMM, attributes, NVML, limits */
void step_init(void);      /* 2: cuInit in a worker's environment */
void step_window(void);    /* 3: virtual memory management */
void step_register(void);  /* 4: cuMemHostRegister of shared memory */
void step_context(void);   /* 5: contexts: time and memory */
void step_images(void);    /* 6: JIT, fatbins, libraries opened */
void step_params(void);    /* 7: cuFuncGetParamInfo, launching a CUkernel */
void step_rate(void);      /* 9: launch rate, depth, waits, host functions */
void step_semantics(void); /* 14: small questions that decide semantics */
void step_faults(void);    /* 10, risky: illegal address, assert, trap, endless kernel, SIGKILL */
void step_timeslice(void); /* 12, risky: time-slice and preemption control from inside a process */
void step_record(void);    /* with --record only: driver.json */

#endif
