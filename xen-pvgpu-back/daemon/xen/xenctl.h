/* SPDX-License-Identifier: MIT */
/*
 * Control rings and the sessions of Xen guests: shared by the files xenctl*.c. Functions for
 * xenbus*.c are in xenbus.h, those for the rest of pvgpud in core/above.h.
 *
 *   xenctl.c          the ring: requests in, answers and events out
 *   xenctl_session.c  sessions: opening, closing, end, adoption
 *   xenctl_chunk.c    arena chunks
 *   xenctl_map.c      the mapping of chunks, in slices
 *   xenctl_grants.c   directories of grants
 *
 * A request is copied, its slot released, and kept here until its answer is in the page. It waits,
 * and those after it, while its vGPU's budget is used up or another chunk of it is being mapped.
 * One about a session of a former pvgpud is held until the worker has sent its STATE.
 *
 * All grants that a worker may have mapped are counted in the worker until it is dead.
 */
#ifndef PVGPU_XENCTL_H
#define PVGPU_XENCTL_H

#include "ring/control.h"
#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"
#include "xen-pvgpu-back/daemon/xen/xen_ops.h"
#include "xen-pvgpu-back/daemon/xen/xenbus.h"

#define XEN_CHUNKS_MAX 4096u /* chunks of one session, as in the worker */

struct xen_chunk {
	TAILQ_ENTRY(xen_chunk) link;
	uint64_t address, size;
	int place; /* in the session's record */
	bool known; /* its file is marked: that it is gone can be seen */
	/* UNSURE: a former pvgpud had no answer about it. */
	enum { XEN_CHUNK_ADDING, XEN_CHUNK_THERE, XEN_CHUNK_REMOVING, XEN_CHUNK_UNSURE } state;
};

enum xen_session_state {
	XEN_OPENING,  /* waits for a worker, or for its worker to be sealed */
	XEN_ADOPTING, /* of a former pvgpud; the worker has not sent its STATE */
	XEN_OPEN,
	XEN_ENDING, /* the guest has closed it or has gone: the worker must end */
	XEN_ENDED,  /* the worker is dead, the guest must be told */
};

struct xen_session {
	struct opening o; /* valid in the state XEN_OPENING */
	TAILQ_ENTRY(xen_session) link;
	struct xenctl *c;
	uint32_t number; /* the guest's number */
	enum xen_session_state state;
	struct worker *w;
	/* While it opens: the ring's grants and the fds for the worker. */
	uint32_t *refs;
	uint32_t pages, port;
	int ring_fd, channel_fd;
	char comm[16];
	int refused; /* error for the guest when its worker has gone; 0: none */
	char why[CHECK_REASON];
	/* Its arena. */
	TAILQ_HEAD(, xen_chunk) chunks;
	unsigned int chunk_n, asked; /* asked: requests that the worker has not answered */
	uint64_t arena;              /* bytes of chunks, with those in the next */
	uint64_t failed;             /* in chunks that the worker may have mapped in part */
	enum pvgpu_end end;
};

enum xen_request_state {
	XEN_REQ_HELD,     /* to be executed */
	XEN_REQ_RUNNING,  /* being executed */
	XEN_REQ_ANSWERED, /* waits for room for the answer */
};

struct xen_request {
	TAILQ_ENTRY(xen_request) link;
	enum xen_request_state state;
	bool paid; /* its cost was taken from the budget */
	struct pvgpu_ctl_msg m, answer;
	uint32_t asked;          /* id of the message to the worker; 0: none */
	struct xen_chunk *chunk; /* the chunk concerned */
};

struct xenctl {
	struct xen_vgpu *x;
	struct vgpu *v;
	struct daemon *d;
	const struct xen_ops *ops;
	void *page;
	struct xen_port *port;
	struct pvgpu_ctl ctl;
	TAILQ_HEAD(, xen_request) requests;
	unsigned int request_n;
	bool full;                 /* there may be requests that were not copied */
	bool adopted;              /* the guest is not told yet that this is a new pvgpud */
	uint32_t before;           /* whose first request has this index */
	bool broken;               /* the ring is not used any more */
	char breach[CHECK_REASON]; /* a breach that is not counted yet; "": none */
	bool ring;                 /* answers were published: ring the guest */
	bool masked;               /* its event channel is, until `pause` ends */
	struct xen_map *map;       /* the chunk that is being mapped; NULL: none */
	ev_io io;
	ev_timer again; /* another turn, from the loop */
	ev_timer pause; /* another turn, when the budget has room again */
	uint32_t next_id;
	TAILQ_HEAD(, xen_session) sessions;
	unsigned int session_n;
};

/* A session whose worker died before its vGPU was connected again. */
struct xen_lost {
	SLIST_ENTRY(xen_lost) link;
	uint32_t number;
	enum pvgpu_end end;
	char reason[CHECK_REASON];
};

/* Starts another turn soon, from the loop. */
void xenctl_again(struct xenctl *c);
/* Answers a request. error 0: fmt is not used. */
void xenctl_answer(struct xenctl *c, struct xen_request *s, int error, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The first request of this state, session and op; op 0: any. */
struct xen_request *xenctl_request(struct xenctl *c, enum xen_request_state state, uint32_t session,
				   uint32_t op);
struct xen_session *xenctl_session(struct xenctl *c, uint32_t number);
/* Calls xenbus_idle when the disconnect is complete. */
void xenctl_check_idle(struct xen_vgpu *x);

/* xenctl_session.c. xenctl_open returns true when a directory was read, which takes time. */
bool xenctl_open(struct xenctl *c, struct xen_request *req);
void xenctl_close(struct xenctl *c, struct xen_request *req);
void xenctl_adopt_all(struct xenctl *c);
/* Refuses sessions that are opening and kills the workers that prepare for them. */
void xenctl_refuse_all(struct xenctl *c);
/* Frees the state of sessions. Workers go on. */
void xenctl_forget_all(struct xenctl *c);
/* Tells a worker that its guest has closed the session. It is killed, with the reason `otherwise`,
 * when it does not end. */
void xenctl_tell_close(struct worker *w, const char *otherwise);
void xenctl_session_free(struct xen_session *s);

/* xenctl_chunk.c */
void xenctl_chunk_add(struct xenctl *c, struct xen_request *req);
void xenctl_chunk_remove(struct xenctl *c, struct xen_request *req);
void xenctl_chunks_free(struct xen_session *s);
/* The chunks on record of an adopted session. */
void xenctl_chunks_adopt(struct xen_session *s);
/* A chunk's grants are on fd, from offset on: true when the worker has it. Or: they are not. */
bool xenctl_chunk_mapped(struct xen_session *s, struct xen_request *req, int fd, uint64_t offset);
void xenctl_chunk_not_mapped(struct xen_session *s, struct xen_request *req, int error,
			     const char *reason);

/* xenctl_map.c: -ENOMEM, or 0: one of the two above follows, from the loop, or the next. */
int xenctl_map_start(struct xen_session *s, struct xen_request *req);
/* The session's chunk that is being mapped, if any, is given up and its request answered. */
void xenctl_map_cancel(struct xen_session *s);

/* xenctl_grants.c: a directory page with at least n grant references: 0, or an errno with a reason.
 * at: that many were in the pages before. */
int xenctl_directory(struct xenctl *c, uint32_t dir, uint32_t n, uint32_t at,
		     struct pvgpu_dir_page *out, char reason[CHECK_REASON]);
/* References that were listed, of which none may be listed again. */
struct xen_refs {
	uint32_t *slots; /* 0: free */
	uint32_t mask;
	uint64_t key; /* random: no guest can choose references that share a place */
};
/* For at most n. -ENOMEM, or 0. */
int xenctl_refs_begin(struct xen_refs *r, uint32_t n);
/* 0, or EPROTO with a reason. */
int xenctl_refs_add(struct xen_refs *r, const uint32_t *refs, uint32_t n,
		    char reason[CHECK_REASON]);
void xenctl_refs_end(struct xen_refs *r);
/* May `pages` more grants be mapped, for a ring or a chunk? 0, or -ENOMEM with a reason. */
int xenctl_room(const struct xenctl *c, uint32_t pages, bool ring, char reason[CHECK_REASON]);
/* May the vGPU have one more event channel? 0, or -EUSERS with a reason. */
int xenctl_room_channel(const struct xenctl *c, char reason[CHECK_REASON]);
void xenctl_count(struct worker *w, uint32_t pages);
void xenctl_uncount(struct worker *w, uint32_t pages);

#endif
