/* SPDX-License-Identifier: MIT */
/* The control ring's indices and messages, storms of requests and of events, and the indices and
 * records of a session's ring. */
#include "tests/hostile/xen/attack.h"

#include <errno.h>
#include <string.h>

#define RINGS  20000
#define FLOOD  3000
#define ROUNDS 400

static struct pvgpu_ctl_page *page(struct front *f)
{
	return (void *)f->page.at;
}

/* ---- indices of the control ring ---- */

/* More requests than there are, fewer, or an index far away. */
static void requests_index(struct front *f)
{
	pvgpu_store_release(&page(f)->to_back.prod.v, f->ctl.prod + (uint32_t)attack->arg);
	guest_acts++;
	port_ring(f->port);
	front_wait_state(f, STATE_BIT(CLOSING) | STATE_BIT(CLOSED));
}

/* More answers taken than were published, or fewer: pvgpud sees it when it has an answer. */
static void answers_index(struct front *f)
{
	const struct pvgpu_ctl_msg m = {
		.op = PVGPU_CTL_SESSION_CLOSE, .id = 1, .session = 0x7fffffffu};

	pvgpu_store_release(&page(f)->to_front.cons.v, f->ctl.cons + (uint32_t)attack->arg);
	WANT(pvgpu_ctl_put(&f->ctl, &m) == 0, "no room for a request");
	guest_acts++;
	port_ring(f->port);
	front_wait_state(f, STATE_BIT(CLOSING) | STATE_BIT(CLOSED));
}

/* The words that are pvgpud's own: it must not read them back. */
static void backends_words(struct front *f)
{
	struct pvgpu_ctl_msg m = {.op = PVGPU_CTL_SESSION_CLOSE, .session = 0x7fffffffu};
	struct ask *a;

	pvgpu_store(&page(f)->to_back.cons.v, 0x12345678u);
	pvgpu_store(&page(f)->to_front.waiting.v, 77u);
	pvgpu_store(&page(f)->to_back.cons.v, f->ctl.prod);
	a = front_send(f, &m);
	memset(page(f)->pad, 0xff, sizeof(page(f)->pad));
	WANT(front_wait(f, a) == 0, "the answer is %s", f->said);
}

/* Random values in all words and messages, with rings. */
static void at_random(struct front *f)
{
	struct pvgpu_ctl_queue *q[] = {&page(f)->to_back, &page(f)->to_front};

	for (int i = 0; i < ROUNDS; i++) {
		struct pvgpu_ctl_queue *at = q[attack_random() & 1];
		unsigned char *messages = (void *)page(f)->to_back_msg;

		for (int n = 0; n < 16; n++)
			messages[attack_random() % sizeof(page(f)->to_back_msg)] =
				(unsigned char)attack_random();
		pvgpu_store(&at->prod.v, attack_random());
		pvgpu_store(&at->cons.v, attack_random());
		pvgpu_store(&at->waiting.v, attack_random());
		guest_acts++;
		port_ring(f->port);
	}
	front_wait_state(f, STATE_BIT(CLOSING) | STATE_BIT(CLOSED));
}

/* ---- requests ---- */

static void request_of(struct front *f, uint32_t op, uint32_t session, int wanted)
{
	struct pvgpu_ctl_msg m = {.op = op, .session = session};
	const int r = front_call(f, &m);

	WANT(r == wanted, "op %#x of session %u: error %d, %s", op, session, r, f->said);
	attack_said(f);
}

static void session_0(struct front *f)
{
	request_of(f, PVGPU_CTL_SESSION_OPEN, 0, EPROTO);
	request_of(f, PVGPU_CTL_SESSION_CLOSE, 0, EPROTO);
	request_of(f, PVGPU_CTL_CHUNK_ADD, 0, EPROTO);
	request_of(f, PVGPU_CTL_CHUNK_REMOVE, 0, EPROTO);
}

static void unknown_ops(struct front *f)
{
	static const uint32_t ops[] = {0, 1, 0xf, 0x14, PVGPU_CTL_SESSION_ENDED, 0x81, 0xff, ~0u};

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		request_of(f, ops[i], 5, ENOSYS);
}

/* All with one id: each is answered, and no more. */
static void one_id(struct front *f)
{
	const struct pvgpu_ctl_msg m = {
		.op = PVGPU_CTL_SESSION_CLOSE, .id = 0x55, .session = 0x7ffffff1u};
	struct pvgpu_ctl_msg got;
	unsigned int answers = 0;

	for (unsigned int i = 0; i < PVGPU_CTL_SLOTS; i++)
		WANT(front_put(f, &m), "no room for a request");
	for (const uint64_t until = now_ms() + WAIT_MS;
	     answers < PVGPU_CTL_SLOTS && now_ms() < until; nap_ms(5))
		while (pvgpu_ctl_peek(&f->ctl, 0, &got) > 0) {
			WANT(got.id == m.id && !got.error, "an answer with id %u, error %d", got.id,
			     got.error);
			answers++;
			pvgpu_ctl_release(&f->ctl, 1);
		}
	WANT(answers == PVGPU_CTL_SLOTS, "%u answers to %u requests", answers, PVGPU_CTL_SLOTS);
}

static void flood_one(struct front *f)
{
	static uint32_t id;
	const struct pvgpu_ctl_msg m = {
		.op = (uint32_t)attack->arg, .id = ++id, .session = 0x7ffffff1u};

	WANT(front_put(f, &m), "no room for request %u", id);
	if (id % PVGPU_CTL_SLOTS == 0)
		nap_ms(5);
}

/* Within the budget. */
static void flood(struct front *f)
{
	for (int i = 0; i < FLOOD; i++)
		flood_one(f);
	attack_scene_during("neighbour", flood_one, f);
	front_take(f);
}

/* Requests whose answers are not taken: pvgpud holds a limited number and reads no more. */
static void deaf(struct front *f)
{
	struct pvgpu_ctl_msg m = {.op = PVGPU_CTL_SESSION_CLOSE, .session = 0x7ffffff1u};
	unsigned int put = 0, still = 0;

	while (still < 40 && put < 10000) {
		if (pvgpu_ctl_put(&f->ctl, &m) == 0) {
			put++;
			still = 0;
		} else {
			still++;
			nap_ms(50);
		}
		port_ring(f->port);
	}
	guest_acts += put;
	WANT(still, "%u requests were taken without an answer being read", put);
	attack_scene("neighbour");
	front_take(f);
}

static void ring_control(struct front *f)
{
	port_ring(f->port);
}

static void storm(struct front *f)
{
	for (int i = 0; i < RINGS; i++)
		ring_control(f);
	guest_acts++;
	attack_scene_during("neighbour", ring_control, f);
}

/* ---- a session's ring ---- */

static void ended(struct front *f)
{
	WANT(seat_wait_end(attack_seat), "the session goes on");
	attack_said(f);
}

static void commands_index(struct front *f)
{
	struct guest *g = &attack_seat->g;

	pvgpu_store_release(&g->page->cmd_prod.v, g->prod + (uint32_t)attack->arg);
	guest_ring_bell(g);
	ended(f);
}

static void replies_index(struct front *f)
{
	struct guest *g = &attack_seat->g;

	g->deaf = true;
	g->patience_ms = 1000;
	pvgpu_store_release(&g->page->rep_cons.v, g->cons + (uint32_t)attack->arg);
	for (int i = 0; i < 200 && !attack_seat->ended; i++) {
		if (!POST(g, device_snapshot, DEVICE_SNAPSHOT, .device = 0))
			break;
		front_take(f);
	}
	ended(f);
}

static void record_length(struct front *f)
{
	struct guest *g = &attack_seat->g;
	struct pvgpu_cmd_hdr h = {.len = (uint32_t)attack->arg, .op = PVGPU_OP_DEVICE_SNAPSHOT};

	guest_put(g, 0, &h, sizeof(h));
	guest_publish(g, sizeof(h));
	guest_ring_bell(g);
	ended(f);
}

static void record_soup(struct front *f)
{
	struct guest *g = &attack_seat->g;
	unsigned char soup[4096];

	for (size_t i = 0; i < sizeof(soup); i++)
		soup[i] = (unsigned char)attack_random();
	guest_put(g, 0, soup, sizeof(soup));
	guest_publish(g, sizeof(soup));
	guest_ring_bell(g);
	ended(f);
}

static void whole_ring(struct front *f)
{
	memset(attack_seat->ring.at, 0xff, attack_seat->ring.n * (size_t)PAGE);
	guest_ring_bell(&attack_seat->g);
	ended(f);
}

static void ring_session(struct front *f)
{
	port_ring(attack_seat->port);
}

static void session_storm(struct front *f)
{
	for (int i = 0; i < RINGS; i++)
		ring_session(f);
	guest_acts++;
	attack_scene_during("neighbour", ring_session, f);
	WANT(seat_answers(attack_seat), "the session was ended: %s", f->said);
}

#define BAD_REQUESTS "log Closing: control ring: invalid index of the queue of requests"
#define BAD_ANSWERS  "log Closing: control ring: invalid index of the queue of answers"
#define BAD_REPLIES  "log ended: the reply stream's index is impossible"
#define NO_RECORD    "log ended: the command stream holds no record where one must be"

const struct attack attacks_ring[] = {
	{"requests_17", CONNECTED, CLOSES, requests_index, 17, NULL, BAD_REQUESTS},
	{"requests_back", CONNECTED, CLOSES, requests_index, -1, NULL, BAD_REQUESTS},
	{"requests_sign", SETTLED, CLOSES, requests_index, INT32_MIN, NULL, BAD_REQUESTS},
	{"requests_far", CHUNKED, CLOSES, requests_index, 1 << 30, NULL, BAD_REQUESTS},
	{"answers_ahead", CONNECTED, CLOSES, answers_index, 5, NULL, BAD_ANSWERS},
	{"answers_back", CONNECTED, CLOSES, answers_index, -17, NULL, BAD_ANSWERS},
	{"answers_far", SETTLED, CLOSES, answers_index, 1 << 30, NULL, BAD_ANSWERS},
	{"backends_words", CONNECTED, LIVES, backends_words, 0, NULL, NULL},
	{"control_random", SETTLED, CLOSES, at_random, 0, NULL,
	 "log Closing: control ring: invalid index of the queue of"},
	{"session_0", CONNECTED, LIVES, session_0, 0, NULL, "answer request of session 0"},
	{"unknown_ops", CONNECTED, LIVES, unknown_ops, 0, NULL,
	 "answer unknown request 0xffffffff"},
	{"one_id", CONNECTED, LIVES, one_id, 0, NULL, NULL},
	{"flood_close", CONNECTED, LIVES, flood, PVGPU_CTL_SESSION_CLOSE, NULL, NULL},
	{"flood_unknown", CONNECTED, LIVES, flood, 0x77, NULL, NULL},
	{"deaf", CONNECTED, LIVES, deaf, 0, NULL, NULL},
	{"storm_control", CONNECTED, LIVES, storm, 0, NULL, NULL},
	{"storm_session", SETTLED, LIVES, session_storm, 0, NULL, NULL},
	{"commands_far", SETTLED, LIVES, commands_index, 1 << 30, NULL, NO_RECORD},
	{"commands_back", SETTLED, LIVES, commands_index, -8, NULL, NO_RECORD},
	{"commands_half", SETTLED, LIVES, commands_index, 12, NULL, NO_RECORD},
	{"commands_sign", CHUNKED, LIVES, commands_index, INT32_MIN, NULL, NO_RECORD},
	{"replies_behind", SETTLED, LIVES, replies_index, -(65 << 10), NULL, BAD_REPLIES},
	{"replies_far", SETTLED, LIVES, replies_index, 1 << 30, NULL, BAD_REPLIES},
	{"record_0", SETTLED, LIVES, record_length, 0, NULL, NO_RECORD},
	{"record_odd", SETTLED, LIVES, record_length, 17, NULL, NO_RECORD},
	{"record_beyond", SETTLED, LIVES, record_length, 64, NULL, NO_RECORD},
	{"record_sign", SETTLED, LIVES, record_length, INT32_MIN, NULL, NO_RECORD},
	{"record_soup", SETTLED, LIVES, record_soup, 0, NULL, NO_RECORD},
	{"whole_ring", CHUNKED, LIVES, whole_ring, 0, NULL, NO_RECORD},
	{0}};
