/* SPDX-License-Identifier: MIT */
/*
 * A cgroup (v2) for each worker, in which it is born: its memory, its processes, its part of the
 * processors; it is ended as a whole. Below pvgpud's own cgroup, which systemd has given away
 * (Delegate=), or another directory.
 *
 * Not one for each vGPU with those below it: a spare worker belongs to no vGPU yet, and to move a
 * process later takes 10 ms in which no process of the machine forks. The sessions of a vGPU share
 * its weight instead, and the sum of their memory is looked at (host_memory.h).
 */
#ifndef PVGPU_DAEMON_CGROUP_H
#define PVGPU_DAEMON_CGROUP_H

#include "xen-pvgpu-back/daemon/core/daemon.h"

/* Logs which of it is there. Without cgroups the other functions do nothing. 0, or -1: the
 * configuration names a directory, and it cannot be used. */
int cgroup_start(struct daemon *d);
/* After adoption: cgroups of dead workers are removed, and workers are looked at from now on. */
void cgroup_run(struct daemon *d);
void cgroup_stop(struct daemon *d);
/* For keys: "on", "on, without memory", "absent: WHY". */
const char *cgroup_state(const struct daemon *d);

/* For a worker that will be started; 0 or -errno. */
int cgroup_make(struct worker *w);
/* That of a worker of a former pvgpud, if it is in one. */
void cgroup_adopt(struct worker *w);
/* It was ended for its memory limit: true, with the reason. Its own limit is a fault. */
bool cgroup_was_full(struct worker *w, char *reason, size_t cap);
/* It is dead. Processes that it left behind are ended. */
void cgroup_gone(struct worker *w);
/* It has a session now: its part of its vGPU's weight. Those of other sessions follow within 2 s,
 * so that the start of a session costs the same whatever their number is. */
void cgroup_weigh(struct worker *w);

/* For the check of the sandbox: a directory; -1: none. */
int cgroup_for_check(struct daemon *d);
void cgroup_check_over(struct daemon *d, int dir);

#endif
