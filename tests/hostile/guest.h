/* SPDX-License-Identifier: MIT */
/*
 * A guest that speaks the local link without the guest library: it knows the protocol's layout and
 * obeys none of its rules by itself. An error in this code ends the program: an attack that was not
 * carried out tests nothing.
 */
#ifndef PVGPU_HOSTILE_GUEST_H
#define PVGPU_HOSTILE_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "link/local.h"
#include "pvgpu_wire.h"
#include "ring/ring.h"

#define NORETURN         __attribute__((noreturn))
#define PRINTF_ARG(f, a) __attribute__((format(printf, f, a)))

NORETURN void die(const char *format, ...) PRINTF_ARG(1, 2);

#define ENDED        (-1) /* instead of a CUresult: the session is over */
#define STEP_LIMIT_S 20
#define CHUNK_SIZE   (4ull << 20)
#define MEMORY_SIZE  65536u

struct guest {
	const char *path;
	int ring_fd, to_worker, to_guest, sock;
	uint32_t cmd_size, rep_size, session;
	uint64_t arena_limit;
	struct pvgpu_ring_page *page;
	unsigned char *cmd, *rep; /* the streams */
	uint32_t prod, cons, seq;
	uint64_t device_base, device_size, arena_base, arena_size;
	uint64_t ctx, module, memory[2]; /* handles; device addresses */
	unsigned char *chunk;            /* at arena_base in this process, too */
	bool deaf;                       /* drain no replies while waiting for room */
	unsigned int patience_ms;        /* for room; 0: STEP_LIMIT_S */
	unsigned int limit_s;            /* for an answer; 0: STEP_LIMIT_S */
	void (*bell)(struct guest *g);   /* rings the worker; NULL: by to_worker */
	union {
		struct pvgpu_rep_hdr hdr;
		unsigned char bytes[PVGPU_REP_MAX];
	} reply; /* the last that was waited for */
};

/* The header of a command: {HDR(mem_info, MEM_INFO), .ctx = ...} */
#define HDR(name, NAME)                                                                            \
	.hdr = {                                                                                   \
		.len = sizeof(struct pvgpu_wire_##name),                                           \
		.op = PVGPU_OP_##NAME,                                                             \
	}
#define CALL(g, name, NAME, ...)                                                                   \
	guest_call(g, &(struct pvgpu_wire_##name){HDR(name, NAME), __VA_ARGS__})
#define POST(g, name, NAME, ...)                                                                   \
	guest_post(g, &(struct pvgpu_wire_##name){HDR(name, NAME), __VA_ARGS__})

/* ---- set-up, a step at a time ---- */
int guest_connect(const char *path);
/* Send an open request; 0, or the errno value of the answer, or -1 for a hang-up. */
int guest_ask(struct guest *g, int sock, const struct pvgpu_local_open *ask);
void guest_open(struct guest *g);
void guest_hello(struct guest *g);
void guest_windows(struct guest *g);
void guest_ctx(struct guest *g);
/* A chunk of CHUNK_SIZE at the beginning of the arena, mapped here at guest->chunk, and two pieces
 * of device memory of MEMORY_SIZE. */
void guest_memory(struct guest *g);
/* The PTX text as module 0 (its handle in guest->module). */
void guest_module(struct guest *g, const char *ptx);
/* Handle of a function, or 0. */
uint64_t guest_function(struct guest *g, uint32_t index, const char *name);

/* ---- the ring ---- */
/* Raw bytes at an offset from the published index; wraps. */
void guest_put(struct guest *g, uint32_t off, const void *bytes, uint32_t len);
void guest_publish(struct guest *g, uint32_t len);
void guest_ring_bell(struct guest *g);
/* Messages, records, rings and connections so far. */
extern unsigned int guest_acts;
/* Post a record of hdr.len bytes with a sequence number. False: no room, or the session ended. */
bool guest_post(struct guest *g, void *rec);
/* The same with bytes behind the fixed part, padded with zeros. */
bool guest_post_parts(struct guest *g, void *rec, const void *part, uint32_t len);
/* Awaited commands: the CUresult or ENDED. */
int guest_call(struct guest *g, void *rec);
int guest_call_parts(struct guest *g, void *rec, const void *part, uint32_t len);
/* The reply or mark of a command posted before. */
int guest_wait(struct guest *g, uint32_t seq);
/* Drain the replies that are there. Returns their number. */
unsigned int guest_drain(struct guest *g);
/* Load the image that lies in the chunk. */
int guest_load(struct guest *g, uint32_t index, size_t len);

/* ---- the session's socket ---- */
/* len bytes of a message with n fds; 0 or -errno. */
int guest_send(struct guest *g, const void *msg, size_t len, const int *fds, unsigned int n);
int guest_memfd(uint64_t size, int seals);
/* Add (1) or remove (2) a chunk: the errno value answered, or ENDED. */
int guest_chunk(struct guest *g, uint32_t op, uint64_t address, uint64_t size, int fd);

/* ---- the end ---- */
bool guest_over(struct guest *g); /* the status word or a hang-up says so */
/* Wait for the end. False: the session goes on. */
bool guest_wait_end(struct guest *g, unsigned int ms);
/* For the word in the ring page that it has ended. */
bool guest_wait_word(struct guest *g);
bool guest_answers(struct guest *g);
uint64_t now_ms(void);
void nap_ms(unsigned int ms);

#endif
