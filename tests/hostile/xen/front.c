/* SPDX-License-Identifier: MIT */
/* The handshake in xenstore, and the frontend's end of the control ring. */
#include "tests/hostile/xen/front.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP_MS 5u /* between two looks */

static void read_number(const char *path, uint32_t *n)
{
	char text[32];

	if (store_read(path, text, sizeof(text)) < 0)
		die("xenstore has no %s", path);
	*n = (uint32_t)strtoul(text, NULL, 10);
}

void front_init(struct front *f, uint32_t number, uint32_t other)
{
	char path[160];

	*f = (struct front){.other = other, .ids.id = number};
	store_open();
	pages_open();
	read_number("domid", &f->self);
	f->ids.fe = f->self;
	pvgpu_tree_path(&pvgpu_trees[PVGPU_TREE_FRONTEND], &f->ids, NULL, f->front_dir,
			sizeof(f->front_dir));
	front_key(f, PVGPU_KEY_FRONTEND_BACKEND_ID, path);
	read_number(path, &f->back);
	f->ids.be = f->back;
	pvgpu_tree_path(&pvgpu_trees[PVGPU_TREE_BACKEND], &f->ids, NULL, f->back_dir,
			sizeof(f->back_dir));
	/* Numbers of sessions are not soon used again, not by another run either. */
	f->next_session = (uint32_t)(now_ms() & 0x3fffffffu) << 1;
}

/* ---- keys ---- */

void front_key(struct front *f, enum pvgpu_key_id key, char path[160])
{
	snprintf(path, 160, "%s/%s", f->front_dir, pvgpu_keys[key].name);
}

static int put_key(struct front *f, uint32_t tx, enum pvgpu_key_id key, const char *value)
{
	char path[160];

	guest_acts++;
	front_key(f, key, path);
	return store_write(tx, path, value, strlen(value));
}

void front_put_key(struct front *f, enum pvgpu_key_id key, const char *value)
{
	const int r = put_key(f, 0, key, value);

	if (r < 0)
		die("writing %s: %s", pvgpu_keys[key].name, strerror(-r));
}

void front_set_state(struct front *f, enum pvgpu_state state)
{
	char text[8];

	pvgpu_frontend_state_format(state, text, sizeof(text), NULL);
	front_put_key(f, PVGPU_KEY_FRONTEND_STATE, text);
}

enum pvgpu_state front_back_state(struct front *f)
{
	enum pvgpu_state state = PVGPU_STATE_UNKNOWN;
	char path[160], text[32];
	int len;

	snprintf(path, sizeof(path), "%s/%s", f->back_dir,
		 pvgpu_keys[PVGPU_KEY_BACKEND_STATE].name);
	len = store_read(path, text, sizeof(text));
	if (len > 0)
		pvgpu_backend_state_parse(text, (size_t)len, &state, NULL);
	return state;
}

enum pvgpu_state front_wait_state(struct front *f, uint32_t set)
{
	const uint64_t until = now_ms() + WAIT_MS;
	enum pvgpu_state s = front_back_state(f);

	while (!(set & 1u << s)) {
		if (now_ms() > until)
			die("the backend stays in state %d", s);
		nap_ms(20 * STEP_MS);
		s = front_back_state(f);
	}
	return s;
}

/* ---- the handshake ---- */

void front_begin(struct front *f)
{
	/* What an earlier run has left is closed by this. */
	front_set_state(f, PVGPU_STATE_INITIALISING);
	front_wait_state(f, STATE_BIT(INITWAIT));
}

void front_prepare(struct front *f)
{
	pages_grant(&f->page, f->back, 1, 0);
	pvgpu_ctl_init_front(&f->ctl, (void *)f->page.at);
	f->port = port_make(f->back);
}

/* Instead of the value of `key` another one, or none. */
static int offer_key(struct front *f, uint32_t tx, enum pvgpu_key_id key, const char *value,
		     enum pvgpu_key_id other, const char *instead)
{
	char path[160];
	int r;

	if (key != other)
		return put_key(f, tx, key, value);
	if (instead)
		return put_key(f, tx, key, instead);
	front_key(f, key, path);
	r = store_remove(tx, path);
	return r == -ENOENT ? 0 : r;
}

void front_offer_with(struct front *f, enum pvgpu_key_id key, const char *value)
{
	const struct pvgpu_refs refs = {.n = 1, .ref = {f->page.ref[0]}};
	char ref[64], port[16], version[16], state[8];
	uint32_t tx;
	int r;

	pvgpu_frontend_ring_ref_format(&refs, ref, sizeof(ref), NULL);
	pvgpu_frontend_event_channel_format(f->port, port, sizeof(port), NULL);
	pvgpu_frontend_protocol_version_format(PVGPU_PROTOCOL_VERSION, version, sizeof(version),
					       NULL);
	pvgpu_frontend_state_format(PVGPU_STATE_INITIALISED, state, sizeof(state), NULL);
	do {
		tx = store_begin();
		r = offer_key(f, tx, PVGPU_KEY_FRONTEND_RING_REF, ref, key, value);
		r |= offer_key(f, tx, PVGPU_KEY_FRONTEND_EVENT_CHANNEL, port, key, value);
		r |= offer_key(f, tx, PVGPU_KEY_FRONTEND_PROTOCOL_VERSION, version, key, value);
		r |= offer_key(f, tx, PVGPU_KEY_FRONTEND_FEATURES, "arena-grow", key, value);
		r |= offer_key(f, tx, PVGPU_KEY_FRONTEND_STATE, state, key, value);
		if (r)
			die("writing the keys of the handshake failed");
	} while (!store_end(tx));
}

void front_offer(struct front *f)
{
	front_offer_with(f, (enum pvgpu_key_id)PVGPU_KEYS, NULL);
}

void front_connect(struct front *f)
{
	front_wait_state(f, STATE_BIT(CONNECTED));
	front_set_state(f, PVGPU_STATE_CONNECTED);
}

static void forget(struct front *f)
{
	for (unsigned int i = 0; i < SEATS; i++)
		if (f->seat[i])
			seat_free(f->seat[i]);
	pages_end(&f->page);
	port_end(f->port);
	f->port = 0;
	memset(f->ask, 0, sizeof(f->ask));
}

void front_close(struct front *f)
{
	front_set_state(f, PVGPU_STATE_CLOSING);
	front_wait_state(f, STATE_BIT(CLOSED));
	front_set_state(f, PVGPU_STATE_CLOSED);
	forget(f);
}

/* ---- the control ring ---- */

bool front_put(struct front *f, const struct pvgpu_ctl_msg *m)
{
	const uint64_t until = now_ms() + WAIT_MS;
	int r;

	guest_acts++;
	while ((r = pvgpu_ctl_put(&f->ctl, m)) == -EAGAIN) {
		front_take(f);
		if (now_ms() > until)
			return false;
		nap_ms(STEP_MS);
	}
	port_ring(f->port);
	return r == 0;
}

static struct ask *free_ask(struct front *f)
{
	for (unsigned int i = 0; i < ASKS; i++)
		if (!f->ask[i].used)
			return &f->ask[i];
	die("more than %u requests without an answer", ASKS);
}

static void post(struct front *f, struct ask *a)
{
	a->m.id = ++f->next_id;
	a->index = f->ctl.prod;
	if (!front_put(f, &a->m))
		die("no room on the control ring");
}

struct ask *front_send(struct front *f, struct pvgpu_ctl_msg *m)
{
	struct ask *a = free_ask(f);

	*a = (struct ask){.used = true, .m = *m};
	post(f, a);
	return a;
}

static void send_again(struct front *f, uint32_t before)
{
	f->again++;
	for (unsigned int i = 0; i < ASKS; i++) {
		struct ask *a = &f->ask[i];

		if (a->used && !a->answered && (int32_t)(a->index - before) < 0)
			post(f, a);
	}
}

static void take_end(struct front *f, const struct pvgpu_ctl_msg *m)
{
	for (unsigned int i = 0; i < SEATS; i++) {
		struct seat *s = f->seat[i];

		if (!s || s->number != m->session)
			continue;
		s->ended = true;
		pvgpu_store_release(&s->g.page->status, (uint32_t)PVGPU_RING_ENDED);
		snprintf(f->said, sizeof(f->said), "%.*s", (int)sizeof(m->u.ended.text),
			 m->u.ended.text);
	}
}

static void take_answer(struct front *f, const struct pvgpu_ctl_msg *m)
{
	for (unsigned int i = 0; i < ASKS; i++) {
		struct ask *a = &f->ask[i];

		if (!a->used || a->answered || a->m.id != m->id)
			continue;
		if (m->op != a->m.op || m->session != a->m.session)
			die("an answer about op %#x of session %u to op %#x of session %u", m->op,
			    m->session, a->m.op, a->m.session);
		a->answer = *m;
		a->answered = true;
		if (m->error)
			snprintf(f->said, sizeof(f->said), "%.*s", (int)sizeof(m->u.text),
				 m->u.text);
	}
}

void front_take(struct front *f)
{
	struct pvgpu_ctl_msg m;
	int r;

	while (f->page.n && (r = pvgpu_ctl_peek(&f->ctl, 0, &m)) != 0) {
		if (r < 0)
			die("pvgpud's index of answers is impossible");
		if (pvgpu_ctl_release(&f->ctl, 1))
			port_ring(f->port);
		if (m.id)
			take_answer(f, &m);
		else if (m.op == PVGPU_CTL_AGAIN)
			send_again(f, m.u.again.before);
		else if (m.op == PVGPU_CTL_SESSION_ENDED)
			take_end(f, &m);
	}
}

int front_wait_for(struct front *f, struct ask *a, unsigned int ms)
{
	const uint64_t until = now_ms() + ms;

	for (front_take(f); !a->answered; front_take(f)) {
		if (now_ms() > until)
			return -1;
		nap_ms(STEP_MS);
	}
	a->used = false;
	return a->answer.error;
}

int front_wait(struct front *f, struct ask *a)
{
	const int r = front_wait_for(f, a, WAIT_MS);

	if (r < 0)
		die("no answer to op %#x of session %u", a->m.op, a->m.session);
	return r;
}

int front_call(struct front *f, struct pvgpu_ctl_msg *m)
{
	return front_wait(f, front_send(f, m));
}
