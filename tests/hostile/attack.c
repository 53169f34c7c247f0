/* SPDX-License-Identifier: MIT */
/*
 * One attack by a hostile guest on a vGPU's socket:
 *
 *   attack --list                     names and expected outcomes
 *   attack SOCKET NAME [SEED]         run one; 0 when the outcome is the expected one
 *
 * The last line on stdout is JSON: the session's outcome, which the test compares with the
 * backend's.
 */
#include "tests/hostile/attack.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIMIT_S 30

static const struct attack *const tables[] = {
	attacks_open,  attacks_ring,  attacks_race,  attacks_handle, attacks_memory,
	attacks_chunk, attacks_image, attacks_flood, attacks_kernel, attacks_soup};
static const char *const outcomes[] = {"ends", "lives", "either", "leaves", "none"};

extern const char ptx_fault[];

int attack_arg;
static unsigned int wrong;
static uint32_t state = 1;

void attack_wrong(const char *file, int line, const char *format, ...)
{
	const char *slash = strrchr(file, '/');
	va_list args;

	if (wrong++ > 20)
		return;
	fprintf(stderr, "%s:%d: ", slash ? slash + 1 : file, line);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

uint32_t attack_random(void)
{
	/* xorshift32 */
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

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

/* Compare the outcome with the expected one; returns the backend's reason from the ring page. */
static const char *judge(struct guest *g, enum outcome want)
{
	const unsigned int wait = want == ENDS ? STEP_LIMIT_S * 1000 : 0;
	bool over;

	if (want == LEAVES || want == NONE)
		return want == LEAVES ? "left" : "none";
	over = guest_wait_end(g, wait);
	if (!over && want == EITHER)
		over = !guest_answers(g);
	else if (!over && want == LIVES)
		WANT(guest_answers(g), "the session does not answer any more");
	if (over) {
		/* The hang-up may come shortly before the status word. */
		WANT(guest_wait_end(g, 1000) &&
			     pvgpu_load_acquire(&g->page->status) == PVGPU_RING_ENDED,
		     "the worker went without a word");
		WANT(g->page->text[0], "the session ended without a reason");
		WANT(want != LIVES, "the session was ended: %.119s", g->page->text);
	} else {
		WANT(want != ENDS, "the session goes on");
	}
	return over ? "ended" : "lives";
}

static void report(const struct attack *a, const struct guest *g, const char *came)
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
	       "\"text\": \"%s\"}\n",
	       a->name, g->session, came, reason, text);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static struct guest g = {.ring_fd = -1, .to_worker = -1, .to_guest = -1, .sock = -1};
	const struct attack *a;

	if (argc == 2 && !strcmp(argv[1], "--list")) {
		list();
		return 0;
	}
	if (argc != 3 && argc != 4)
		die("usage: attack --list | attack SOCKET NAME [SEED]");
	a = find(argv[2]);
	if (argc == 4)
		state = (uint32_t)strtoul(argv[3], NULL, 0);
	for (const char *c = a->name; *c; c++)
		state = state * 31 + (unsigned char)*c;
	state |= 1;
	signal(SIGPIPE, SIG_IGN);
	alarm(LIMIT_S);
	attack_arg = a->arg;
	g.path = argv[1];
	set_up(&g, a->stage);
	/* Reported before the attack, too: an attacker may end itself. */
	report(a, &g, "left");
	a->run(&g);
	report(a, &g, judge(&g, a->outcome));
	return wrong ? 1 : 0;
}
