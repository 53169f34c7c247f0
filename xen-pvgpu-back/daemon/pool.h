/* SPDX-License-Identifier: MIT */
/*
 * Pools: each is one GPU (or an instance of one) with its own policy, its own spare workers and its
 * own books of memory. A vGPU is in one pool; it changes it only while it has no session, since
 * a session's memory is on its GPU. Groups are a project's vGPUs in whichever pools they are.
 *
 * Memory that a vGPU is promised (its `memory`) is admitted: the sum of a pool's promises is at
 * most its GPU's memory times `overcommit`. A vGPU with memory 0 is promised nothing: it may use
 * what is not promised to others, so its use counts against what can still be promised.
 */
#ifndef PVGPU_POOL_H
#define PVGPU_POOL_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "xen-pvgpu-back/daemon/canary.h"
#include "xen-pvgpu-back/daemon/config.h"

#define POOL_REASON 192

struct daemon;
struct schedule;
struct vgpu;

struct pool_group {
	TAILQ_ENTRY(pool_group) link;
	struct config_group cfg; /* as it is now */
	unsigned int users;      /* vGPUs in it, its section in the configuration, `live` */
	bool live;               /* set by group_live */
};

struct pool {
	struct daemon *d;
	struct config_pool cfg; /* as it is now */
	unsigned int index;     /* in d->pools */
	struct schedule *schedule;
	/* For placement by load: how much of the GPU's time was used lately. */
	uint32_t load_ppm;
	uint64_t load_ms; /* when it was looked at */
	ev_timer load_timer;
	ev_timer used_timer; /* pool_used was called */
	/* What its workers have said of the GPU. */
	uint64_t device_memory; /* bytes; 0: none has said */
	int driver_version;
	char model[64]; /* the GPU's name */
	/* Workers that could not start. */
	unsigned int failures; /* in a row */
	ev_timer retry;
	char failure[128];
	struct canary canary;
	unsigned int long_vgpus; /* watchdog.c: that have long work on the GPU */
	bool use_counted;        /* watchdog.c: the far end has counted use of some worker */
};

/* The pools and groups of the configuration; 0 or -ENOMEM. Before any vGPU is added. */
int pool_start(struct daemon *d);
/* After the last vGPU. */
void pool_stop(struct daemon *d);
struct pool *pool_find(struct daemon *d, const char *name); /* NULL: there is none */

/* A vGPU's group by its name, made if it is new; NULL for "" (or when out of memory). */
struct pool_group *group_get(struct daemon *d, const char *name);
void group_put(struct daemon *d, struct pool_group *g); /* NULL: nothing */

/*
 * Where a vGPU is to go: to the pool that it names, else where the placement puts it among those
 * with room. NULL with a reason that says what is free and what can be done. A pool whose memory is
 * not known yet has room for everything. `v` is the vGPU itself if it is in a pool already: what
 * it has does not count, and it stays where it is if it may; NULL for a new one.
 */
struct pool *pool_place(struct daemon *d, const struct config_vgpu *cfg, const struct vgpu *v,
			char reason[POOL_REASON]);
/* Does where it may go to depend on a GPU of which no worker has spoken yet? */
bool pool_waits(struct daemon *d, const struct config_vgpu *cfg);
/*
 * A worker has said how much memory there is. What the configuration promises must fit: else vGPUs
 * that name no pool go elsewhere; 0, or -1 with a reason when one fits nowhere.
 */
int pool_known(struct pool *p, char reason[POOL_REASON]);
/* Its GPU is not to be had, or in doubt: vGPUs that name no pool and have no session leave. */
void pool_evacuate(struct pool *p);
/* What is promised or free has changed: those that wait for memory, or share what is left, hear. */
void pool_changed(struct pool *p);
/* What is used without a promise has, as often as allocations come and go: a moment later. */
void pool_used(struct pool *p);
/* Settings as text while pvgpud runs: "NAME KEY=VALUE...; NAME..."; 0, or -1 with an error. */
int pool_live(struct daemon *d, const char *text, char error[CONFIG_ERROR]);
int group_live(struct daemon *d, const char *text, char error[CONFIG_ERROR]);

/* Bytes: promised to its vGPUs; that can still be promised; that those without a promise can have
 * (beyond what they have). */
uint64_t pool_promised(const struct pool *p);
uint64_t pool_free(const struct pool *p);
uint64_t pool_spare_memory(const struct pool *p);

#endif
