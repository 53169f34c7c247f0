/* SPDX-License-Identifier: MIT */
/*
 * vGPUs, guests that ask for sessions, and the workers that serve them. Each section names the file
 * that implements it; pools have a header of their own. Functions that lower folders call are in
 * core/above.h.
 */
#ifndef PVGPU_WORKERS_H
#define PVGPU_WORKERS_H

#include "xen-pvgpu-back/contract/msg.h"
#include "xen-pvgpu-back/daemon/core/above.h"
#include "xen-pvgpu-back/daemon/core/daemon.h"

/* A guest that waits for a session. Each link embeds it in a structure of its own. */
struct opening {
	TAILQ_ENTRY(opening) link;
	const struct opening_ops *ops;
	struct vgpu *vgpu;
	bool asked;                 /* waits for a worker */
	struct worker *w;           /* the worker that prepares for the session */
	unsigned int tries, silent; /* workers that died; that did not take it */
	ev_timer limit;
	uint32_t cmd_size, rep_size;
	uint32_t number, user; /* as in struct worker */
};

struct opening_ops {
	/* Makes the session's files: fills in the link's part of the message and the fds. Returns
	 * the number of fds, or -errno with a reason. */
	int (*make)(struct opening *o, struct pvgpu_sup_assign *m, int fds[MSG_FDS_MAX],
		    char reason[CHECK_REASON]);
	void (*unmake)(struct opening *o);   /* the worker failed: undo make */
	void (*assigned)(struct opening *o); /* o->w has the files */
	void (*given)(struct opening *o);    /* o->w serves: answer the guest; free follows */
	void (*refused)(struct opening *o, int error, const char *reason); /* free follows */
	void (*free)(struct opening *o); /* it is in no list any more */
};

/* vgpus.c */
/* Adds a vGPU to a pool that pool_place chose. */
struct vgpu *daemon_add_vgpu(struct daemon *d, const struct config_vgpu *cfg, struct pool *pool);
/* It must have no session and no opening. */
void daemon_remove_vgpu(struct vgpu *v);

/* vgpu.c: the socket of a vGPU */
void vgpu_init(struct vgpu *v, struct daemon *d, const struct config_vgpu *cfg, struct pool *pool);
int vgpu_listen(struct vgpu *v);
/* An opening less: more guests may be accepted. */
void vgpu_less_crowded(struct vgpu *v);
/* If its socket's file was deleted. */
void vgpu_listen_again(struct vgpu *v);
/* Why programs get no session now, though the vGPU's other keys say nothing of it; "": they do. */
const char *vgpu_refusing(const struct vgpu *v);
/* stays: the socket's file is left, so that programs wait for the next pvgpud. */
void vgpu_close(struct vgpu *v, bool stays);
uint64_t vgpu_quota(const struct vgpu *v);
/* Its used memory has changed: its sessions will be told. */
void vgpu_changed(struct vgpu *v);
/* The memory available to its sessions has changed: they will be told. */
void vgpu_tell(struct vgpu *v);
/* Changes memory, pool and group: 0, or -1 with a reason and memory and pool unchanged. While it
 * has sessions it stays in its pool. */
int vgpu_change(struct vgpu *v, const struct config_vgpu *cfg, char reason[POOL_REASON]);
void vgpu_drain(struct vgpu *v, enum pvgpu_drain to);
/* Moves it to another pool: it must have no session and no opening. -1: it stays. */
int vgpu_move(struct vgpu *v, struct pool *pool);
/* Moves it to the pool where it should be, if it has no session: its sessions have ended, or its
 * pool setting has changed. */
void vgpu_settle(struct vgpu *v);

/* open.c */
void open_init(struct opening *o, const struct opening_ops *ops, struct vgpu *v);
/* The guest has sent its request: waits for a worker. 0, or -errno with a reason and nothing
 * changed. */
int open_ask(struct opening *o, char reason[CHECK_REASON]);
void open_refuse(struct opening *o, int error, const char *reason);
/* Of one that did not get so far as to be an opening. */
void open_count_refusal(struct vgpu *v, int error, const char *reason);
void open_drop(struct opening *o); /* without an answer */
/* Guests of the local link ask the next pvgpud. */
void open_drop_all(struct daemon *d);
/* Those of the pool that have no worker. */
void open_refuse_waiting(struct pool *p, int error, const char *reason);
/* vGPUs of which one waits for a worker: one is started for each of them at a time. */
unsigned int open_waiting(const struct pool *p);
void open_sealed(struct worker *w); /* the guest gets the session */
void open_failed(struct worker *w); /* the worker died before that: the guest gets another */

/* session.c: makes a session of a waiting guest and a spare worker. 0, -EOWNERDEAD when the worker
 * has failed, or another negative errno with a reason when no session can be made. */
int session_start(struct opening *o, struct worker *w, char reason[CHECK_REASON]);

/* open_local.c: a connection on a vGPU's socket */
void open_accept(struct vgpu *v, int fd);

/* lease.c: workers' memory */
void lease_asked(struct worker *w, const struct pvgpu_sup *m);
void lease_returned(struct worker *w, const struct pvgpu_sup *m);
/* Bytes of its lease are free. */
void lease_given(struct worker *w, uint64_t bytes);
/* The worker is dead: takes its lease back. */
void lease_died(struct worker *w);
/* The vGPU's quota has become known or has changed. */
void lease_quota_known(struct vgpu *v);
/* Memory may be free now: answers claims of the pool that wait. */
void lease_serve(struct pool *p);
/* The worker asks for its parked bytes (parking.c); parking_resumes() follows when the GPU has room
 * for them. */
void lease_parked(struct worker *w, uint32_t id, uint64_t bytes);
/* It asks for them no longer. */
void lease_unparked(struct worker *w);
/* Bytes that sessions of the vGPU can lease, including those that ending sessions will return. */
uint64_t lease_free(const struct vgpu *v);

/* exports.c: memory and events that the sessions of a vGPU share */
/* The worker of a former pvgpud, which may have asked it. */
void exports_found(struct worker *w);
void exports_wanted(struct worker *w, const struct pvgpu_sup *m);
void exports_shared(struct worker *w, const struct pvgpu_sup *m, int fd);
void exports_dropped(struct worker *w, const struct pvgpu_sup *m);
void exports_held(struct worker *w, const struct pvgpu_sup *m);
/* Before its lease is taken back: other sessions may still have what it shared. */
void exports_worker_gone(struct worker *w);

/* spawn.c: a worker process; 0 or -errno, logged */
int spawn_worker(struct worker *w);

/* supervise.c */
struct worker *supervise_new(struct pool *p, unsigned int id);
void supervise_watch(struct worker *w);                    /* its fds are set: watches them */
void supervise_assigned(struct worker *w, struct vgpu *v); /* it has a session */
void supervise_watch_guest(struct worker *w, int pidfd);
/* Sends a message, with fd if that is not negative. */
int supervise_tell(struct worker *w, const struct pvgpu_sup *m, int fd);
/* free: lease_free() of its vGPU. */
void supervise_meminfo(struct worker *w, uint64_t free);
void supervise_gone(struct worker *w);

/* spares.c */
/* Starts those that the pools lack, and ends those that are too many. */
void spares_keep(struct daemon *d);
/* A worker died before it was ready, or was not ready in time. */
void spares_start_failed(struct worker *w);
void spares_gone(struct worker *w); /* a spare worker died */

/* pulse.c: a worker whose guest cannot be watched must take its bell */
void pulse_start(struct worker *w);
void pulse_stop(struct worker *w);

/* worker_log.c */
/* pvgpud's end of a log and the worker's; 0 or -1. */
int worker_log_make(int fds[2]);
void worker_log_open(struct worker *w, int fd);
void worker_log_read(struct worker *w);

/* adopt.c */
void adopt_scan(struct daemon *d);
/* The worker of a session of a former pvgpud, with all that is on record, without its files; NULL:
 * nothing is. */
struct worker *adopt_recorded(struct vgpu *v, unsigned int id, uint32_t number);
void adopt_state(struct worker *w, const struct pvgpu_sup *m);

#endif
