/* SPDX-License-Identifier: MIT */
/*
 * Which system calls are left after the seal: those that all processes of ours may do
 * (confine/calls.c), of ioctls hardly any, and what NVIDIA's libcuda needs beside that, which is
 * known from public sources only and was never run: FAR.
 */
#include "xen-pvgpu-back/worker/frame/sandbox.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "xen-pvgpu-back/confine/calls.h"

/* xen/evtchn.h: IOCTL_EVTCHN_NOTIFY. Binding and unbinding are pvgpud's. */
#define EVTCHN_NOTIFY _IOC(_IOC_NONE, 'E', 4, sizeof(unsigned int))

#define COUNT(a)      (sizeof(a) / sizeof((a)[0]))

/* Where the root holds files, their driver's library may open them. Unproven. */
static const char *const far[] = {
	"open",       "openat",     "access",        "faccessat",     "faccessat2",
	"readlink",   "readlinkat", "stat",          "lstat",         "statx",
	"getdents64", "mbind",      "get_mempolicy", "set_mempolicy", "sched_setaffinity",
	"mlock2",     "getppid",    "getresuid",     "getresgid"};

static int files(scmp_filter_ctx f)
{
	static const unsigned int controls[] = {EVTCHN_NOTIFY, SIOCOUTQ, FIONREAD};
	int r = 0;

	for (size_t i = 0; i < COUNT(controls) && !r; i++)
		r = calls_when(f, "ioctl", calls_is(1, controls[i]));
	return r;
}

/* New code comes from the driver alone, to the GPU. */
static int memory(scmp_filter_ctx f, bool opens)
{
	const struct scmp_arg_cmp none = {0};
	int r;

	if (opens) {
		r = calls_rule(f, SCMP_ACT_ALLOW, "mmap", 0, none, none);
		return r ? r : calls_rule(f, SCMP_ACT_ALLOW, "mprotect", 0, none, none);
	}
	r = calls_when(f, "mmap", calls_masked(2, PROT_EXEC, 0));
	return r ? r : calls_when(f, "mprotect", calls_masked(2, PROT_EXEC, 0));
}

/* Of NVIDIA's device files: their ioctls are of type 'F', those of nvidia-uvm plain small numbers
 * (linux/uvm_linux_ioctl.h of its open modules). Unproven. */
static int driver(scmp_filter_ctx f)
{
	int r = calls_list(f, SCMP_ACT_ALLOW, far, COUNT(far));

	if (!r)
		r = calls_when(f, "ioctl", calls_masked(1, 0xff00, 'F' << 8));
	if (!r)
		r = calls_when(f, "ioctl", calls_masked(1, UINT32_MAX & ~0xffu, 0));
	/* UVM_INITIALIZE and UVM_DEINITIALIZE. */
	if (!r)
		r = calls_when(f, "ioctl", calls_is(1, 0x30000001));
	return r ? r : calls_when(f, "ioctl", calls_is(1, 0x30000002));
}

int sandbox_make_calls(struct sandbox *s)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r;

	if (!f)
		return -ENOMEM;
	r = calls_common(f);
	if (!r)
		r = files(f);
	if (!r)
		r = memory(f, s->opens);
	if (!r && s->opens)
		r = driver(f);
	if (!r)
		r = calls_export(f, &s->filter);
	seccomp_release(f);
	return r;
}
