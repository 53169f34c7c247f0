/* SPDX-License-Identifier: MIT */
/*
 * pvgpuctl: its options and subcommands. A subcommand gets the arguments after its name, in a
 * checked number; its options are in ctl. It returns an exit status, and prints the reason on
 * stderr when that is not 0.
 */
#ifndef PVGPU_CTL_H
#define PVGPU_CTL_H

#include <stdbool.h>
#include <stdint.h>

#include "xen-pvgpu-back/toolstack/vgpu_spec.h"

enum {
	EXIT_DONE,
	EXIT_REFUSED,
	EXIT_USAGE,
	EXIT_NOT_THERE,
	EXIT_TIMEOUT,
};

struct ctl {
	const char *run_dir;
	bool has_id;
	uint32_t id;
	double limit_s, interval_s, end_after_s;
	bool ends;         /* end_after_s was given */
	bool limit_is_own; /* the time is for what the subcommand waits for, not for answers alone
			    */
	uint32_t asked;    /* the domain whose pvgpud is asked by its keys, where `by_keys` */
	bool routed, by_keys;
	unsigned int times;    /* 0: not given */
	struct vgpu_spec spec; /* for attach; the uuid also selects a vGPU for other commands */
#define FLAG(member, name, group, what)      bool member;
#define TEXT(member, name, arg, group, what) const char *member;
#include "xen-pvgpu-back/ctl/core/cli.def"
};
extern struct ctl ctl;

/* The whole program. main() is in a file of its own, so that tests can call this. */
int ctl_main(int argc, char **argv);

/* Seconds in which an answer of pvgpud must come. */
double ctl_answer_s(void);

/* The exit status of a negative errno: of a request that cannot be (EINVAL), of a thing that is
 * missing, of a refusal. */
int ctl_status(int err);

int ctl_fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The cases of completion.c: "" has the subcommands, each of these its options. */
void ctl_complete(void);

/* The subcommands' functions. */
#define XEN_COMMAND(name, args, what, min, max, groups, xen)     int xen(int argc, char **argv);
#define LOCAL_COMMAND(name, args, what, min, max, groups, local) int local(int argc, char **argv);
#define COMMAND(name, args, what, min, max, groups, xen, local)                                    \
	int xen(int argc, char **argv);                                                            \
	int local(int argc, char **argv);
#include "xen-pvgpu-back/ctl/core/cli.def"

#endif
