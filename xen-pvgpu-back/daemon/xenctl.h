/* SPDX-License-Identifier: MIT */
/*
 * Control rings and the sessions of Xen guests. What xenbus*.c call is in xenbus.h; here is what
 * the rest of pvgpud calls, and what the files of xenctl share.
 *
 *   xenctl.c          the ring: requests in, answers and events out
 *   xenctl_session.c  sessions: opening, closing, end, adoption
 *   xenctl_chunk.c    arena chunks
 *   xenctl_grants.c   directories of grants
 *
 * A request lies in a slot from when it was copied until its answer is in the page; slots are
 * released in order. A request about a session that a former pvgpud left is held until the worker
 * has said what it is.
 *
 * Whatever a worker may have mapped is counted in the worker, and until it is dead.
 */
#ifndef PVGPU_XENCTL_H
#define PVGPU_XENCTL_H

#include "ring/control.h"
#include "xen-pvgpu-back/daemon/daemon.h"
#include "xen-pvgpu-back/daemon/xenbus.h"
#include "xen-pvgpu-back/link/xen_ops.h"

/* ---- for the rest of pvgpud ---- */

/* A session of the Xen link is over: the worker is dead. */
void xenctl_ended(struct worker *w);
/* The worker has answered about a chunk. */
void xenctl_chunked(struct worker *w, const struct pvgpu_sup *m);
/* An adopted worker has said what it is, w->number and m->b being the same. */
void xenctl_adopted(struct worker *w, const struct pvgpu_sup *m);
/* A worker of this session of the vGPU died while there was no pvgpud. */
void xenctl_lost(struct vgpu *v, uint32_t number);

/* ---- within xenctl ---- */

#define XEN_CHUNKS_MAX 4096u /* of one session, as in the worker */

struct xen_chunk {
	TAILQ_ENTRY(xen_chunk) link;
	uint64_t address, size;
	enum { XEN_CHUNK_ADDING, XEN_CHUNK_THERE, XEN_CHUNK_REMOVING } state;
};

enum xen_session_state {
	XEN_OPENING,  /* waits for a worker, or for its worker to be sealed */
	XEN_ADOPTING, /* of a former pvgpud; the worker has not said what it is */
	XEN_OPEN,
	XEN_ENDING, /* the guest has closed it or has gone: the worker is to end */
	XEN_ENDED,  /* the worker is dead, the guest is to be told */
};

struct xen_session {
	struct opening o; /* in the state XEN_OPENING */
	TAILQ_ENTRY(xen_session) link;
	struct xenctl *c;
	uint32_t number; /* the guest's */
	enum xen_session_state state;
	struct worker *w;
	/* While it opens: the ring's grants and the files for the worker. */
	uint32_t *refs;
	uint32_t pages, port;
	int ring_fd, channel_fd;
	char comm[16];
	int refused; /* error for the guest when its worker is gone; 0: none */
	char why[CHECK_REASON];
	/* Its arena. */
	TAILQ_HEAD(, xen_chunk) chunks;
	unsigned int chunk_n, asked; /* asked: the worker about so many */
	uint64_t arena;              /* bytes of chunks */
	uint64_t unlisted;           /* of these, of chunks that a former pvgpud added */
	enum pvgpu_end end;
};

enum xen_slot_state {
	XEN_SLOT_FREE,
	XEN_SLOT_HELD,     /* copied, to be executed */
	XEN_SLOT_RUNNING,  /* being executed */
	XEN_SLOT_ANSWERED, /* waits for room for its answer */
	XEN_SLOT_DONE,     /* answered; waits for those before it */
};

struct xen_slot {
	enum xen_slot_state state;
	struct pvgpu_ctl_msg m, answer;
	uint32_t asked;          /* id of the question to the worker; 0: none */
	struct xen_chunk *chunk; /* that it is about; NULL: one that a former pvgpud added */
};

struct xenctl {
	struct xen_vgpu *x;
	struct vgpu *v;
	struct daemon *d;
	const struct xen_ops *ops;
	void *page;
	struct xen_port *port;
	struct pvgpu_ctl ctl;
	struct xen_slot slots[PVGPU_CTL_SLOTS]; /* by index in the page */
	uint32_t taken;                         /* slots from ctl.cons on */
	bool broken;                            /* the guest's end of the ring is not to be used */
	char breach[CHECK_REASON];              /* not counted yet; "": none */
	bool ring;                              /* something was published */
	ev_io io;
	ev_timer again; /* look at everything, from the loop */
	uint32_t next_id;
	TAILQ_HEAD(, xen_session) sessions;
	unsigned int session_n;
};

/* A session whose worker died before its vGPU was connected. */
struct xen_lost {
	SLIST_ENTRY(xen_lost) link;
	uint32_t number;
	enum pvgpu_end end;
	char reason[CHECK_REASON];
};

/* Something may be to do: soon, from the loop. */
void xenctl_again(struct xenctl *c);
/* error 0: fmt is not used. */
void xenctl_answer(struct xenctl *c, struct xen_slot *s, int error, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The first of this state and session with one of the ops; op 0: any. */
struct xen_slot *xenctl_slot(struct xenctl *c, enum xen_slot_state state, uint32_t session,
			     uint32_t op);
struct xen_session *xenctl_session(struct xenctl *c, uint32_t number);
/* Is what xenctl_disconnect began done? */
void xenctl_check_idle(struct xen_vgpu *x);

/* xenctl_session.c. Requests: true when grants were mapped, which takes a moment. */
bool xenctl_open(struct xenctl *c, struct xen_slot *slot);
void xenctl_close(struct xenctl *c, struct xen_slot *slot);
void xenctl_adopt_all(struct xenctl *c);
/* Nobody gets a session any more; workers that prepare for one are killed. */
void xenctl_refuse_all(struct xenctl *c);
/* Free what is known of sessions; workers are left alone. */
void xenctl_forget_all(struct xenctl *c);
/* Its guest has closed the session: it is to end, and is killed when it does not. */
void xenctl_tell_close(struct worker *w, const char *otherwise);
void xenctl_session_free(struct xen_session *s);

/* xenctl_chunk.c */
bool xenctl_chunk_add(struct xenctl *c, struct xen_slot *slot);
void xenctl_chunk_remove(struct xenctl *c, struct xen_slot *slot);
void xenctl_chunks_free(struct xen_session *s);

/*
 * xenctl_grants.c: the references in a directory, for the caller to free, or NULL with an error and
 * a reason. pages is at most XEN_MAP_MAX.
 */
uint32_t *xenctl_directory(struct xenctl *c, uint32_t dir, uint32_t pages, int *error,
			   char reason[CHECK_REASON]);
/* May so many more be mapped? 0, or -ENOMEM with a reason. */
int xenctl_room(const struct xenctl *c, uint32_t pages, char reason[CHECK_REASON]);
void xenctl_count(struct worker *w, uint32_t pages);
void xenctl_uncount(struct worker *w, uint32_t pages);

#endif
