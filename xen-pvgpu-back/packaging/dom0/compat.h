/* SPDX-License-Identifier: MIT */
/*
 * Included before everything else when the tools are built for an old dom0: what glibc 2.17,
 * libseccomp 2.3 and the kernel headers of their time lack. Functions have names of their own, so
 * that a build on a newer system shows which names the tools ask for on the old one.
 */
#ifndef PVGPU_DOM0_COMPAT_H
#define PVGPU_DOM0_COMPAT_H

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* glibc 2.26 */
static inline void *pvgpu_reallocarray(void *p, size_t n, size_t size)
{
	if (size && n > SIZE_MAX / size) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, n * size);
}
#define reallocarray pvgpu_reallocarray

#ifdef __x86_64__
#ifndef SYS_seccomp
#define SYS_seccomp 317
#endif
#ifndef SYS_getrandom
#define SYS_getrandom 318
#endif
#ifndef SYS_memfd_create
#define SYS_memfd_create 319
#endif
#endif

/* glibc 2.25; include/sys/random.h stands for its header. */
static inline ssize_t pvgpu_getrandom(void *p, size_t n, unsigned int flags)
{
	return (ssize_t)syscall(SYS_getrandom, p, n, flags);
}
#define getrandom pvgpu_getrandom

/* glibc 2.27 */
static inline int pvgpu_memfd_create(const char *name, unsigned int flags)
{
	return (int)syscall(SYS_memfd_create, name, flags);
}
#define memfd_create pvgpu_memfd_create
#ifndef MFD_CLOEXEC
#define MFD_CLOEXEC 1u
#endif
#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#endif

/* Linux 4.3, 4.6 */
#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT           47
#define PR_CAP_AMBIENT_CLEAR_ALL 4
#endif
#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif

/* Linux 3.17 */
#ifndef SECCOMP_SET_MODE_FILTER
#define SECCOMP_SET_MODE_FILTER   1
#define SECCOMP_FILTER_FLAG_TSYNC 1
#endif

/* libseccomp 2.4, 2.5; it answers EINVAL to an attribute that it does not know, which is no fault.
 */
#ifndef SCMP_ACT_KILL_PROCESS
#define SCMP_ACT_KILL_PROCESS SCMP_ACT_KILL
#endif
#if SCMP_VER_MAJOR == 2 && SCMP_VER_MINOR < 5
#define SCMP_FLTATR_CTL_OPTIMIZE ((enum scmp_filter_attr)_SCMP_FLTATR_MIN)
#endif

#endif
