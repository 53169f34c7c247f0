/* SPDX-License-Identifier: MIT */
/*
 * Messages between pvgpud and a worker, on the worker's control socket (SOCK_SEQPACKET, fixed size,
 * fds alongside). A worker may be hostile: pvgpud checks every field.
 *
 * A spare worker is started with the control socket as fd 3 and a bound adoption socket as fd 4.
 * The worker itself listens on the latter, so that the socket carries the worker's credentials. It
 * prepares (loads libcuda, initialises) and sends PVGPU_SUP_READY. pvgpud gives it a session with
 * PVGPU_SUP_ASSIGN; the worker says PVGPU_SUP_TAKEN at once, or another one gets the session. It
 * maps the memory that came along, seals itself and sends PVGPU_SUP_SEALED. A worker serves one
 * session and exits.
 *
 * While a package is replaced, a pvgpud starts workers of another version. So a kind that this list
 * gains is sent only to a peer that reports that it knows it (enum pvgpu_sup_knows), a message
 * that is in the list keeps its size, and the worker takes every option that an older pvgpud gives.
 *
 * A control socket that hangs up means that pvgpud is gone. A spare worker then exits. A worker
 * with a session goes on and keeps its leases; it accepts a new pvgpud on the adoption socket (the
 * uid must be the same, by peer credentials) and sends it PVGPU_SUP_STATE.
 *
 * The adoption sockets lie in pvgpud's run directory as workers/<id>@<pool>.sock while spare. At
 * ASSIGN they are renamed to workers/<id>@<pool>.<vgpu>.sock. So a new pvgpud learns session, GPU
 * and vGPU from a name that pvgpud gave, and the worker's own STATE must agree with it. id is the
 * session's number. On the Xen link the guest's number of the session follows,
 * workers/<id>@<pool>.<vgpu>.<number>.sock: with it a new pvgpud can tell the guest about a worker
 * that died in the meantime. A name without a pool means the vGPU's
 * own, or else the first one.
 */
#ifndef PVGPU_SUPERVISE_H
#define PVGPU_SUPERVISE_H

#include <stdint.h>

#include "ring/ring.h" /* enum pvgpu_end */

#define PVGPU_SUP_CONTROL_FD 3
#define PVGPU_SUP_ADOPT_FD   4
/* Bytes of a chunk that pvgpud maps at a time: those of one directory page. */
#define PVGPU_SUP_SLICE  (1022u * 4096u)
#define PVGPU_SUP_LOG_FD 5 /* the log; after the seal 1 and 2 are device output */

enum pvgpu_sup_kind {
	PVGPU_SUP_READY = 1,  /* worker: prepared; a = driver version, b = device memory in bytes,
			       * c = enum pvgpu_sup_knows, reason = the GPU's name */
	PVGPU_SUP_ASSIGN = 2, /* pvgpud: struct pvgpu_sup_assign with the fds of enum pvgpu_sup_fd;
			       * head.a = enum pvgpu_sup_knows */
	PVGPU_SUP_SEALED = 3, /* worker: serving */
	PVGPU_SUP_LEASE = 4,  /* worker: asks for a more bytes; id = a number to match the answer */
	PVGPU_SUP_LEASED =
		5, /* pvgpud: a = bytes granted (0: refused), id as asked, b and c as MEMINFO */
	PVGPU_SUP_RETURN = 6,   /* worker: returns a bytes */
	PVGPU_SUP_STATE = 7,    /* worker to an adopting pvgpud: session, vgpu name, leased bytes a,
				   guest pid b, c = start of the session, ms of CLOCK_BOOTTIME; on the
				   Xen link b is the guest's session number and id the number of grants
				   that its chunks have mapped; knows = enum pvgpu_sup_knows; parked
				   bytes are in a, too */
	PVGPU_SUP_DRAIN = 8,    /* pvgpud: end the session after a ms of grace for the guest; a
				   repeated message sets a new time, PVGPU_SUP_NO_END takes the
				   end back. It is void when its pvgpud is gone. */
	PVGPU_SUP_ENDED = 9,    /* worker: about to exit; reason = why; a = enum pvgpu_end; b = the
				   first CUresult that broke a context, 0: none; c = 1: the GPU is at
				   fault, not the kernel */
	PVGPU_SUP_MEMINFO = 10, /* worker asks / pvgpud answers, and sends it unasked after a
				   change: a = total (quota), b = free bytes of the vGPU, c = bytes
				   leased or parked by this session when b was computed, knows =
				   enum pvgpu_sup_knows of pvgpud */
	PVGPU_SUP_LOG =
		11, /* pvgpud, after STATE: the worker logs to the socket alongside from now on */
	/* On the Xen link, where pvgpud forwards the guest's requests: */
	PVGPU_SUP_CHUNK_ADD =
		12, /* pvgpud: map the chunk of b bytes at a from the gntdev fd alongside, from
		       offset c on; each PVGPU_SUP_SLICE bytes once and by an mmap of their own;
		       id = a number to match the answer */
	PVGPU_SUP_CHUNK_REMOVE =
		13,             /* pvgpud: unmap the chunk of b bytes at a; id as for CHUNK_ADD */
	PVGPU_SUP_CHUNKED = 14, /* worker: id of the request, a = 0 or an errno value; a repeated
				   add or remove of a chunk succeeds */
	PVGPU_SUP_CLOSE = 15,   /* pvgpud: the guest has closed the session */
	PVGPU_SUP_GATE = 16,    /* pvgpud: the fds of enum pvgpu_gate_fd alongside */
	PVGPU_SUP_CANARY = 17, /* pvgpud to a spare worker: run a small kernel and check its result,
				  within a ms */
	PVGPU_SUP_CANARIED = 18, /* worker, which then exits: a = 0, or the CUresult (2: the GPU's
				    memory is full, which says nothing about the GPU), or 1000 for a
				    wrong result; b = microseconds that the kernel took; reason */
	PVGPU_SUP_TAKEN = 19,    /* worker: has read ASSIGN */
	/* Memory and events that sessions of one vGPU share. A shared thing has a number: its
	 * owner's session above 32 bits, and below them one that the owner has chosen. */
	PVGPU_SUP_IMPORT = 20, /* worker: wants what the token in `token` stands for; id = a number
				  to match the answer, a = of which kind it must be (the worker's
				  numbers), b = the owner's session as the token has it */
	PVGPU_SUP_WANTED = 21, /* pvgpud to the owner: the same; id = pvgpud's number */
	PVGPU_SUP_SHARED = 22, /* worker answers each WANTED once: id as there, a = a CUresult; if
				  it is 0 the fd alongside, no socket and none of Xen's devices, b =
				  the thing's number, c = its bytes of device memory, which are part
				  of the owner's lease (0: an event, whose fd is a memfd) */
	PVGPU_SUP_GIVEN = 23,  /* pvgpud answers IMPORT with the contents of SHARED, or a refusal */
	PVGPU_SUP_DROP = 24,   /* worker: has the thing with number b no longer, of c bytes */
	PVGPU_SUP_CHARGED = 25, /* pvgpud: the c bytes of the thing with number b are part of this
				   session's lease from now on, because another one that had them
				   in its lease has dropped them or ended */
	PVGPU_SUP_LEFT = 26,    /* pvgpud: the session a, which had the event with number b, has
				   ended */
	PVGPU_SUP_HELD = 27,    /* worker to an adopting pvgpud, after STATE: has the thing with
				   number b, of c bytes; a = 1: they are part of its lease */
	/* Parked memory: device memory of an idle session that lies in the worker's host memory. */
	PVGPU_SUP_PARK = 28, /* pvgpud: park up to a bytes now, if the session is idle; a = 0: bring
				back what is parked; b = enum pvgpu_sup_park; c = ms for which it
				must have had no command; id = a number to match the answer. With
				PVGPU_SUP_PARK_BUSY: ms in which its work must end, and above 32
				bits MiB, after which no further allocation is moved; also to a
				session with parked memory, to park more. A RESUME that waits is
				withdrawn by the answer, and comes again */
	PVGPU_SUP_PARKED = 29, /* worker: a bytes of its lease are parked now, as PARK of this id
				  asks (0: none, reason = why; c = 1: it has work, and can be asked
				  again), in b microseconds. To a new pvgpud, after its first
				  MEMINFO: id = 0, a = all that is parked */
	PVGPU_SUP_RESUME = 30, /* worker: asks that its a parked bytes be leased again, all of them;
				  id as for LEASE; LEASED answers it, and may take its time */
	PVGPU_SUP_RESUMED = 31, /* worker: a bytes are on the GPU again, after b microseconds of
				   mapping and copying */
};

/* Bits that each side says of itself: in READY and ASSIGN; in `knows` of STATE and MEMINFO. */
enum pvgpu_sup_knows {
	PVGPU_SUP_KNOWS_TAKEN = 1,
	PVGPU_SUP_KNOWS_SHARE = 2, /* IMPORT to HELD */
	PVGPU_SUP_KNOWS_PARK = 4,  /* PARK to RESUMED */
	PVGPU_SUP_KNOWS_BUSY = 8,  /* PVGPU_SUP_PARK_BUSY */
	PVGPU_SUP_KNOWS_MORE = 16, /* PVGPU_SUP_PARK_BUSY with parked memory */
	PVGPU_SUP_KNOWS_ALL = 31,
};

/* Bits of PARK. */
enum pvgpu_sup_park {
	PVGPU_SUP_PARK_SAFE = 1, /* host memory is not swapped out */
	PVGPU_SUP_PARK_BUSY = 2, /* also a session with work: its commands wait from now on, and
				    memory is moved when those that were issued have ended */
};

#define PVGPU_SUP_TOKEN 64

/* Alongside ASSIGN, in this order. The pidfd is missing for a guest process in another pid
 * namespace. */
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
#define PVGPU_SUP_CONFIDENTIAL 2u /* no traces in the GPU's caches for other vGPUs */

#define PVGPU_SUP_NO_END       UINT64_MAX /* of DRAIN */

#define PVGPU_SUP_NO_MEMORY    2 /* CUDA_ERROR_OUT_OF_MEMORY, of CANARIED */

struct pvgpu_sup {
	uint32_t kind, id;
	uint64_t a, b, c;
	uint32_t session, knows;
	char vgpu[40];
	union {
		char reason[128];
		unsigned char token[PVGPU_SUP_TOKEN]; /* of IMPORT and WANTED */
	};
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
	uint32_t flags;       /* PVGPU_SUP_NO_ZERO_COPY, PVGPU_SUP_CONFIDENTIAL */
	uint32_t context_mib; /* device memory to be leased for each context */
};

#endif
