/* SPDX-License-Identifier: MIT */
/* The steps of a connection: stopping at each, leaving at each, beginning anew at each; states that
 * a frontend never has. */
#include "tests/hostile/xen/attack.h"

#include <string.h>

#define FLIPS 200

/* Nothing wrong: the plainest case, end to end. */
static void probe(struct front *f)
{
	struct seat *s = attack_seat;

	WANT(seat_answers(s), "no answer to a command");
	WANT(seat_close(s) == 0, "the session is not closed: %s", f->said);
}

/* Stop here and stay, while the neighbour opens a session. Then leave without another word. */
static void stay(struct front *f)
{
	if (attack->arg)
		front_set_state(f, (enum pvgpu_state)attack->arg);
	attack_scene("neighbour");
	guest_acts++;
	if (attack->stage >= SETTLED)
		WANT(seat_answers(attack_seat), "the session went while its guest did nothing");
}

/* Close in order at this step. */
static void close_here(struct front *f)
{
	front_close(f);
}

/* Begin anew at this step, without closing: as a kernel does that was started anew. */
static void anew(struct front *f)
{
	front_set_state(f, PVGPU_STATE_INITIALISING);
	front_wait_state(f, STATE_BIT(INITWAIT));
}

/* Ask, and leave before the answer. */
static void leave_asking(struct front *f)
{
	const struct seat *s = seat_make(f);
	struct pvgpu_ctl_msg m = seat_open_msg(s);

	front_send(f, &m);
}

static void leave_growing(struct front *f)
{
	struct pvgpu_ctl_msg m;
	struct seat *s = attack_seat;

	pages_grant(&s->chunk, f->back, SET_MAX, 0);
	dir_make(f, &s->chunk_dir, &s->chunk);
	m = seat_chunk_msg(s, PVGPU_CTL_CHUNK_ADD, s->g.arena_base, SET_MAX * (uint64_t)PAGE,
			   s->chunk_dir.ref[0]);
	front_send(f, &m);
}

/* ---- states ---- */

static void put_state(struct front *f, const char *text)
{
	front_put_key(f, PVGPU_KEY_FRONTEND_STATE, text);
}

static void strange_state(struct front *f)
{
	put_state(f, attack->text);
}

static void huge_state(struct front *f)
{
	static char text[1901];

	memset(text, '4', sizeof(text) - 1);
	put_state(f, text);
}

/* A state that is never seen, before the connection, has no effect on it. */
static void strange_start(struct front *f)
{
	static const char *const words[] = {"0", "2", "7", "8", "9", "-1", "4294967295", "x", ""};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		put_state(f, words[i]);
	attack_scene("neighbour");
	front_prepare(f);
	front_offer(f);
	front_connect(f);
}

static void flip(struct front *f)
{
	static unsigned int n;
	const char text[2] = {attack->text[n++ & 1], '\0'};

	put_state(f, text);
}

/* Flips between two states, faster than pvgpud looks. */
static void flips(struct front *f)
{
	for (int i = 0; i < FLIPS; i++)
		flip(f);
	attack_scene_during("neighbour", flip, f);
}

#define CLOSING_NOW "log : Closing$"

const struct attack attacks_state[] = {
	{"probe", SETTLED, LIVES, probe, 0, NULL, "log ended: the guest closed the session"},
	{"stay_nothing", NOTHING, LEAVES, stay, 0, NULL, NULL},
	{"stay_begun", BEGUN, LEAVES, stay, 0, NULL, NULL},
	{"stay_prepared", PREPARED, LEAVES, stay, 0, NULL, NULL},
	{"stay_offered", OFFERED, LEAVES, stay, 0, NULL, NULL},
	{"stay_connected", CONNECTED, LEAVES, stay, 0, NULL, NULL},
	{"stay_opened", OPENED, LEAVES, stay, 0, NULL, NULL},
	{"stay_settled", SETTLED, LEAVES, stay, 0, NULL, NULL},
	{"stay_chunked", CHUNKED, LEAVES, stay, 0, NULL, NULL},
	{"stay_closing", CONNECTED, LEAVES, stay, PVGPU_STATE_CLOSING, NULL, "log : Closed$"},
	{"stay_closed", CONNECTED, LEAVES, stay, PVGPU_STATE_CLOSED, NULL, CLOSING_NOW},
	{"close_connected", CONNECTED, LEAVES, close_here, 0, NULL, CLOSING_NOW},
	{"close_opened", OPENED, LEAVES, close_here, 0, NULL, "log ended: "},
	{"close_settled", SETTLED, LEAVES, close_here, 0, NULL, "log ended: "},
	{"close_chunked", CHUNKED, LEAVES, close_here, 0, NULL, "log ended: "},
	{"anew_begun", BEGUN, LEAVES, anew, 0, NULL, NULL},
	{"anew_prepared", PREPARED, LEAVES, anew, 0, NULL, NULL},
	{"anew_offered", OFFERED, LEAVES, anew, 0, NULL, NULL},
	{"anew_connected", CONNECTED, LEAVES, anew, 0, NULL, "log : InitWait$"},
	{"anew_opened", OPENED, LEAVES, anew, 0, NULL, "log ended: "},
	{"anew_settled", SETTLED, LEAVES, anew, 0, NULL, "log ended: "},
	{"anew_chunked", CHUNKED, LEAVES, anew, 0, NULL, "log ended: "},
	{"leave_asking", CONNECTED, LEAVES, leave_asking, 0, NULL, NULL},
	{"leave_growing", SETTLED, LEAVES, leave_growing, 0, NULL, NULL},
	{"state_0", CONNECTED, CLOSES, strange_state, 0, "0", CLOSING_NOW},
	{"state_2", CONNECTED, CLOSES, strange_state, 0, "2", CLOSING_NOW},
	{"state_7", SETTLED, CLOSES, strange_state, 0, "7", CLOSING_NOW},
	{"state_8", CONNECTED, CLOSES, strange_state, 0, "8", CLOSING_NOW},
	{"state_9", CONNECTED, CLOSES, strange_state, 0, "9", CLOSING_NOW},
	{"state_far", CONNECTED, CLOSES, strange_state, 0, "4294967300", CLOSING_NOW},
	{"state_word", CHUNKED, CLOSES, strange_state, 0, "Connected", CLOSING_NOW},
	{"state_empty", CONNECTED, CLOSES, strange_state, 0, "", CLOSING_NOW},
	{"state_huge", CONNECTED, CLOSES, huge_state, 0, NULL, CLOSING_NOW},
	{"state_strange_start", BEGUN, LIVES, strange_start, 0, NULL, NULL},
	{"flips_1_3", PREPARED, LEAVES, flips, 0, "13", NULL},
	{"flips_1_4", CONNECTED, LEAVES, flips, 0, "14", NULL},
	{"flips_4_5", SETTLED, LEAVES, flips, 0, "45", NULL},
	{0}};
