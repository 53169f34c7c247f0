/* SPDX-License-Identifier: MIT */
/* Checks of messages on the local link's sockets and on the supervision sockets: pure functions
 * over a private copy. Each returns 0, or a negative errno with a reason for the log. */
#ifndef PVGPU_LOCAL_CHECK_H
#define PVGPU_LOCAL_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "link/local.h"
#include "xen-pvgpu-back/contract/supervise.h"

#define CHECK_REASON 104

/* An open request. Sizes of 0 become the defaults; comm ends with NUL. */
int check_open(struct pvgpu_local_open *m, size_t len, char reason[CHECK_REASON]);

/* Does it ask this question (PVGPU_LOCAL_ASK...) in place of a session? */
bool check_is_ask(const struct pvgpu_local_open *m, size_t len, uint32_t question);

/* The arena window and the bytes of it that are mapped, for chunk requests. */
struct check_arena {
	uint64_t base, size;  /* window; size 0: not reserved yet */
	uint64_t used, limit; /* bytes of chunks */
};
#define PVGPU_CHUNK_ADD    1u
#define PVGPU_CHUNK_REMOVE 2u
/* Place and size of a chunk that the guest asks for. -EPROTO: the guest broke the protocol.
 * -ENOMEM: the arena's limit is reached, which is no breach. */
int check_chunk_place(uint32_t op, uint64_t address, uint64_t size, const struct check_arena *a,
		      char reason[CHECK_REASON]);
/* A request to add or remove a chunk. Overlap with other chunks is the caller's to check. */
int check_chunk(const struct pvgpu_local_chunk *m, size_t len, unsigned int fds,
		const struct check_arena *a, char reason[CHECK_REASON]);
/* The memfd of a chunk: sealed, and of exactly this size. */
int check_chunk_fd(int fd, uint64_t size, char reason[CHECK_REASON]);

/* A worker's message, checked against the state that pvgpud keeps for the worker. */
enum check_worker_state {
	CHECK_STARTING,
	CHECK_ADOPTING,
	CHECK_SPARE,
	CHECK_CANARY, /* a spare that was told to run the canary */
	CHECK_SERVING,
	CHECK_ENDED
};
int check_from_worker(struct pvgpu_sup *m, size_t len, unsigned int fds,
		      enum check_worker_state state, char reason[CHECK_REASON]);
/* pvgpud's message to a worker, checked against the session that the worker serves. len: bytes
 * received. */
enum check_serves { CHECK_NOTHING_YET, CHECK_LOCAL_SESSION, CHECK_XEN_SESSION };
int check_from_daemon(void *m, size_t len, enum check_serves serves, unsigned int fds,
		      char reason[CHECK_REASON]);

/* Names of vGPUs: letters, digits, '-', '_' and '.', not first a '.' or '-', at most 39. */
int check_vgpu_name(const char *name);

#endif
