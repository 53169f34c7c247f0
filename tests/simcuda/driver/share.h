/* SPDX-License-Identifier: MIT */
/* Memory and events that processes share: share.c, ipc.c. */
#ifndef PVGPU_SIMCUDA_SHARE_H
#define PVGPU_SIMCUDA_SHARE_H

#include "tests/simcuda/driver/sim.h"

enum share_type { SHARE_PHYSICAL, SHARE_MEMORY, SHARE_EVENT, SHARE_POOL };

/* share.c: what other processes may open: a piece of that file, or an event. Its place is in pages
 * at the end of the file, which those processes map, too. */
#define SHARE_PLACES 1024u
#define SHARE_BYTES  (128ull << 10)
struct share_place {
	_Atomic uint32_t used, others; /* processes that have it open, beside the owner */
	_Atomic uint32_t left; /* the owner has freed it: the last of the others does the rest */
	_Atomic uint32_t recorded, done; /* of an event */
	uint32_t type;                   /* enum share_type */
	uint64_t offset, size;           /* of what is mapped */
	uint64_t within, len;            /* the memory that it is about, counted from offset */
	unsigned char secret[32];
};
struct share_handle { /* 64 bytes, as CUDA's are */
	char magic[8];
	uint32_t pid, fd, place, type;
	unsigned char secret[32];
	uint64_t pad;
};
struct share_other { /* another process's place */
	struct share_page *page;
	struct share_place *place;
	void *memory; /* a mapping of its piece of the file */
};
int share_open(int file); /* with vmm_open() */
/* 0: none is left. */
uint32_t share_new(const struct share_place *what);
struct share_place *share_at(uint32_t place);
/* Does the piece of the file stay, for others? */
bool share_forget(uint32_t place);
void share_handle_of(uint32_t place, struct share_handle *out);
/* A file descriptor that stands for the place; -1: none is left. */
int share_fd(uint32_t place);
CUresult share_take(const struct share_handle *h, enum share_type type, struct share_other *out);
CUresult share_take_fd(int fd, enum share_type type, struct share_other *out);
void share_drop(struct share_other *o);

/* ipc.c: another process's memory; pooled: of a pool, which is freed and not closed */
CUresult ipc_open(const void *handle, bool pooled, CUdeviceptr *addr);
CUresult ipc_close(CUdeviceptr addr, bool pooled);

/* memory.c */
/* The place at which other processes find the allocation. */
CUresult memory_share(const struct range *r, enum share_type type, uint32_t *place);

#endif
