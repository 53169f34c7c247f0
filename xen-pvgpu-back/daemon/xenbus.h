/* SPDX-License-Identifier: MIT */
/*
 * vGPUs of Xen guests in pvgpud: xenstore here, control rings and sessions in xenctl*.c.
 *
 * xenbus*.c find vGPUs by a watch on this domain's backend/pvgpu, make their struct vgpu, drive
 * the backend's state machine and publish; they hold no grant and no event channel.
 * xenctl*.c hold the control ring's page, its port, and the sessions.
 *
 * Whatever is called here may be called from any callback of the loop: what it leads to is done
 * later, from the loop, never before it returns.
 */
#ifndef PVGPU_XENBUS_H
#define PVGPU_XENBUS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pvgpu_keys.h"
#include "xen-pvgpu-back/link/local_check.h"

struct daemon;
struct vgpu;
struct xenbus;
struct xenctl;

#define XENBUS_PATH 96 /* bytes of a vGPU's directory with its NUL */

/* One vGPU of a guest. vgpu->xen is it; NULL in a vGPU of the local link. */
struct xen_vgpu {
	TAILQ_ENTRY(xen_vgpu) link;
	struct xenbus *bus;
	struct daemon *d;
	struct vgpu *v;     /* named xen-<domid>-<devid>-<8 digits of the uuid>; NULL as long as the
			     * backend's keys do not allow one, and then nothing is connected */
	struct xenctl *ctl; /* xenctl*.c's own; NULL: not connected */
	uint32_t domid, devid;
	char path[XENBUS_PATH], front[XENBUS_PATH]; /* directories, without a slash at the end */
	enum pvgpu_state state;                     /* ours, as in xenstore */
	enum pvgpu_state front_state;               /* as last read */
	uint64_t features;                          /* of ours, those that the frontend uses */
	uint32_t version;                           /* that the frontend speaks */

	/* xenbus*.c only */
	struct pvgpu_uuid uuid;
	uint64_t stats_ms; /* when statistics were last written */
	uint64_t failed;   /* sessions of which last-reason has told */
	char stats[PVGPU_KEY_TEXT], reason[PVGPU_TEXT_MAX + 1]; /* as last written */
	char fault[CHECK_REASON];                               /* why it is broken */
	char refusal[PVGPU_KEY_ERROR]; /* what is wrong with the toolstack's keys */
	uint64_t lacks;                /* memory that was refused; 0: none */
	bool waits;                    /* for a worker to say how much there is */
	uint64_t looked_ms;            /* when it was last looked at */
	bool dirty, stirred, counted;  /* to be looked at: now, when its frontend has not asked
					* just before; statistics to be written */
	bool keyed;                    /* the toolstack's keys are to be read */
	bool watched;                  /* the frontend's state is */
	bool seen;                     /* its domain was there once */
	bool gone, dead;               /* directory or domain, domain */
	bool live;                     /* has something that xenctl_disconnect ends */
	bool ending;                   /* xenctl_disconnect was called, xenbus_idle was not */
	bool broken;                   /* xenbus_fatal was called */
	bool adopt, lost;              /* found Connected at start; could not be connected then */
	bool offer; /* found Closed at start: offered again although nobody asks */
	bool online, drain, found;
};

/* ---- xenctl*.c, called by xenbus*.c ---- */

/*
 * Map the control ring's page and bind the port: 0, or -errno with a reason, and nothing is held.
 * adopting: pvgpud was restarted: begin at the page's indices, match the adopted workers of x->v,
 * tell the frontend of sessions that have none any more.
 */
int xenctl_connect(struct xen_vgpu *x, uint32_t ring_ref, uint32_t port, bool adopting,
		   char reason[CHECK_REASON]);
/*
 * Refuse new sessions, end all (kill), answer what can be answered. Calls xenbus_idle when no
 * worker of it is left and the ring is unmapped, at once or later. x may be not connected: then
 * only adopted workers are ended.
 */
void xenctl_disconnect(struct xen_vgpu *x, bool guest_gone);
/* pvgpud exits and sessions go on: free what pvgpud itself holds, say nothing to anybody. */
void xenctl_leave(struct xen_vgpu *x);

/* ---- xenbus*.c, called by xenctl*.c and the rest of pvgpud ---- */

void xenbus_idle(struct xen_vgpu *x);
/* The frontend broke the control ring's protocol: last-reason says so, and the vGPU closes. */
void xenbus_fatal(struct xen_vgpu *x, const char *reason);
/* Counters or last_reason of its vGPU have changed: written at most once a second. */
void xenbus_changed(struct xen_vgpu *x);

/* Is there a Xen to serve? */
bool xenbus_present(void);
/*
 * Open xenstore and find the vGPUs, which are in d->vgpus then: 0, or -errno, logged. Without Xen,
 * or with xen = off: 0, and d->xen is NULL. xenbus_run, when workers are adopted: from now on their
 * states move.
 */
int xenbus_start(struct daemon *d);
void xenbus_run(struct daemon *d);
/* The GPU's data or promised memory have changed. */
void xenbus_host_changed(struct daemon *d);
/* Memory has become free, or known: vGPUs that were refused for want of it are tried again. */
void xenbus_memory_changed(struct daemon *d);
/* Every vGPU's xenbus: leave says that sessions go on without us. */
void xenbus_stop(struct daemon *d, bool leave);

#endif
