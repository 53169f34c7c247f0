/* SPDX-License-Identifier: MIT */
/*
 * Asking a pvgpud in another domain from dom0, by the keys request and answer of its data/pvgpu.
 *
 * That domain is not trusted. It can refuse, be silent, lie about itself; it cannot make an ask
 * last longer than ask_limits says, or take more memory than the longest answer, and what it says
 * has no control characters.
 */
#ifndef PVGPU_CTL_ASK_H
#define PVGPU_CTL_ASK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "xen-pvgpu-back/toolstack/domains.h"

#define ASK_PAGES_MAX 4096u
#define ASK_DEPTH_MAX 12u /* of objects within objects in an answer */

/* Tests have their own. */
extern struct ask_limits {
	const char *lock_dir; /* of the locks by which one pvgpuctl at a time asks a domain */
	/* Until the first page of an answer, and until the last; below 0: ctl_answer_s. */
	double first_s, all_s;
} ask_limits;

/* The answer to a request, which stays the caller's; NULL: the reason is on stderr, the exit status
 * in *status. */
json_t *ask_domain(uint32_t domid, const json_t *req, int *status);

/*
 * The domain to ask without the admin socket: that of --backend, or the only one with a pvgpud that
 * answers. Returns an exit status; with `quiet`, EXIT_NOT_THERE and no message where there is none.
 */
int ask_whom(bool quiet, uint32_t *domid);

/* A domain with a pvgpud that answers. */
struct asked_domain {
	uint32_t domid;
	char name[DOMAIN_NAME]; /* as metrics have it */
};
/* All of them, for free() in any case; with --backend, that one. Returns an exit status; with
 * `quiet`, EXIT_NOT_THERE and no message where there is none. */
int ask_all(bool quiet, struct asked_domain **domains, size_t *n);

/* The text of an answer: NULL if it is no object, too deep, or has control characters. */
json_t *ask_decode(const char *text, size_t len);

#endif
