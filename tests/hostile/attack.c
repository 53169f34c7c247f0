/* SPDX-License-Identifier: MIT */
/*
 * One attack by a hostile guest on a vGPU's socket:
 *
 *   attack --list                     names and expected outcomes
 *   attack SOCKET NAME [SEED]         run one; 0 when the outcome is the expected one
 *
 * ATTACK_TAME=1: all but the attack itself, which its test must notice.
 *
 * The last line on stdout is JSON: the session's outcome, which the test compares with the
 * backend's.
 */
#include "tests/hostile/attack.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIMIT_S 30

static const struct attack *const tables[] = {attacks_open,   attacks_ring,   attacks_race,
					      attacks_handle, attacks_memory, attacks_chunk,
					      attacks_image,  attacks_flood,  attacks_kernel,
					      attacks_soup,   attacks_cublas, attacks_cublaslt};
static const char *const outcomes[] = {"ends", "lives", "either", "leaves", "none"};

extern const char ptx_fault[];

int attack_arg;
static unsigned int acts_before;
static struct guest guest = {.ring_fd = -1, .to_worker = -1, .to_guest = -1, .sock = -1};
static const struct attack *attack;

static void list(void)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct attack *a = tables[i]; a->name; a++)
			printf("%s %s\n", a->name, outcomes[a->outcome]);
}

static const struct attack *find(const char *name)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct attack *a = tables[i]; a->name; a++)
			if (!strcmp(a->name, name))
				return a;
	die("%s: no such attack", name);
}

static void set_up(struct guest *g, enum stage stage)
{
	if (stage >= OPENED)
		guest_open(g);
	if (stage >= SAID_HELLO)
		guest_hello(g);
	if (stage >= SETTLED)
		guest_windows(g);
	if (stage >= CONTEXT)
		guest_ctx(g);
	if (stage >= MEMORY)
		guest_memory(g);
	if (stage >= KERNELS)
		guest_module(g, ptx_fault);
}

static bool is_set(const char *name)
{
	return getenv(name) && !strcmp(getenv(name), "1");
}

/* Compare the outcome with the expected one; returns the backend's reason from the ring page. */
static const char *judge(struct guest *g, enum outcome want)
{
	/* Of a tame one no end will come. */
	const unsigned int wait = want == ENDS && !is_set("ATTACK_TAME") ? STEP_LIMIT_S * 1000 : 0;
	const unsigned int checks = attack_checks;
	bool over;

	if (want == LEAVES || want == NONE)
		return want == LEAVES ? "left" : "none";
	over = guest_wait_end(g, wait);
	if (!over && want == EITHER)
		over = !guest_answers(g);
	else if (!over && want == LIVES)
		WANT(guest_answers(g), "the session does not answer any more");
	if (over) {
		/* The hang-up may come before the status word. */
		WANT(guest_wait_word(g), "the worker went without a word");
		WANT(g->page->text[0], "the session ended without a reason");
		WANT(want != LIVES, "the session was ended: %.119s", g->page->text);
	} else {
		WANT(want != ENDS, "the session goes on");
	}
	attack_checks = checks; /* of the attack itself */
	return over ? "ended" : "lives";
}

static void report(const struct attack *a, const struct guest *g, const char *came,
		   unsigned int acts)
{
	char text[120] = "";
	uint32_t reason = 0;

	if (g->page) {
		memcpy(text, g->page->text, sizeof(text) - 1);
		reason = g->page->reason;
	}
	for (char *c = text; *c; c++)
		if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ')
			*c = '?';
	printf("{\"attack\": \"%s\", \"session\": %u, \"outcome\": \"%s\", \"cause\": %u, "
	       "\"text\": \"%s\", \"checks\": %u, \"acts\": %u}\n",
	       a->name, g->session, came, reason, text, attack_checks, acts);
	fflush(stdout);
}

void attack_leave(void)
{
	report(attack, &guest, "left", guest_acts - acts_before + 1);
	_exit(attack_wrongs ? 1 : 0);
}

int main(int argc, char **argv)
{
	struct guest *const g = &guest;
	const struct attack *a;
	unsigned int acts;

	if (argc == 2 && !strcmp(argv[1], "--list")) {
		list();
		return 0;
	}
	if (argc != 3 && argc != 4)
		die("usage: attack --list | attack SOCKET NAME [SEED]");
	a = attack = find(argv[2]);
	if (argc == 4)
		attack_seed = (uint32_t)strtoul(argv[3], NULL, 0);
	for (const char *c = a->name; *c; c++)
		attack_seed = attack_seed * 31 + (unsigned char)*c;
	attack_seed |= 1;
	signal(SIGPIPE, SIG_IGN);
	alarm(LIMIT_S);
	attack_arg = a->arg;
	g->path = argv[1];
	set_up(g, a->stage);
	/* Reported before the attack, too: an attacker may end itself. */
	report(a, g, "left", 0);
	acts_before = guest_acts;
	if (!is_set("ATTACK_TAME"))
		a->run(g);
	acts = guest_acts - acts_before;
	report(a, g, judge(g, a->outcome), acts);
	return attack_wrongs ? 1 : 0;
}
