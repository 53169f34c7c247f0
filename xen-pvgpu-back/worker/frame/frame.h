/* SPDX-License-Identifier: MIT */
/*
 * The worker's frame: process set-up, ring, control socket, leases, arena window, end. Handlers and
 * GPU state see only worker.h; this is for the frame's own files.
 *
 * Locks, in the order in which they may be taken: lease.lock, send.lock, end.lock. None is held
 * while a function of gpu.c is called; handlers may hold mem.lock (gpu/memory.h) when they call.
 */
#ifndef PVGPU_WORKER_FRAME_H
#define PVGPU_WORKER_FRAME_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ring/poll.h"
#include "ring/ring.h"
#include "xen-pvgpu-back/contract/supervise.h"
#include "xen-pvgpu-back/contract/local_check.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/frame/sandbox.h"
#include "xen-pvgpu-back/worker/worker.h"

/* main.c */
struct options {
	const char *libcuda;
	const char *libcublas;   /* NULL: not offered */
	const char *libcublaslt; /* likewise */
	unsigned int id;         /* the number of the worker, and of the session it will serve */
	int device;              /* ordinal of the GPU at the far end */
	unsigned int grace_ms;   /* for the far end to stop when the session has ended */
	unsigned int far_fds;    /* files that the far end may still open after the seal */
	uint64_t context_charge; /* bytes leased for each context */
	bool no_zero_copy;
	bool allow_no_ecc;
	bool allow_hmm; /* an override for tests: guests are not isolated */
	bool check;     /* try the sandbox's doors, and nothing else */
	struct sandbox sandbox;
};

/* lease.c */
struct lease_wait;
struct share_has;
struct share_asks;
struct lease {
	pthread_mutex_t lock;
	pthread_cond_t answered; /* CLOCK_MONOTONIC */
	bool up;                 /* pvgpud is there; changes are told by lease_control() */
	uint32_t next_id;
	uint64_t leased;                          /* granted and not given back */
	uint64_t owed;                            /* given back, pvgpud not told yet */
	uint64_t heard_free, heard_leased, total; /* of pvgpud's last word */
	uint64_t parked; /* of what was leased; it counts against the quota */
	/* What pvgpud is still to hear of parked memory: kind 0: nothing. */
	struct pvgpu_sup to_say[2];
	/* PARK that waits for its answer, as the worker counts them: what a former pvgpud asked may
	 * have the same id. 0: none. */
	uint32_t question, questions, question_id;
	bool deaf; /* pvgpud is an older one, to which parked memory is leased */
	/* Since a successor's adoption until its first MEMINFO; the lease that STATE said, parked
	 * bytes included. */
	bool unsettled;
	uint64_t stated;
	struct lease_wait *waits;
	/* Parked bytes are to be leased again; RESUME of this id was sent. */
	bool resumes, resume_sent;
	uint32_t resume_id;
	/* share.c */
	bool shares; /* pvgpud is there, knows of shared memory and has heard of all in `has` */
	struct share_has *has;
	struct share_asks *asks;
	atomic_uint waiting; /* callers of lease_get: the decoding thread looks at the control
				socket more often */
};

/* arena.c */
struct arena {
	uint64_t base, size; /* 0: not reserved */
	unsigned int tried;  /* addresses so far */
	uint64_t used;       /* bytes mapped; which: gpu_arena_find() */
};

/* send.c: the reply stream */
struct send {
	pthread_mutex_t lock;
	struct pvgpu_ring rep;
	unsigned char *queue; /* replies that the guest has left no room for */
	uint32_t head, tail, cap;
	atomic_uint queued; /* tail - head */
	/* What the guest is told to have ended; late: told when the queue is empty. */
	uint64_t ended[PVGPU_ENDED_SLOTS];
	bool late;
};

struct worker {
	struct options opt;
	struct far far;
	struct worker_info info;
	struct gpu *gpu;
	uint64_t started_ms; /* of the session, CLOCK_BOOTTIME */

	/* link.c */
	const struct link_ops *link; /* NULL: nothing is served yet */
	struct pvgpu_ring_page *page;
	size_t ring_bytes;
	int kick, epoll;
	int rouse, standby; /* of a completion thread that waits for the doorbell; an epoll */
	int gate_bell;      /* pvgpud's, of the gate; -1: none has come */
	int out_fd, err_fd;
	/* link_local.c */
	int to_worker, to_guest, session, guest_pidfd;
	/* link_xen.c */
	int evtchn;
	uint32_t port; /* our end of the session's event channel */

	/* loop.c: whose holder decodes; all that is said to be of the decoding thread */
	pthread_mutex_t decode;
	struct pvgpu_ring cmd;
	struct pvgpu_poll poll[2];  /* [1]: while the guest waits for work on the GPU */
	struct pvgpu_poll *polled;  /* before the sleep that began then; NULL: learn nothing */
	uint64_t slept_ns, wake_ns; /* that; when the thread in epoll_wait() wakes by itself */
	uint32_t cb_done;
	bool greeted;       /* session_hello has come */
	bool full;          /* gpu_submit said so */
	uint64_t looked_ns; /* when the sockets were last looked at */
	unsigned int steps; /* since the clock was last looked at */
	uint64_t gate_ns;   /* when the work in flight was last looked at */
	uint64_t drain_ns;  /* end the session then; 0: no */
	/* any thread */
	atomic_bool kicked, sleeping, ended;
	atomic_bool woken; /* the decoding thread is awake and wants `decode` */

	/* end.c */
	pthread_mutex_t end_lock;
	int end;
	char end_reason[128];

	uid_t daemon_uid;
	struct send send;
	struct lease lease;
	struct arena arena;
};

/* prepare.c */
int prepare(struct worker *w, char *reason, size_t cap);

/* Sources of the decoding thread's epoll. */
enum source {
	FROM_GUEST,
	FROM_SESSION,
	FROM_PIDFD,
	FROM_CONTROL,
	FROM_ADOPT,
	FROM_KICK,
	FROM_GATE
};

/*
 * link.c: take what came with ASSIGN; make the kick, epoll and output pipes. 0, -EPROTO when the
 * guest is to blame, or -1, with a reason.
 */
int link_take(struct worker *w, const struct pvgpu_sup_assign *m, const int *fds, unsigned int n,
	      char *reason, size_t cap);
void link_ring_guest(const struct worker *w); /* any thread */
/* Tell the guest that the session has ended. */
void link_say_ended(struct worker *w, int end, const char *reason);
/* For the links: map the ring, whose fd stays the caller's. 0 or -errno with a reason. */
int link_map_ring(struct worker *w, const struct pvgpu_sup_assign *m, int fd, off_t offset,
		  char *reason, size_t cap);
int link_watch(struct worker *w, int fd, uint32_t events, enum source source);
/* The guest's doorbell: of two threads that wait for it one is woken. */
int link_watch_guest(struct worker *w, int fd, uint32_t events);

/* link_local.c, link_xen.c: the session's way to its guest. */
struct link_ops {
	/* As link_take. The fds are the link's from here on. */
	int (*take)(struct worker *w, const struct pvgpu_sup_assign *m, const int *fds,
		    unsigned int n, char *reason, size_t cap);
	void (*ring_guest)(const struct worker *w);
	/* The guest's doorbell rang; called before the ring is looked at. */
	void (*rung)(struct worker *w);
	/* pvgpud's words of which check_from_daemon() says that this link hears them. The fds are
	 * the link's from here on. */
	void (*control)(struct worker *w, const struct pvgpu_sup *m, const int *fds);
	enum check_serves serves;
};
extern const struct link_ops link_local, link_xen;

/* link_xen.c: calls that need Xen; tests replace them. */
struct xen_calls {
	int (*notify)(int fd, uint32_t port);
};
extern const struct xen_calls *xen_calls;

/* seal.c: from here on nothing is opened. 0 or -1 with a reason. */
int seal(struct worker *w, char *reason, size_t cap);

/* loop.c */
void loop_run(struct worker *w);

/* send.c */
void send_init(struct worker *w, uint32_t cmd_size, uint32_t rep_size);
void send_queued(struct worker *w); /* send replies that wait for the guest */
/* About to sleep: false when there is room for a reply that waits. */
bool send_wait_begin(struct worker *w);
void send_wait_end(struct worker *w);

/* control.c: pvgpud's socket, decoding thread */
int control_say(struct worker *w, uint32_t kind, uint64_t a, uint64_t b, const char *reason);
/* The same, of a message that has more in it. */
int control_tell(struct worker *w, struct pvgpu_sup *m, const char *reason);
void control_read(struct worker *w); /* all that has come; notices the hang-up */
void control_rung(struct worker *w); /* the gate's bell: take the rings */
/*
 * A spare's wait: 0: a session; CONTROL_CANARY: m->head is that; CONTROL_LEAVE: pvgpud is gone or
 * does not need it; -1: pvgpud sent something else (logged).
 */
enum { CONTROL_LEAVE = 1, CONTROL_CANARY };
int control_wait_assign(struct worker *w, struct pvgpu_sup_assign *m, int *fds, unsigned int *n);

/* adopt.c */
void adopt_lost(struct worker *w); /* pvgpud has gone: listen for its successor */
void adopt_accept(struct worker *w);

/* lease.c */
void lease_init(struct worker *w, uint64_t quota);
/* LEASED, MEMINFO. Returns parked bytes that are leased again, for gpu_resume(); 0: none. */
uint64_t lease_heard(struct worker *w, const struct pvgpu_sup *m);
/* The control socket went down, or came up again: then the STATE is sent first, under the lock. */
bool lease_is_up(struct worker *w);
void lease_down(struct worker *w);
int lease_up(struct worker *w);
uint32_t lease_park_asked(struct worker *w, uint32_t id); /* PARK; for lease_parked() */
void lease_ended(struct worker *w);                       /* no caller need wait any more */
void lease_tell(struct worker *w);                        /* report changes to pvgpud */
bool lease_behind(struct worker *w);                      /* there are unreported changes */

/* share.c, with the lease's lock held */
void share_tell(struct worker *w);
bool share_behind(const struct worker *w);
void share_up(struct worker *w); /* pvgpud knows of shared memory */
void share_down(struct worker *w);
/* share.c: WANTED, GIVEN, CHARGED, LEFT; the fd is the callee's */
void share_heard(struct worker *w, const struct pvgpu_sup *m, int fd);

/* arena.c */
struct check_arena arena_window(const struct worker *w);
/* Map a free range, once; unmap a chunk. 0 or a negative errno. */
int arena_add(struct worker *w, uint64_t address, uint64_t size, int fd, off_t offset,
	      uint64_t slice);
int arena_remove(struct worker *w, uint64_t address, uint64_t size);
void arena_message(struct worker *w); /* the session socket is readable */

/* end.c */
static inline bool has_ended(const struct worker *w)
{
	return atomic_load_explicit(&w->ended, memory_order_acquire);
}
/* Tell pvgpud why the session is over, and of its kernels' faults. */
void end_tell(struct worker *w, int end, const char *reason);
void end_process(struct worker *w) __attribute__((noreturn));

#endif
