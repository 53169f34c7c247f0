/* SPDX-License-Identifier: MIT */
/*
 * Filters of system calls, by libseccomp. What answers EPERM unless it is allowed lets a library
 * that tries something harmless go on without it; a call that none of our processes ever makes and
 * that only serves to get out ends the process, so that an attempt is seen.
 *
 * Each returns 0 or a negative errno.
 */
#ifndef PVGPU_CONFINE_CALLS_H
#define PVGPU_CONFINE_CALLS_H

#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>

struct sock_fprog;

/* What all our processes may do (files that are open, memory, threads, signals to themselves), and
 * what ends them. */
int calls_common(scmp_filter_ctx f);
/* An action of a call where it is known here, under up to two conditions. */
int calls_rule(scmp_filter_ctx f, uint32_t action, const char *name, unsigned int n,
	       struct scmp_arg_cmp a, struct scmp_arg_cmp b);
int calls_list(scmp_filter_ctx f, uint32_t action, const char *const *names, size_t n);
/* It is allowed under a condition. */
int calls_when(scmp_filter_ctx f, const char *name, struct scmp_arg_cmp a);
struct scmp_arg_cmp calls_is(unsigned int arg, unsigned int value); /* of an int */
struct scmp_arg_cmp calls_masked(unsigned int arg, uint64_t mask, uint64_t value);
/* The program, in memory of its own. */
int calls_export(scmp_filter_ctx f, struct sock_fprog **out);
/* For all threads; -1 with errno. */
int calls_close(struct sock_fprog *p);

#endif
