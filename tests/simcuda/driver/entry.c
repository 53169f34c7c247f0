/* SPDX-License-Identifier: MIT */
/*
 * The library's entry points by name, and those that SIMCUDA_FAULT breaks: crash:CALL, hang:CALL,
 * absent:CALL. The library changes its own table of dynamic symbols in this process while it is
 * loaded: a later lookup of the symbol finds a function that crashes or hangs, or fails. So every
 * symbol can be broken, also before cuInit and where a program tests whether a symbol exists. A
 * program that is linked to the library and bound at its start (-z now, LD_BIND_NOW) has looked it
 * up before and is not affected.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/simcuda/driver/sim.h"

/* Declared under other names, as the table has all kinds of prototypes. */
#define S(symbol) extern void sym_##symbol(void) __asm__(#symbol);
#include "tests/simcuda/driver/symbols.h"
#undef S
/* Sorted, as symbols.h is. */
static struct entry {
	const char *name;
	sim_fn fn; /* NULL: broken as absent */
	bool broken;
} entries[] = {
#define S(symbol) {#symbol, sym_##symbol, false},
#include "tests/simcuda/driver/symbols.h"
#undef S
};

sim_fn entry_find(const char *name)
{
	size_t lo = 0, hi = ARRAY_LEN(entries);

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int c = strcmp(name, entries[mid].name);

		if (!c)
			return entries[mid].fn;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

/* Like a write to an unmapped address, but without a report by valgrind. Works where the signal is
 * blocked, and is repeated when a handler returns. */
static void crash(void)
{
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, SIGSEGV);
	pthread_sigmask(SIG_UNBLOCK, &one, NULL);
	for (;;)
		raise(SIGSEGV);
}

/* Blocks until the process ends. */
static void hang(void)
{
	struct timespec day = {86400, 0};

	for (;;)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &day, NULL);
}

/* Make lookups of the symbol find `to`, or fail where `to` is NULL. */
static bool redirect(const struct entry *e, sim_fn to)
{
	uintptr_t at, mask = ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
	ElfW(Sym) *sym = NULL;
	void *from, *target;
	size_t len;
	Dl_info info;

	memcpy(&from, &e->fn, sizeof(from));
	memcpy(&target, &to, sizeof(target));
	if (!dladdr1(from, &info, (void **)&sym, RTLD_DL_SYMENT) || !sym || !info.dli_sname ||
	    strcmp(info.dli_sname, e->name))
		return false;
	at = (uintptr_t)sym & mask;
	len = (uintptr_t)(sym + 1) - at;
	if (mprotect((void *)at, len, PROT_READ | PROT_WRITE) < 0)
		return false;
	if (target) {
		sym->st_value += (uintptr_t)target - (uintptr_t)from;
	} else {
		sym->st_value = 0;
		sym->st_shndx = SHN_UNDEF;
	}
	return mprotect((void *)at, len, PROT_READ) == 0;
}

bool entry_break(const char *call, enum entry_fault how)
{
	sim_fn fn = how == ENTRY_CRASHES ? crash : how == ENTRY_HANGS ? hang : NULL;
	bool found = false;

	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		struct entry *e = &entries[i];

		if (!fault_is_call(call, e->name))
			continue;
		found = true;
		if (e->broken)
			continue;
		if (!redirect(e, fn)) {
			fprintf(stderr, "simcuda: the symbol %s cannot be changed: %s\n", e->name,
				strerror(errno));
			_exit(2);
		}
		e->fn = fn;
		e->broken = true;
	}
	return found;
}

__attribute__((constructor)) static void at_load(void)
{
	fault_read_entries();
}
