/* SPDX-License-Identifier: MIT */
/* pvgpud's configuration: /etc/pvgpu/pvgpud.conf (docs/man/pvgpud.conf.5) and the command line. */
#ifndef PVGPU_CONFIG_H
#define PVGPU_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "xen-pvgpu-back/sched/place.h"
#include "xen-pvgpu-back/sched/sched.h"

#define CONFIG_ERROR            400
#define CONFIG_PATH             256
#define CONFIG_POOL             16 /* a pool's or group's name with its NUL */
#define CONFIG_GPU              64
#define CONFIG_KERNEL_LIMIT_MS  10000u
#define CONFIG_KERNEL_LIMIT_MAX 86400000u
/* Begins the name of each vGPU of a Xen guest, and of no other. */
#define CONFIG_XEN_NAME "xen-"

enum config_xen { CONFIG_XEN_OFF, CONFIG_XEN_ON, CONFIG_XEN_AUTO };

/* A GPU, or an instance of one, and how its time is shared. */
struct config_pool {
	char name[CONFIG_POOL];
	char device[CONFIG_GPU]; /* as CUDA_VISIBLE_DEVICES has it */
	enum sched_policy policy;
	bool exclusive;
	unsigned int slice_ms;      /* 0: by the number of vGPUs with work */
	unsigned int starvation_ms; /* 0: sched.h's */
	unsigned int overcommit;    /* thousandths of its memory that are promised at most */
};

/* vGPUs of one project, in whichever pools they are. */
struct config_group {
	char name[CONFIG_POOL];
	unsigned int weight;
	unsigned int min_ppm, max_ppm; /* as sched.h's */
};

/* Of a vGPU of which nobody has said anything. */
#define CONFIG_SHARE                                                                               \
	{                                                                                          \
		.class = SCHED_MEDIUM, .weight = 100                                               \
	}

struct config_vgpu {
	char name[40];
	char socket[CONFIG_PATH]; /* empty until config_finish */
	uint64_t memory;          /* bytes; 0: all of the GPU's */
	uint64_t arena_limit;     /* bytes a session */
	uint64_t window;          /* bytes; 0: twice the memory */
	unsigned int max_sessions;
	unsigned int kernel_limit_ms; /* of work on the GPU; 0: none */
	uint64_t pardon;              /* a number: raised, it ends a quarantine */
	unsigned int mode;
	char owner[64]; /* user[:group], empty: pvgpud's own */
	struct sched_share share;
	unsigned int rate_commands, burst_commands; /* a second, at once; 0: no limit */
	uint64_t rate_bytes, burst_bytes;
	unsigned int queue_depth; /* 0: as many as there is room for */
	char pool[CONFIG_POOL];   /* empty: as the placement decides */
	char group[CONFIG_POOL];  /* empty: none; behind pool, in which it is named */
};

struct config {
	char run_dir[CONFIG_PATH];
	char libcuda[CONFIG_PATH];
	char worker[CONFIG_PATH]; /* empty: beside pvgpud itself */
	unsigned int device;
	unsigned int spares;
	unsigned int max_sessions, max_opening;
	unsigned int open_ms, start_ms, adopt_ms;
	unsigned int shutdown_ms, worker_ms, lease_ms;
	unsigned int far_fds;
	unsigned int watchdog_grace_ms;
	unsigned int quarantine_faults, quarantine_window_s, quarantine_time_s;
	unsigned int quarantine_kernel_faults; /* 1: a kernel that went wrong is a fault, too */
	unsigned int canary_limit_ms, canary_pause_ms, canary_tries, canary_every_s;
	char libnvml[CONFIG_PATH]; /* empty: what workers use is not looked at */
	char health[CONFIG_PATH];  /* pvgpu-health; empty: beside pvgpud itself */
	char health_user[64];      /* empty: pvgpud's own */
	unsigned int health_period_ms, health_silent_ms;
	uint64_t context_memory; /* device memory that a session may have beside its leases */
	uint64_t context_charge; /* of a vGPU's memory, for each context */
	unsigned int log_level;
	enum config_xen xen;
	unsigned int xen_max_grants;
	char **env; /* of workers: NAME=VALUE */
	unsigned int env_n;
	enum place_policy placement; /* of vGPUs that name no pool */
	struct config_pool *pools;   /* one at least after config_finish */
	unsigned int pool_n;
	struct config_group *groups;
	unsigned int group_n;
	struct config_vgpu *vgpus;
	unsigned int vgpu_n;
};

/*
 * Each returns 0, or -1 with an error for people that names the place, the key, the value and the
 * way out. A config that failed may be freed and nothing else.
 */
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
const char *config_policy_name(enum sched_policy policy);
/* Of a pool or group: 0, or -1. */
int config_check_name(const char *name);
/* "POOL", "POOL/GROUP", "/GROUP" or "" of a vGPU. */
int config_vgpu_pool(struct config_vgpu *v, const char *text, char error[CONFIG_ERROR]);
/* "NAME KEY=VALUE...; NAME..." of pools or groups (kind) into c, whose pools must be there. */
int config_live(struct config *c, const char *kind, const char *text, char error[CONFIG_ERROR]);
/* Fill in what depends on other things, and check what only makes sense together. */
int config_finish(struct config *c, char error[CONFIG_ERROR]);
void config_free(struct config *c);

#endif
