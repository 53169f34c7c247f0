/* SPDX-License-Identifier: MIT */
/* pvgpud's configuration: /etc/pvgpu/pvgpud.conf (docs/man/pvgpud.conf.5) and the command line. */
#ifndef PVGPU_CONFIG_H
#define PVGPU_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "pvgpu_keys.h"
#include "xen-pvgpu-back/sched/place.h"
#include "xen-pvgpu-back/sched/sched.h"

#define CONFIG_ERROR 1536
#define CONFIG_PATH  256
#define CONFIG_POOL  16 /* a pool's name with its NUL */
#define CONFIG_GROUP 40 /* a group's: as long as a UUID */
#define CONFIG_GPU   64
/* The prefix of the names of Xen guests' vGPUs; no other vGPU may have it. */
#define CONFIG_XEN_NAME "xen-"

/* The sandbox of workers: docs/security.md. */
enum config_sandbox { CONFIG_SANDBOX_OFF, CONFIG_SANDBOX_NO_SECCOMP, CONFIG_SANDBOX_FULL };
#define CONFIG_LIST 512

/* Event channels that each Xen guest's vGPU is sure to get: its own and a session's. */
#define XEN_VGPU_CHANNELS 2u

enum config_xen { CONFIG_XEN_OFF, CONFIG_XEN_ON, CONFIG_XEN_AUTO };

/* How far a pool keeps its vGPUs apart on the GPU. */
enum pool_mode {
	POOL_SHARED,
	POOL_EXCLUSIVE,    /* work of one */
	POOL_CONFIDENTIAL, /* the same, and no traces in its caches of the one before */
};

/* How a pool's guests see the whole GPU's temperature, power, clocks and throughput. Those of
 * a confidential pool learn nothing. */
enum pool_sensors {
	SENSORS_COARSE, /* in steps, from time to time */
	SENSORS_OFF,
};

/* A GPU or a MIG instance, and how its time is shared. */
struct config_pool {
	char name[CONFIG_POOL];
	char device[CONFIG_GPU]; /* in the form of CUDA_VISIBLE_DEVICES */
	enum sched_policy policy;
	unsigned int mode;          /* enum pool_mode */
	unsigned int slice_ms;      /* 0: by the number of vGPUs with work */
	unsigned int credit_ms;     /* 0: sched.h's */
	unsigned int starvation_ms; /* 0: sched.h's */
	unsigned int gpu_sensors;   /* enum pool_sensors */
	unsigned int overcommit; /* the most that may be promised, in thousandths of its memory */
	/* workers/residency.h */
	unsigned int park_ppm; /* the most of the time that moving a vGPU's memory may take */
	uint64_t park_memory;  /* host memory for parked memory, bytes; 0: none is parked for others
				*/
};

#define CONFIG_PARK_PPM 100000u

/* The vGPUs of one project, in any pools. */
struct config_group {
	char name[CONFIG_GROUP];
	uint64_t bytes_per_s; /* copied; 0: no limit */
	unsigned int commands_per_s;
	unsigned int weight;
	unsigned int min_ppm, max_ppm; /* as sched.h's */
};

struct config_vgpu {
	char name[40];
	char socket[CONFIG_PATH]; /* empty until config_finish */
	uint64_t memory;          /* bytes; 0: all of the GPU's */
	unsigned int mode;
	char owner[64];                     /* user[:group], empty: pvgpud's own */
	struct pvgpu_backend_policy policy; /* the fields of xenstore's key, with their bounds */
	char pool[CONFIG_POOL];             /* empty: the placement decides */
	char group[CONFIG_GROUP]; /* empty: none; must follow pool, since a value sets both */
};

/* The part of its memory that is on the GPU at all times. */
static inline uint64_t config_reserve(const struct config_vgpu *v)
{
	const uint64_t reserve = v->policy.memory_reserve;

	return reserve && reserve < v->memory ? reserve : v->memory;
}

const char *config_mode_name(unsigned int mode);

struct config {
	/* Gets each fault of the file, which is read to its end; NULL: the first fault ends it. */
	void (*each_fault)(const char *error);
	char run_dir[CONFIG_PATH];
	char libcuda[CONFIG_PATH];
	char worker[CONFIG_PATH]; /* empty: beside pvgpud itself */
	unsigned int device;
	unsigned int spares;
	unsigned int max_sessions, max_opening;
	unsigned int open_ms, start_ms, adopt_ms;
	unsigned int shutdown_ms, worker_ms;
	unsigned int park_idle_ms; /* workers/parking.c */
	unsigned int far_fds;
	unsigned int watchdog_grace_ms;
	unsigned int quarantine_faults, quarantine_window_s, quarantine_time_s;
	unsigned int quarantine_kernel_faults; /* 1: a failed kernel counts as a fault */
	unsigned int canary_limit_ms, canary_pause_ms, canary_tries, canary_every_s;
	char libcublas[CONFIG_PATH];   /* empty: not offered to guests */
	char libcublaslt[CONFIG_PATH]; /* likewise */
	char gpu_reset[CONFIG_PATH];   /* a program; empty: beside pvgpud itself */
	unsigned int gpu_reset_s;      /* its time */
	char libnvml[CONFIG_PATH];     /* empty: no accounting of workers' use */
	char health[CONFIG_PATH];      /* pvgpu-health; empty: beside pvgpud itself */
	char health_user[64];          /* empty: pvgpud's own */
	char statistics_group[64];     /* that may read statistics.sock; empty: none */
	unsigned int health_period_ms, health_silent_ms;
	uint64_t context_memory; /* device memory that a session may use beside its leases */
	uint64_t context_charge; /* charged to a vGPU's memory for each context */
	unsigned int log_level;
	unsigned int log_syslog; /* 1: to syslog, in place of standard error and the journal */
	enum config_xen xen;
	/* 0: from what Xen allows this domain (xenbus_host.c). */
	unsigned int xen_max_grants;      /* of all Xen guests' vGPUs */
	unsigned int xen_vgpu_grants;     /* guaranteed to each */
	unsigned int xen_vgpu_max_grants; /* of one */
	unsigned int xen_max_channels;    /* event channels of all */
	enum config_sandbox sandbox;
	uint32_t worker_uids[2];              /* first and last */
	char sandbox_files[CONFIG_LIST];      /* patterns, with commas between them */
	char sandbox_preload[CONFIG_LIST];    /* libraries, likewise */
	char sandbox_allow_open[CONFIG_LIST]; /* doors, likewise */
	char cgroup[CONFIG_PATH]; /* "auto", "off", or the directory that they are below */
	uint64_t worker_memory;   /* of the machine's, bytes; 0: cgroup.c decides */
	uint64_t vgpu_memory;     /* of all sessions of a vGPU; 0: host_memory.c decides */
	unsigned int worker_pids; /* processes and threads */
	/* Of the GPU's properties that isolation needs, those that may be missing. */
	unsigned int numa;      /* 1: workers run near their GPU */
	unsigned int exact_use; /* 1: NVML counts a process's use of the GPU exactly */
	unsigned int allow_no_ecc, allow_no_scrub;
	/* overrides.h */
	unsigned int test_allow_hmm;
	unsigned int test_judge_observes;
	char **env; /* of workers: NAME=VALUE */
	unsigned int env_n;
	enum place_policy placement; /* of vGPUs that name no pool */
	struct config_pool *pools;   /* at least one after config_finish */
	unsigned int pool_n;
	struct config_group *groups;
	unsigned int group_n;
	struct config_vgpu *vgpus;
	unsigned int vgpu_n;
};

/* Each returns 0, or -1 with an error that names the place, the key, the value and the way out.
 * After an error the config may only be freed. */
void config_init(struct config *c);
int config_file(struct config *c, const char *path, char error[CONFIG_ERROR]);
int config_stream(struct config *c, FILE *f, const char *name, char error[CONFIG_ERROR]);
/* One key of [daemon], as KEY=VALUE. */
int config_set(struct config *c, const char *setting, char error[CONFIG_ERROR]);
/* NAME[:key=value,...] with the keys of a [vgpu NAME] section. */
int config_vgpu(struct config *c, const char *arg, char error[CONFIG_ERROR]);
/* One key of a vGPU's section. */
int config_vgpu_key(struct config *c, struct config_vgpu *v, const char *key, const char *value,
		    char error[CONFIG_ERROR]);
const char *config_sandbox_name(enum config_sandbox sandbox);
const char *config_policy_name(enum sched_policy policy);
/* Is it a valid name of a pool or group (cap CONFIG_POOL or CONFIG_GROUP)? 0 or -1. */
int config_check_name(const char *name, size_t cap);
/* Sets a vGPU's pool and group from "POOL", "POOL/GROUP", "/GROUP" or "". */
int config_vgpu_pool(struct config_vgpu *v, const char *text, char error[CONFIG_ERROR]);
/* Applies "NAME KEY=VALUE...; NAME..." to the pools or groups (kind) of c. Pools must exist. */
int config_live(struct config *c, const char *kind, const char *text, char error[CONFIG_ERROR]);
/* Do the fields of its policy go together? 0, or -1 with an error. */
int config_vgpu_agrees(const struct config_vgpu *v, char error[CONFIG_ERROR]);
/* Can the guarantees of a finished configuration be kept: no more than 100 % of a GPU's time? 0, or
 * -1 with an error; pvgpud serves all the same. */
int config_guarantees(const struct config *c, char error[CONFIG_ERROR]);
/* Fills in defaults that depend on other settings, and checks settings against each other. */
int config_finish(struct config *c, char error[CONFIG_ERROR]);
/*
 * A setting that a new configuration changes: section as in the file, without brackets; key "": the
 * whole section is new or gone; to: its new value, "" where it is neither number nor text. live: it
 * can change in the configuration in use; else it waits for pvgpud's next start. False: it is
 * refused, and differs the next time, too.
 */
typedef bool config_change(void *arg, const char *section, const char *key, const char *to,
			   bool live);
/* Takes over what can change while pvgpud runs, but for vGPUs, and tells of each difference; or -1
 * with an error: nothing was changed. Both are finished. */
int config_reload(struct config *now, const struct config *new, config_change *each, void *arg,
		  char error[CONFIG_ERROR]);
/* The same for vGPUs. A difference that was taken over is not told again. */
void config_reload_vgpus(struct config *now, const struct config *new, config_change *each,
			 void *arg);
/* The names of the overrides for tests that are on, separated by blanks; "": none. */
static inline const char *config_overrides(const struct config *c)
{
	static const char *const on[] = {"", "test_allow_hmm", "test_judge_observes",
					 "test_allow_hmm test_judge_observes"};

	return on[(c->test_allow_hmm ? 1 : 0) + (c->test_judge_observes ? 2 : 0)];
}
/* Likewise the checks at the start that the operator does without. */
static inline const char *config_exceptions(const struct config *c)
{
	static const char *const on[] = {"", "allow_no_ecc", "allow_no_scrub",
					 "allow_no_ecc allow_no_scrub"};

	return on[(c->allow_no_ecc ? 1 : 0) + (c->allow_no_scrub ? 2 : 0)];
}
void config_free(struct config *c);

#endif
