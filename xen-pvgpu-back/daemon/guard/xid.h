/* SPDX-License-Identifier: MIT */
/*
 * The action for an Xid, NVIDIA's number for an error of the GPU or its driver. After NVIDIA's
 * catalogue of Xids and the practice of orchestrators: most Xids are an application's fault and no
 * reason to retire a GPU.
 */
#ifndef PVGPU_XID_H
#define PVGPU_XID_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pool;

enum xid_action {
	XID_IGNORE, /* no damage */
	XID_APP,    /* the process that met it ends; others are not affected */
	XID_FOLLOW, /* another Xid tells the cause */
	XID_WATCH,  /* no damage yet, but an operator should know */
	XID_CHECK,  /* a canary finds out whether the GPU still works */
	XID_KILL,   /* end the process that met it, if known, then as XID_CHECK */
	XID_RESET,  /* the GPU must be reset before it is used again */
	XID_REBOOT, /* the machine must be rebooted */
	XID_ACTIONS
};

struct xid {
	uint32_t number;
	enum xid_action action;
	const char *what;
};

/* Never NULL: an unknown Xid has number 0 and action XID_CHECK. */
const struct xid *xid_find(uint32_t number);
/* An error of the GPU itself, which no program of a guest can cause. */
bool xid_is_of_gpu(const struct xid *x);
/* A text for the log, to follow the description. */
const char *xid_advice(enum xid_action action);

/* faults.c: the driver reports an Xid of the pool's GPU, caused by process pid; 0: not known. */
void xid_seen(struct pool *p, uint32_t number, pid_t pid);

#endif
