/* SPDX-License-Identifier: MIT */
/*
 * What an Xid, NVIDIA's number of an error that the GPU or its driver met, asks for. After NVIDIA's
 * catalogue of Xids, and with what orchestrators have learnt: most numbers are an application's
 * fault and no reason to give up a GPU.
 */
#ifndef PVGPU_XID_H
#define PVGPU_XID_H

#include <stdint.h>
#include <sys/types.h>

struct pool;

enum xid_action {
	XID_IGNORE, /* nothing was lost */
	XID_APP,    /* the process that met it must end, and does: nothing else is touched */
	XID_FOLLOW, /* another Xid says what happened */
	XID_WATCH,  /* nothing yet, but an operator should know */
	XID_CHECK,  /* does the GPU still work? A canary says */
	XID_KILL,   /* end the process that met it, if that is known, then as XID_CHECK */
	XID_RESET,  /* the GPU must be reset before it is used again */
	XID_REBOOT, /* so must the machine */
	XID_ACTIONS
};

struct xid {
	uint32_t number;
	enum xid_action action;
	const char *what;
};

/* Never NULL: one that is not known is checked. Its number is 0 then. */
const struct xid *xid_find(uint32_t number);
/* For people, to follow the description. */
const char *xid_advice(enum xid_action action);

/* faults.c: the far end reports one of the pool's GPU, of the process pid; 0: it does not say
 * which. */
void xid_seen(struct pool *p, uint32_t number, pid_t pid);

#endif
