/* SPDX-License-Identifier: MIT */
/*
 * Messages between pvgpud and a worker, on the worker's control socket (SOCK_SEQPACKET, fixed size,
 * fds alongside). The worker is assumed hostile: pvgpud checks every field.
 *
 * A spare worker is exec'd with the control socket as fd 3 and a bound adoption socket as fd 4 (the
 * worker itself listens on it, so that its credentials are the socket's), prepares (loads libcuda,
 * initialises) and says PVGPU_SUP_READY. pvgpud gives it a session with PVGPU_SUP_ASSIGN; the
 * worker maps what it got, seals itself and says PVGPU_SUP_SEALED. A worker serves one session and
 * exits.
 *
 * When the control socket hangs up, pvgpud is gone: a spare worker exits; a session goes on, leases
 * stand, and the worker accepts a new pvgpud on the adoption socket (same uid as pvgpud's, checked
 * by peer credentials) and tells it its PVGPU_SUP_STATE.
 *
 * The adoption sockets lie in pvgpud's run directory as workers/<id>@<pool>.sock while spare and,
 * renamed at ASSIGN, as workers/<id>@<pool>.<vgpu>.sock: session, GPU and vGPU are known from a
 * name that pvgpud gave, and what a worker says of itself must agree with it. id is the session's
 * number. On the Xen link the guest's number of the session follows,
 * workers/<id>@<pool>.<vgpu>.<number>.sock: so a new pvgpud can tell the guest of a worker that
 * died before it could be asked. Names without a pool are those of a pvgpud that had but one.
 */
#ifndef PVGPU_SUPERVISE_H
#define PVGPU_SUPERVISE_H

#include <stdint.h>

#define PVGPU_SUP_CONTROL_FD 3
#define PVGPU_SUP_ADOPT_FD   4
#define PVGPU_SUP_LOG_FD     5 /* the log pipe or file; 1 and 2 are device output after the seal */

enum pvgpu_sup_kind {
	PVGPU_SUP_READY = 1, /* worker: prepared; a = driver version, b = device memory in bytes,
			      * reason = the GPU's name */
	PVGPU_SUP_ASSIGN =
		2, /* pvgpud: struct pvgpu_sup_assign with the fds of enum pvgpu_sup_fd */
	PVGPU_SUP_SEALED = 3, /* worker: serving */
	PVGPU_SUP_LEASE = 4,  /* worker: wants a bytes more; id = a number to match the answer */
	PVGPU_SUP_LEASED =
		5, /* pvgpud: a = bytes granted (0: refused), id as asked, b and c as MEMINFO */
	PVGPU_SUP_RETURN = 6, /* worker: gives a bytes back */
	PVGPU_SUP_STATE = 7,  /* worker to an adopting pvgpud: session, vgpu name, leased bytes a,
			       * guest pid b,  c = start of the session, ms of CLOCK_BOOTTIME; on
			       * the Xen link b is the guest's session number and id the number of
			       * grants of its chunks that are mapped */
	PVGPU_SUP_DRAIN = 8,  /* pvgpud: the guest may finish for a ms, then end the session; again:
				 a new time */
	PVGPU_SUP_ENDED = 9,  /* worker: about to exit; reason says why; a = enum pvgpu_end;
			       * b = the first CUresult that spoilt a context, 0: none; c = 1: it
			       * is the GPU's fault, not the kernel's */
	PVGPU_SUP_MEMINFO = 10, /* worker asks / pvgpud answers, and tells unasked when it has
				 * changed: a = total (quota), b = free bytes of the vGPU, c = what
				 * this session has leased in b's reckoning */
	PVGPU_SUP_LOG =
		11, /* pvgpud, after STATE: the pipe alongside is the worker's log from now on */
	/* On the Xen link, where pvgpud speaks for the guest: */
	PVGPU_SUP_CHUNK_ADD =
		12, /* pvgpud: map the chunk of b bytes at a; a gntdev fd alongside, to
		     * be mapped once, at offset c; id = a number to match the answer */
	PVGPU_SUP_CHUNK_REMOVE = 13, /* pvgpud: unmap the chunk of b bytes at a; id as above */
	PVGPU_SUP_CHUNKED = 14,      /* worker: id as asked, a = 0 or an errno value; the same chunk
				      * added      again: 0; removed again: 0 */
	PVGPU_SUP_CLOSE = 15,        /* pvgpud: the guest has closed the session */
	PVGPU_SUP_GATE = 16,         /* pvgpud: the files of gate.h alongside */
	PVGPU_SUP_CANARY = 17,       /* pvgpud to a spare: run a small kernel and check its result,
				      * within a ms */
	PVGPU_SUP_CANARIED = 18,     /* worker: a = 0, or the CUresult (2: the GPU's memory is full,
				      * which says nothing of the GPU), or 1000 for a wrong result;
				      * b = microseconds that it took; reason; it exits */
};

enum pvgpu_end {
	PVGPU_END_GUEST_GONE, /* the application exited or closed: normal */
	PVGPU_END_DRAINED,
	PVGPU_END_PROTOCOL, /* the guest broke the protocol */
	PVGPU_END_FAILED,   /* the far end or the worker failed */
	PVGPU_ENDS
};

/* Alongside ASSIGN, in this order. A guest whose process cannot be named (another pid namespace)
 * has no pidfd. */
enum pvgpu_sup_fd {
	PVGPU_SUP_FD_RING,
	PVGPU_SUP_FD_TO_WORKER,
	PVGPU_SUP_FD_TO_GUEST,
	PVGPU_SUP_FD_SESSION,
	PVGPU_SUP_FD_GUEST_PIDFD,
	PVGPU_SUP_FDS
};

/* Alongside ASSIGN on the Xen link, in this order. */
enum pvgpu_sup_xen_fd {
	PVGPU_SUP_XEN_FD_RING,   /* gntdev: the ring, mapped once at ring_offset */
	PVGPU_SUP_XEN_FD_EVTCHN, /* evtchn: `port` is bound to the guest, the fd is restricted */
	PVGPU_SUP_XEN_FDS
};

enum pvgpu_sup_link { PVGPU_SUP_LINK_LOCAL, PVGPU_SUP_LINK_XEN };
#define PVGPU_SUP_NO_ZERO_COPY 1u /* the arena must not be registered with libcuda */

#define PVGPU_SUP_NO_MEMORY    2 /* CUDA_ERROR_OUT_OF_MEMORY, of CANARIED */

struct pvgpu_sup {
	uint32_t kind, id;
	uint64_t a, b, c;
	uint32_t session, pad;
	char vgpu[40];
	char reason[128];
};

struct pvgpu_sup_assign {
	struct pvgpu_sup head;
	uint32_t cmd_size, rep_size;
	uint64_t quota; /* bytes of device memory of the vGPU */
	uint64_t arena_limit;
	uint64_t window_size; /* device window to reserve, bytes */
	uint64_t guest_pid;   /* Xen link: the session's number in the guest */
	uint64_t ring_offset; /* Xen link */
	uint32_t port;        /* Xen link: our end of the session's event channel */
	uint32_t link;        /* enum pvgpu_sup_link */
	uint32_t flags;       /* PVGPU_SUP_NO_ZERO_COPY */
	uint32_t pad;
};

#endif
