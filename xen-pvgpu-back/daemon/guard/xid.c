/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/guard/xid.h"

#include <stddef.h>

/* By number. */
static const struct xid table[] = {
	{13, XID_APP, "graphics engine exception"},
	{31, XID_APP, "memory page fault"},
	{43, XID_IGNORE, "a channel was stopped"},
	{45, XID_FOLLOW, "channels were removed"},
	{46, XID_RESET, "the GPU stopped processing"},
	/* On recent GPUs 94 or 95 follows and tells whether the error was contained. */
	{48, XID_CHECK, "double-bit memory error"},
	{62, XID_RESET, "internal micro-controller halt"},
	{63, XID_IGNORE, "a memory row was remapped"},
	{64, XID_RESET, "a memory row could not be remapped"},
	{68, XID_APP, "video processor exception"},
	{74, XID_CHECK, "NVLink error"},
	{79, XID_REBOOT, "the GPU has fallen off the bus"},
	{92, XID_WATCH, "many single-bit memory errors"},
	{94, XID_APP, "contained memory error"},
	{95, XID_RESET, "uncontained memory error"},
	/* NVIDIA's catalogue asks for a reset, orchestrators go on: the canary decides. */
	{109, XID_KILL, "context switch timeout"},
	{119, XID_RESET, "GSP timeout"},
	{120, XID_RESET, "GSP error"},
	{140, XID_RESET, "unrecovered memory error"},
	{143, XID_RESET, "GPU initialisation error"},
	{154, XID_CHECK, "the driver's recovery action has changed"},
	{158, XID_RESET, "fatal GPU timeout"},
};

static const struct xid unknown = {0, XID_CHECK, "not known here"};

const struct xid *xid_find(uint32_t number)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].number == number)
			return &table[i];
	return &unknown;
}

bool xid_is_of_gpu(const struct xid *x)
{
	/* A row was remapped, a memory error was contained: the GPU goes on, its programs do not.
	 */
	return x->action >= XID_WATCH || x->number == 63 || x->number == 94;
}

const char *xid_advice(enum xid_action action)
{
	static const char *const advice[XID_ACTIONS] = {
		[XID_IGNORE] = "nothing to do",
		[XID_APP] = "the application's process ends, nothing else is touched",
		[XID_FOLLOW] = "another Xid says what happened",
		[XID_WATCH] = "have the GPU looked at when it comes again",
		[XID_CHECK] = "the GPU is checked",
		[XID_KILL] = "its process is ended and the GPU is checked",
		[XID_RESET] = "the GPU must be reset",
		[XID_REBOOT] = "the machine must be started anew",
	};

	return advice[action];
}
