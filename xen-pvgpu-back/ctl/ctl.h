/* SPDX-License-Identifier: MIT */
/*
 * pvgpuctl: its options and subcommands. A subcommand gets what follows its name, already counted;
 * its options are in ctl. It returns an exit status, and has said on stderr why it is not 0.
 */
#ifndef PVGPU_CTL_H
#define PVGPU_CTL_H

#include <stdbool.h>
#include <stdint.h>

#include "xen-pvgpu-back/ctl/wish.h"

enum {
	EXIT_DONE,
	EXIT_REFUSED,
	EXIT_USAGE,
	EXIT_NOT_THERE,
	EXIT_TIMEOUT,
};

struct ctl {
	const char *run_dir, *config_dir;
	bool local, json, watch, force, no_wait, persistent, all, has_id;
	uint32_t id;
	double limit_s;
	struct wish wish; /* of attach; its uuid also names a vGPU */
};
extern struct ctl ctl;

/* All of the program; main() in a file of its own, so that tests have this. */
int ctl_main(int argc, char **argv);

int ctl_fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Over pvgpud's admin socket. */
int local_list(int argc, char **argv);
int local_show(int argc, char **argv);
int local_set(int argc, char **argv);
int local_pardon(int argc, char **argv);
int local_tree(int argc, char **argv);
int local_read(int argc, char **argv);
int local_write(int argc, char **argv);
int local_wait(int argc, char **argv);

/* Over xenstore, in dom0. */
int xen_attach(int argc, char **argv);
int xen_detach(int argc, char **argv);
int xen_list(int argc, char **argv);
int xen_show(int argc, char **argv);
int xen_set(int argc, char **argv);
int xen_pardon(int argc, char **argv);

#endif
