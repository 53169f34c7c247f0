/* SPDX-License-Identifier: MIT */
/*
 * vGPUs of Xen guests in pvgpud: xenstore in xenbus*.c, control rings and sessions in xenctl*.c.
 *
 * xenbus*.c find vGPUs by a watch on this domain's backend/pvgpu, make their struct vgpu, drive the
 * backend's state machine and publish; they hold no grant and no event channel. xenctl*.c hold the
 * control ring's page, its port, and the sessions.
 *
 * The functions may be called from any callback of the loop: their effects happen later, from the
 * loop, never before they return.
 */
#ifndef PVGPU_XENBUS_H
#define PVGPU_XENBUS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pvgpu_keys.h"
#include "xen-pvgpu-back/contract/local_check.h"
#include "xen-pvgpu-back/daemon/core/above.h"
#include "xen-pvgpu-back/daemon/rules/budget.h"

struct daemon;
struct vgpu;
struct xenbus;
struct xenctl;

#define XENBUS_PATH 96 /* bytes of the path of a vGPU's directory with its NUL */

/* One vGPU of a guest: vgpu->xen, which is NULL in a vGPU of the local link. */
struct xen_vgpu {
	TAILQ_ENTRY(xen_vgpu) link;
	struct xenbus *bus;
	struct daemon *d;
	struct vgpu *v;     /* named xen-<domid>-<devid>-<8 digits of the uuid>; NULL while the
			       backend's keys do not allow one; then nothing is connected */
	struct xenctl *ctl; /* owned by xenctl*.c; NULL: not connected */
	uint32_t domid, devid;
	char path[XENBUS_PATH], front[XENBUS_PATH]; /* directories, without a trailing slash */
	enum pvgpu_state state;                     /* the backend's, as in xenstore */
	enum pvgpu_state front_state;               /* the frontend's, as last read */
	uint64_t features;                          /* features that both ends support */
	uint32_t version;                           /* the frontend's protocol version */
	struct budget requests, rings; /* of the control ring; those of all connections */
	char vm[PVGPU_TEXT_MAX + 1], vm_uuid[PVGPU_UUID_TEXT]; /* as dom0 calls it; "": unknown */

	struct pvgpu_uuid uuid; /* where there is v */

	/* xenbus*.c only */
	uint64_t stats_ms; /* when statistics were last written */
	uint64_t failed;   /* failed sessions that last-reason has reported */
	char stats[PVGPU_KEY_TEXT], reason[PVGPU_TEXT_MAX + 1]; /* as last written */
	char fault[CHECK_REASON];                               /* why it is broken */
	char refusal[PVGPU_KEY_ERROR]; /* the error in the toolstack's keys */
	uint64_t lacks;                /* memory that was refused; 0: none */
	bool waits;                    /* waits for a worker to report the GPU's memory */
	uint64_t looked_ms;            /* time of the last look */
	uint64_t retry_ms;             /* no look before; xenstore has refused a request */
	struct budget looks;           /* that its frontend causes */
	bool dirty, stirred, echoed;   /* look now; its frontend's state, or its own, has changed */
	bool counted;                  /* statistics to be written */
	bool doubted;                  /* a domain has ended, maybe its own */
	bool keyed;                    /* the toolstack's keys must be read */
	bool watched;                  /* the frontend's state has a watch */
	bool seen;                     /* its domain has existed */
	bool gone, dead;               /* directory or domain is gone; domain is gone */
	bool live;        /* has a connection or workers for xenctl_disconnect to end */
	bool ending;      /* between xenctl_disconnect and xenbus_idle */
	bool broken;      /* xenbus_fatal was called */
	bool adopt, lost; /* found Connected at pvgpud's start; could not be connected then */
	bool offer;       /* found Closed at pvgpud's start: offered again */
	bool online, found;
	enum pvgpu_drain drain; /* as the policy had it last */
	bool park;              /* likewise */
};

/* ---- xenctl*.c, called by xenbus*.c ---- */

/*
 * Maps the control ring's page and binds the port: 0, or -errno with a reason and nothing held.
 * adopting: after a restart of pvgpud, begins at the page's indices, matches the adopted workers of
 * x->v, and tells the frontend of sessions without a worker.
 */
int xenctl_connect(struct xen_vgpu *x, uint32_t ring_ref, uint32_t port, bool adopting,
		   char reason[CHECK_REASON]);
/*
 * Refuses new sessions, ends all others, and answers pending requests where possible. Calls
 * xenbus_idle, at once or later, when no worker of it is left and the ring is unmapped. If x is not
 * connected only adopted workers are ended.
 */
void xenctl_disconnect(struct xen_vgpu *x, bool guest_gone);
/* pvgpud exits and sessions go on: frees pvgpud's own resources without a message to guest or
 * worker. */
void xenctl_leave(struct xen_vgpu *x);
/* After all of them have been left. */
void xenctl_maps_stop(struct daemon *d);

/* ---- xenbus*.c, called by xenctl*.c and main.c; for the rest of pvgpud see core/above.h ---- */

void xenbus_idle(struct xen_vgpu *x);
/* The frontend broke the control ring's protocol: the vGPU closes, with the reason in last-reason.
 */
void xenbus_fatal(struct xen_vgpu *x, const char *reason);

/* Does this machine run under Xen? */
bool xenbus_present(void);
/*
 * Opens xenstore, finds the vGPUs and adds them to d->vgpus: 0, or -errno, logged. Without Xen, or
 * with xen = off: 0, and d->xen is NULL. xenbus_run, called after workers are adopted, starts the
 * state machines.
 */
int xenbus_start(struct daemon *d);
void xenbus_run(struct daemon *d);
/* Stops the xenbus side of all vGPUs. leave: sessions go on without us. */
void xenbus_stop(struct daemon *d, bool leave);

#endif
