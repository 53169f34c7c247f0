/* SPDX-License-Identifier: MIT */
/*
 * The guest's end of a link, which carries a session to its worker. It provides the ring's memory,
 * a doorbell, a wait, and arena memory that both sides see at one address. The code above does not
 * know which link it is.
 */
#ifndef PVGPU_LINK_LINK_H
#define PVGPU_LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pvgpu_link;
struct pvgpu_ring_page;

enum {
	PVGPU_LINK_RUNG = 1,   /* the worker's doorbell; reported once */
	PVGPU_LINK_KICKED = 2, /* kick() was called; reported once */
	PVGPU_LINK_HANGUP = 4, /* the worker is gone, or hangup() was called; stays */
};

struct pvgpu_link_ops {
	/* Ring the worker's doorbell. Any thread; never blocks. */
	void (*doorbell)(struct pvgpu_link *l);
	/*
	 * Sleep until one of the events in `what` (PVGPU_LINK_*; a hang-up always counts); returns
	 * those that happened. One thread at a time may ask for RUNG, and one for KICKED. May
	 * return 0 early.
	 */
	unsigned int (*wait)(struct pvgpu_link *l, unsigned int what);
	void (*kick)(struct pvgpu_link *l);
	/*
	 * Add (remove) a chunk of arena memory: mapped at `address` here, over an inaccessible
	 * reservation, and in the worker. One at a time. 0; -ENOMEM and the like: not now; -EPROTO:
	 * the worker misbehaves; -EPIPE: it is gone. shrink() may return -EBUSY: work may still use
	 * the chunk, and it stays. Both are called with cancellation off.
	 */
	int (*grow)(struct pvgpu_link *l, void *address, uint64_t size);
	int (*shrink)(struct pvgpu_link *l, void *address, uint64_t size);
	/* Cut the connection: every wait, here and in the worker, sees the hang-up. */
	void (*hangup)(struct pvgpu_link *l);
	/* Tell the worker that the session is over and wait at most ms for its end. */
	void (*finish)(struct pvgpu_link *l, int ms);
	/* Unmap the ring and free everything. */
	void (*close)(struct pvgpu_link *l);
	/* In a forked child: close what was inherited and leave the rest; async-signal-safe. */
	void (*abandon)(struct pvgpu_link *l);
};

/* Common to all links; a link's own struct begins with it. */
struct pvgpu_link {
	const struct pvgpu_link_ops *ops;
	struct pvgpu_ring_page *page; /* followed by both streams */
	uint32_t cmd_size, rep_size;
	uint32_t session;     /* the backend's number, for people */
	uint64_t arena_limit; /* bytes of arena that the session may have */
	uint64_t chunk_max;   /* bytes of the largest chunk that grow() takes */
};

/* Functions that open a link return 0, or a negative errno with a reason in words: -EREMOTEIO where
 * the backend has refused a session, -EPERM where it does so for a while. */
#define PVGPU_LINK_REASON 160

/*
 * choose.c: the link that the environment names: PVGPU_SOCKET=/path, the local link;
 * PVGPU_DEVICE=/dev/pvgpuN, that vGPU of this guest; otherwise PVGPU_DEFAULT_DEVICE where there is
 * one, else the local link's default socket.
 */
#define PVGPU_DEFAULT_DEVICE "/dev/pvgpu0"
int pvgpu_link_open(struct pvgpu_link **out, char reason[PVGPU_LINK_REASON]);
/* Which it is, without opening it: true: a device of this path; false: a socket of pvgpud's. */
bool pvgpu_link_named(const char **path);
/* Is PVGPU_DEBUG set: are failures explained on stderr? */
bool pvgpu_link_debug(void);
/* To be called when none could be opened: says on stderr why, where PVGPU_DEBUG asks for it, and
 * that the backend has refused, once, unless PVGPU_DEBUG is 0. */
void pvgpu_link_explain(int err, const char *what, const char reason[PVGPU_LINK_REASON]);

/* local.c */
int pvgpu_link_open_local(const char *path, struct pvgpu_link **out,
			  char reason[PVGPU_LINK_REASON]);
/* device.c: -ENOENT only when there is no such file. debug: say why memory is refused. */
int pvgpu_link_open_device(const char *path, bool debug, struct pvgpu_link **out,
			   char reason[PVGPU_LINK_REASON]);

#endif
