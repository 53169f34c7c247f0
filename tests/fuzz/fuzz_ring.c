/* SPDX-License-Identifier: MIT */
/* FUZZ_DECODES: libpvgpu/ring/ring.h */
/* FUZZ_OBJS: */
/*
 * A hostile peer on the ring page: it changes every shared word and the stream's bytes between the
 * steps of a producer and of a consumer. The memory is of just the right size, for the sanitizer.
 *
 * Input: steps of one byte each (kind in the low three bits) with their arguments.
 */
#include <stdint.h>
#include <stdlib.h>

#include "ring/ring.h"

enum { SIZE = 65536, RECORD_MAX = 4096 };

struct input {
	const uint8_t *at;
	size_t left;
};

static uint32_t take(struct input *in, unsigned int bytes)
{
	uint32_t v = 0;

	for (unsigned int i = 0; i < bytes && in->left; i++, in->left--)
		v |= (uint32_t)*in->at++ << 8 * i;
	return v;
}

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* The peer writes any word of the page, or where the consumer will read next. */
static void meddle(struct pvgpu_ring_page *page, struct pvgpu_ring *cons, struct input *in)
{
	uint32_t *words = (uint32_t *)page;
	const uint32_t what = take(in, 1);

	if (what < 64)
		words[16 * (1 + what % 10)] = take(in, 4);
	else if (what < 128)
		*cons->peer_word = cons->own + take(in, 3);
	else
		for (unsigned int i = 0; i < what % 32; i++)
			cons->data[(cons->own + i) & cons->mask] = (unsigned char)take(in, 1);
}

static bool consume(struct pvgpu_ring *r, unsigned char *buf)
{
	int len = pvgpu_ring_fetch(r, buf, RECORD_MAX);

	if (len <= 0)
		return len == 0;
	must(len >= 16 && len <= RECORD_MAX && len % 8 == 0);
	pvgpu_ring_consume(r, (uint32_t)len);
	must(r->own - r->published <= r->size);
	return true;
}

static bool produce(struct pvgpu_ring *r, const unsigned char *buf, uint32_t len)
{
	int room = pvgpu_ring_has_space(r, len);

	if (room <= 0)
		return room == 0;
	pvgpu_ring_put(r, 0, buf, len);
	pvgpu_ring_publish(r, len);
	must(r->own - r->peer <= r->size);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pvgpu_ring_page *page = calloc(1, pvgpu_ring_bytes(SIZE, SIZE));
	unsigned char *buf = calloc(1, RECORD_MAX);
	struct input in = {data, size};
	struct pvgpu_ring prod, cons;
	bool alive = page && buf;

	if (alive) {
		pvgpu_ring_init_producer(&prod, page, PVGPU_RING_CMD, SIZE, SIZE);
		pvgpu_ring_init_consumer(&cons, page, PVGPU_RING_REP, SIZE, SIZE);
	}
	while (alive && in.left) {
		switch (take(&in, 1) % 8) {
		case 0:
			alive = consume(&cons, buf);
			break;
		case 1:
			alive = produce(&prod, buf, 16 + take(&in, 2) % (RECORD_MAX / 8 - 1) * 8);
			break;
		case 2:
			pvgpu_ring_flush(&cons);
			break;
		case 3:
			if (pvgpu_ring_sleep_begin(&cons))
				must(cons.peer == cons.own);
			pvgpu_ring_sleep_end(&cons);
			break;
		case 4:
			pvgpu_ring_wait_begin(&prod, 16);
			pvgpu_ring_wait_end(&prod);
			break;
		default:
			meddle(page, &cons, &in);
		}
	}
	free(buf);
	free(page);
	return 0;
}
