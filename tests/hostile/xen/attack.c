/* SPDX-License-Identifier: MIT */
/*
 * One attack by a hostile frontend on a vGPU, from a guest's user space:
 *
 *   lab-frontend --list                     NAME OUTCOME REASON of each
 *   lab-frontend OTHER NUMBER NAME [SEED]   run one on vGPU NUMBER; OTHER is a domain that is not
 *                                           the backend
 *
 * ATTACK_TAME=1: all but the attack itself, which its test must notice. "scene WHAT" on standard
 * output asks for something that only dom0 can do, and a line on standard input says that it is
 * done. The last line is JSON: what came of it.
 */
#include "tests/hostile/xen/attack.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct attack *const tables[] = {attacks_state, attacks_key,   attacks_ring,
					      attacks_grant, attacks_chunk, attacks_session};
static const char *const outcomes[] = {"lives", "closes", "leaves", "hides"};

const struct attack *attack;
struct seat *attack_seat;
static unsigned int acts_before;
static bool tame;
static char texts[1024];

void attack_said(struct front *f)
{
	const size_t n = strlen(texts);

	if (f->said[0])
		snprintf(texts + n, sizeof(texts) - n, "%s; ", f->said);
	f->said[0] = '\0';
}

void attack_scene(const char *what)
{
	char line[16];

	printf("scene %s\n", what);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		die("the scenario has gone");
}

struct during {
	void (*step)(struct front *f);
	struct front *f;
	atomic_bool over;
};

static void *go_on(void *arg)
{
	struct during *d = arg;

	while (!atomic_load(&d->over))
		d->step(d->f);
	return NULL;
}

void attack_scene_during(const char *what, void (*step)(struct front *f), struct front *f)
{
	struct during d = {.step = step, .f = f};
	pthread_t thread;

	if (pthread_create(&thread, NULL, go_on, &d))
		die("no thread");
	attack_scene(what);
	atomic_store(&d.over, true);
	pthread_join(thread, NULL);
}

static void list(void)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct attack *a = tables[i]; a->name; a++)
			printf("%s %s %s\n", a->name, outcomes[a->outcome],
			       a->reason ? a->reason : "none");
}

static const struct attack *find(const char *name)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct attack *a = tables[i]; a->name; a++)
			if (!strcmp(a->name, name))
				return a;
	die("%s: no such attack", name);
}

static void open_session(struct front *f)
{
	int r;

	attack_seat = seat_make(f);
	r = seat_open(attack_seat);
	if (r)
		die("no session: error %d, %s", r, f->said);
}

static void set_up(struct front *f, enum stage stage)
{
	int r;

	if (stage >= BEGUN)
		front_begin(f);
	if (stage >= PREPARED)
		front_prepare(f);
	if (stage >= OFFERED)
		front_offer(f);
	if (stage >= CONNECTED)
		front_connect(f);
	if (stage >= OPENED)
		open_session(f);
	if (stage >= SETTLED)
		seat_settle(attack_seat);
	r = stage >= CHUNKED ? seat_chunk(attack_seat, CHUNK_PAGES) : 0;
	if (r)
		die("no chunk: error %d, %s", r, f->said);
}

/* Another session of this connection must be served. */
static void serve_one(struct front *f)
{
	struct seat *s = seat_make(f);
	const int r = seat_open(s);

	WANT(!r, "no new session: error %d, %s", r, f->said);
	if (!r) {
		seat_settle(s);
		WANT(seat_answers(s), "a new session does not answer");
		WANT(seat_close(s) == 0, "a new session is not closed");
	}
	seat_free(s);
}

static void judge(struct front *f, enum outcome want)
{
	const unsigned int checks = attack_checks;

	if (want == HIDES)
		want = f->back ? CLOSES : LIVES;
	if (want == CLOSES && tame) {
		WANT(front_back_state(f) > PVGPU_STATE_CONNECTED, "the vGPU was not closed");
		return;
	}
	if (want == LEAVES)
		return;
	if (want == CLOSES)
		front_wait_state(f, STATE_BIT(CLOSING) | STATE_BIT(CLOSED));
	else
		serve_one(f);
	front_close(f);
	attack_checks = checks; /* of the attack itself */
}

static void report(unsigned int acts)
{
	for (char *c = texts; *c; c++)
		if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ')
			*c = '?';
	printf("{\"attack\": \"%s\", \"said\": \"%s\", \"checks\": %u, \"acts\": %u}\n",
	       attack->name, texts, attack_checks, acts);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static struct front front;
	unsigned int acts;

	if (argc == 2 && !strcmp(argv[1], "--list")) {
		list();
		return 0;
	}
	if (argc != 4 && argc != 5)
		die("usage: lab-frontend --list | lab-frontend OTHER NUMBER NAME [SEED]");
	attack = find(argv[3]);
	tame = getenv("ATTACK_TAME") && !strcmp(getenv("ATTACK_TAME"), "1");
	attack_seed = argc == 5 ? (uint32_t)strtoul(argv[4], NULL, 0) | 1 : 1;
	front_init(&front, (uint32_t)atoi(argv[2]), (uint32_t)atoi(argv[1]));
	set_up(&front, attack->stage);
	acts_before = guest_acts;
	if (!tame)
		attack->run(&front);
	acts = guest_acts - acts_before;
	judge(&front, attack->outcome);
	report(acts);
	return attack_wrongs ? 1 : 0;
}
