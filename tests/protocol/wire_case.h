/* SPDX-License-Identifier: MIT */
/*
 * What tests of the wire share: values for every command (the same as in gen/seeds.py), an encoder
 * that knows nothing but the description's tables, and a guest runtime and a worker that only take
 * down what they are asked for.
 */
#ifndef WIRE_CASE_H
#define WIRE_CASE_H

#include <stddef.h>
#include <stdint.h>
#include "pvgpu_wire_test.h"

#define WC_SEQ        7
#define WC_ARENA_BASE 0x7e0000000000ull
#define WC_ARENA_SIZE (1ull << 32)
#define WC_ROOM       (1 << 17) /* of a record that a test may build, legal or not */

enum wc_variant { WC_MIN, WC_TYPICAL, WC_MAX, WC_VARIANTS };
extern const char *const wc_variant_names[WC_VARIANTS];

/* Values of the inputs or outputs of a command; bytes are static and shared between calls. */
void wc_values(const struct wt_field *f, uint32_t n, enum wc_variant variant, struct wt_value *v);
/* The length of one variable part, padding included. */
uint32_t wc_part(const struct wt_field *f, uint64_t len);
/* A record from values, whether the description allows them or not; its length. */
uint32_t wc_build(const struct wt_cmd *c, const struct wt_value *v, void *buf);
/* "name a=1 b=68656c6c6f": what a decoded record says; malloc'ed. */
char *wc_text(const struct wt_cmd *c, const struct wt_value *in);
const struct wt_cmd *wc_find(uint32_t op);
/* A seed that the generator wrote: BUILD/gen/corpus/KIND/COMMAND-VARIANT.bin; its size, 0 if there
 * is none. */
size_t wc_seed(const char *kind, const struct wt_cmd *c, enum wc_variant variant, void *buf,
	       size_t cap);
size_t wc_read_file(const char *path, void *buf, size_t cap);

/* The session: what the stubs gave it, and what a call answers. */
struct wc_session {
	unsigned posted, broken;
	struct pvgpu_mark *mark; /* of the last post */
	_Alignas(8) uint8_t rec[WC_ROOM];
	uint32_t rec_len;
	_Alignas(8) uint8_t rep[WC_ROOM];
	uint32_t rep_len; /* 0: the session is dead */
	int rep_result;
};
extern struct wc_session wc_session;
#define WC_DEAD   46
#define WC_BROKEN 999
struct pvgpu_session *wc_guest(void);

/* The worker: what it was asked for, and what its handlers answer. */
struct wc_worker {
	unsigned handled, sent, deferred, marked;
	const struct wt_cmd *handled_cmd;
	int handler_result;
	const struct wt_value *handler_out; /* NULL: zeros */
	_Alignas(8) uint8_t rep[WC_ROOM];
	uint32_t rep_len;
	void *deferred_ctx;
	int deferred_result;
	uint32_t marked_seq;
	int marked_result;
};
extern struct wc_worker wc_worker;
struct worker *wc_far(void);

/* Lookups give the handle itself as the object, or nothing for wc_missing. */
extern uint64_t wc_missing;
extern unsigned
	wc_bad_lookups; /* of a handle whose tag is not its type or whose index is too high */
extern const struct pvgpu_decode wc_decode;

#endif
