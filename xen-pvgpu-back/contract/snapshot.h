/* SPDX-License-Identifier: MIT */
/*
 * A snapshot of all statistics, which <run_dir>/statistics.sock sends to who connects, and then
 * hangs up: the header, a record of pvgpud, one of each pool, one of each vGPU, the last events.
 * The values are in the order of xenstore-schema/pvgpu.statistics. A reader checks `layout` and the
 * sizes: it is of the same build as pvgpud, or it refuses. Texts end with a NUL.
 */
#ifndef PVGPU_SNAPSHOT_H
#define PVGPU_SNAPSHOT_H

#include <stdint.h>

#include "pvgpu_statistics.h"
#include "xen-pvgpu-back/contract/latency.h"

#define PVGPU_SNAPSHOT_MAGIC  0x31544154535650ull /* "PVSTAT1" */
#define PVGPU_SNAPSHOT_SOCKET "statistics.sock"
#define PVGPU_UNKNOWN         UINT64_MAX /* a value without a source */
#define PVGPU_NO_DOMAIN       UINT32_MAX

struct pvgpu_snapshot_header {
	uint64_t magic;
	uint32_t layout; /* PVGPU_STATISTICS_LAYOUT */
	uint32_t gpus, vgpus, events;
	uint32_t daemon_size, gpu_size, vgpu_size, event_size; /* bytes of a record */
	uint64_t realtime_ns, monotonic_ns;                    /* when it was made */
};

struct pvgpu_daemon_record {
	char version[32];
	uint64_t value[PVGPU_DAEMON_N];
};

struct pvgpu_gpu_record {
	char name[16];     /* of the pool */
	char model[64];    /* "": not known yet */
	char health[192];  /* "ok", or why it is unhealthy */
	char uuid[41];     /* "": the driver's accounting does not tell */
	char uuid_comes;   /* 1: the driver's accounting has begun, and has not told it yet */
	char confidential; /* 1: of a confidential pool */
	uint64_t value[PVGPU_GPU_N];
};

struct pvgpu_vgpu_record {
	char name[40];
	char vm[128], vm_uuid[40]; /* of a Xen guest's, from dom0; "": not known */
	char uuid[40];             /* of the vGPU; "": it has none */
	char pool[16], group[40];  /* group, the tenant, "": none */
	char state[16]; /* open, draining, ending, quarantined; of a Xen guest's: XenbusState */
	uint32_t domain, device; /* PVGPU_NO_DOMAIN: of the local link */
	uint64_t value[PVGPU_VGPU_N];
	struct pvgpu_latency latency[PVGPU_VGPU_HIST_N];
};

/* A line of pvgpud's log. */
struct pvgpu_event_record {
	uint64_t number, realtime_ns;
	char level[8];
	char text[232];
};

#endif
