/* SPDX-License-Identifier: MIT */
/*
 * The local link's messages on its two sockets (SOCK_SEQPACKET, fixed size, fds alongside).
 *
 * guest -> pvgpud, on the vGPU's socket: one pvgpu_local_open, answered by one pvgpu_local_opened
 * with PVGPU_LOCAL_FDS fds; the guest then closes this socket. pvgpud takes the peer's credentials
 * and a pidfd from the socket and hands them to the worker: nothing in the message is believed.
 *
 * In place of a session a guest may ask for figures of its vGPU: the same message with the version
 * PVGPU_LOCAL_ASK, answered by one pvgpu_local_figures, or PVGPU_LOCAL_ASK_GPU, answered by one
 * pvgpu_local_gpu. A pvgpud that does not know it answers as to any other version.
 *
 * guest <-> worker, on the session socket (fd PVGPU_FD_SESSION): its hang-up is either side's
 * death. The guest sends pvgpu_local_chunk with a sealed memfd to grow the arena (F_SEAL_SHRINK and
 * F_SEAL_SEAL set, exact size), the worker maps it at `address` and answers pvgpu_local_chunked.
 */
#ifndef PVGPU_LINK_LOCAL_H
#define PVGPU_LINK_LOCAL_H

#include <stdint.h>

#define PVGPU_DEFAULT_SOCKET "/run/pvgpu/vgpu0.sock"
#define PVGPU_LOCAL_MAGIC    0x75677670u /* "pvgu" */
#define PVGPU_LOCAL_VERSION  1u
#define PVGPU_LOCAL_ASK      0x80000001u
#define PVGPU_LOCAL_ASK_GPU  0x80000002u

enum pvgpu_local_fd {
	PVGPU_FD_RING,      /* memfd: ring page, command stream, reply stream (ring/ring.h) */
	PVGPU_FD_TO_WORKER, /* eventfd: the guest's doorbell */
	PVGPU_FD_TO_GUEST,  /* eventfd: the worker's doorbell */
	PVGPU_FD_SESSION,   /* SOCK_SEQPACKET to the worker */
	PVGPU_LOCAL_FDS
};

struct pvgpu_local_open {
	uint32_t magic, version;
	uint32_t cmd_size, rep_size; /* wanted stream sizes in bytes, powers of two; 0: the
					backend's default */
	char comm[32];               /* for the log only */
};

struct pvgpu_local_opened {
	uint32_t magic, version;
	int32_t error; /* 0, or an errno value, then without fds. EPERM: the vGPU is quarantined
			* at present */
	uint32_t cmd_size, rep_size;
	uint32_t session;     /* number in the daemon's log and statistics */
	uint64_t arena_limit; /* bytes of arena that the session may have */
	char reason[104];     /* of an error, for people */
};

#define PVGPU_LOCAL_SESSIONS 128u

/* Of one vGPU and one moment, with nothing of another. */
struct pvgpu_local_figures {
	uint32_t magic, version; /* PVGPU_LOCAL_ASK */
	int32_t asker;           /* the process that asks, as pvgpud's namespace has it */
	uint32_t sessions;       /* in session[] */
	uint64_t memory_limit;   /* bytes; 0: not known yet */
	uint64_t memory_used;    /* bytes */
	uint64_t gpu_time;       /* us of the GPU that were charged so far */
	struct pvgpu_local_session {
		int32_t pid; /* as pvgpud's namespace has it */
		uint32_t pad;
		uint64_t memory_used;    /* bytes */
	} session[PVGPU_LOCAL_SESSIONS]; /* the first so many */
};

/* The GPU's own description of itself, as far as a guest may know it. */
#define PVGPU_LOCAL_GPU_TEXT 2052u
struct pvgpu_local_gpu {
	uint32_t magic, version;         /* PVGPU_LOCAL_ASK_GPU */
	char text[PVGPU_LOCAL_GPU_TEXT]; /* as the schema's key `card` has it; the rest is 0 */
};

struct pvgpu_local_chunk {
	uint32_t magic, op; /* op: 1 add (memfd alongside), 2 remove */
	uint64_t address, size;
};

struct pvgpu_local_chunked {
	uint32_t magic;
	int32_t error; /* 0 or an errno value */
	uint64_t address;
};

#endif
