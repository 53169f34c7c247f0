/* SPDX-License-Identifier: MIT */
/*
 * A frontend in a guest's user space, over /dev/xen/xenbus, /dev/xen/gntalloc and /dev/xen/evtchn.
 * Names, values and layouts are those of the project's descriptions: the xenstore keys
 * (pvgpu_keys.h), the control ring (ring/control.h) and the wire (pvgpu_wire.h, in guest.h). It
 * keeps to the protocol as long as no attack uses it otherwise. An error in this code ends the
 * program: an attack that was not carried out tests nothing.
 */
#ifndef PVGPU_HOSTILE_FRONT_H
#define PVGPU_HOSTILE_FRONT_H

#include "pvgpu_keys.h"
#include "ring/control.h"
#include "tests/hostile/guest.h"

#define PAGE       4096u
#define SET_MAX    1022u   /* pages that are granted at once */
#define ASKS       64u     /* requests without an answer */
#define SEATS      32u     /* sessions at a time */
#define WAIT_MS    120000u /* for an answer of pvgpud; an emulated machine is slow */
#define CMD_SIZE   PVGPU_RING_MIN
#define REP_SIZE   PVGPU_RING_MIN
#define RING_PAGES (1 + (CMD_SIZE + REP_SIZE) / PAGE)
#define ANY_TEXT   256

/* ---- store.c: xenstore. Paths are absolute, or relative to the guest's own directory ---- */

void store_open(void);
/* The value in buf, NUL-terminated: its length, or -errno. */
int store_read(const char *path, char *buf, size_t cap);
/* 0 or -errno. tx: 0, or a transaction. */
int store_write(uint32_t tx, const char *path, const void *value, size_t len);
int store_remove(uint32_t tx, const char *path);
/* perms: words such as "n5" "r0", each with its NUL, len bytes together. */
int store_permit(const char *path, const char *perms, size_t len);
uint32_t store_begin(void);
/* False: the transaction has to be made again. */
bool store_end(uint32_t tx);

/* ---- pages.c: granted pages and event channels ---- */

struct pages {
	uint32_t n;
	uint64_t index;
	unsigned char *at;
	uint32_t ref[SET_MAX];
};

enum { READ_ONLY = 1 };

void pages_open(void);
/* Zeroed pages, granted to a domain. */
void pages_grant(struct pages *p, uint32_t domid, uint32_t n, int flags);
/* Take the pages and their grants back; the kernel keeps what the other side has mapped. */
void pages_end(struct pages *p);
/* An unbound event channel for a domain. */
uint32_t port_make(uint32_t domid);
void port_ring(uint32_t port);
void port_end(uint32_t port);

/* ---- front.c: the vGPU's connection ---- */

/* A request that pvgpud may have to answer. */
struct ask {
	bool used, answered;
	uint32_t index; /* in to_back */
	struct pvgpu_ctl_msg m, answer;
};

struct front {
	uint32_t self, back, other; /* domains: own, the backend, a third one */
	struct pvgpu_ids ids;
	char front_dir[96], back_dir[96];
	struct pages page; /* of the control ring */
	uint32_t port;
	struct pvgpu_ctl ctl;
	struct ask ask[ASKS];
	uint32_t next_id, next_session;
	unsigned int again; /* PVGPU_CTL_AGAIN seen */
	struct seat *seat[SEATS];
	char said[ANY_TEXT]; /* reason of the latest answer with an error, or of a session's end */
};

void front_init(struct front *f, uint32_t number, uint32_t other);
/* A key of the frontend's own directory. */
void front_key(struct front *f, enum pvgpu_key_id key, char path[160]);
void front_put_key(struct front *f, enum pvgpu_key_id key, const char *value);
void front_set_state(struct front *f, enum pvgpu_state state);
enum pvgpu_state front_back_state(struct front *f);
/* Wait until the backend's state is one of a set of bits. */
enum pvgpu_state front_wait_state(struct front *f, uint32_t set);
#define STATE_BIT(s) (1u << PVGPU_STATE_##s)

/* Steps of the handshake. */
void front_begin(struct front *f);   /* Initialising, until the backend is InitWait */
void front_prepare(struct front *f); /* the ring's page and port */
void front_offer(struct front *f);   /* its keys and Initialised, in one transaction */
/* The same with another value of one key; NULL: without that key. */
void front_offer_with(struct front *f, enum pvgpu_key_id key, const char *value);
void front_connect(struct front *f); /* Connected, when the backend is */
/* Closing, and Closed when the backend is; then the pages and ports of sessions and ring end. */
void front_close(struct front *f);

/* ---- the control ring ---- */

/* Publish a request as it is, and ring. False: no room within the limit. */
bool front_put(struct front *f, const struct pvgpu_ctl_msg *m);
/* The same with an id, kept until it is answered; sent again to a pvgpud that asks for it. */
struct ask *front_send(struct front *f, struct pvgpu_ctl_msg *m);
/* Take what pvgpud has published. */
void front_take(struct front *f);
/* The answer's error; its text in f->said. The ask is free again. */
int front_wait(struct front *f, struct ask *a);
/* The same, or -1 when none comes in the time. */
int front_wait_for(struct front *f, struct ask *a, unsigned int ms);
int front_call(struct front *f, struct pvgpu_ctl_msg *m);

/* ---- seat.c: sessions ---- */

struct seat {
	struct front *f;
	uint32_t number, port;
	bool open, ended;
	struct pages ring, dir;
	struct pages chunk, chunk_dir; /* the one chunk of seat_chunk() */
	struct guest g;
};

/* Pages, grants, a directory and a port for a session; nothing is sent. */
struct seat *seat_make(struct front *f);
/* A directory page with the references of a set, as the frontend's pages are. */
void dir_make(struct front *f, struct pages *dir, const struct pages *of);
struct pvgpu_dir_page *dir_page(struct pages *dir);
/* Its SESSION_OPEN. */
struct pvgpu_ctl_msg seat_open_msg(const struct seat *s);
/* Open it; the errno value of the answer. */
int seat_open(struct seat *s);
/* session_hello and session_windows. */
void seat_settle(struct seat *s);
/* A CHUNK_ADD or CHUNK_REMOVE. */
struct pvgpu_ctl_msg seat_chunk_msg(const struct seat *s, uint32_t op, uint64_t address,
				    uint64_t size, uint32_t dir);
/* A chunk of n pages at the arena's beginning: the errno value. */
int seat_chunk(struct seat *s, uint32_t n);
int seat_close(struct seat *s);
/* Does a command get its right answer? */
bool seat_answers(struct seat *s);
/* Wait for the session's end; its reason in f->said. */
bool seat_wait_end(struct seat *s);
/* End its pages and port. */
void seat_free(struct seat *s);

#endif
