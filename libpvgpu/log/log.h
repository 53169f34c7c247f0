/* SPDX-License-Identifier: MIT */
/*
 * PVGPU_LOG=calls: a line for each call of a public function. Public functions are made by
 * gen/public.py: each looks at pvgpu_log_on and goes on to the function proper, whose symbol has
 * the prefix pvgpu_, or by way of log/entry.c. Off, that is a comparison and a jump.
 */
#ifndef PVGPU_LOG_LOG_H
#define PVGPU_LOG_LOG_H

#include <stdint.h>

/*
 * A public function. params: "name:kind" for each parameter, with a blank between. Kinds: u, i 32
 * bits; q 64 bits, shown as a number; x an address or a handle; s a string; I, Q, X a pointer to
 * one of these that the call writes to; not shown: f a number in a vector register, m a structure
 * of 64 bytes on the stack.
 */
struct pvgpu_log_call {
	const char *name;
	void (*fn)(void);
	const char *params;
	uint32_t stack;   /* words of arguments on the caller's stack */
	uint32_t pointer; /* it returns a pointer, not a status */
};

/* Of the library that this is linked into: its calls by number, and what its statuses are called
 * (NULL where that one has no name). */
extern const struct pvgpu_log_call pvgpu_log_calls[];
const char *pvgpu_log_status(int status);

extern unsigned char pvgpu_log_on;

/* A call's arguments, as entry.c keeps them. */
struct pvgpu_log_entry {
	uint64_t args[6];      /* registers of integer arguments */
	const uint64_t *stack; /* further arguments */
	uint64_t number;
	uint64_t begin_ns;
};

void pvgpu_log_begin(struct pvgpu_log_entry *e);
void pvgpu_log_end(const struct pvgpu_log_entry *e, uint64_t result);

#endif
