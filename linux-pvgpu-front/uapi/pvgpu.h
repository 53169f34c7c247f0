/* SPDX-License-Identifier: MIT */
/*
 * /dev/pvgpuN: the interface of pvgpu.ko to processes. The same for 32-bit processes: fixed width,
 * pointers as u64, no padding by the compiler. Numbers are never reused; structures grow at their
 * end, with a new number.
 *
 * One open file carries at most one session. Life: open(), PVGPU_IOC_OPEN, mmap() of the ring at
 * offset 0, then what the session's protocol says; the session ends when the last mapping of its
 * ring goes (mappings are not inherited by fork) or the file is closed, whichever is first. A lost
 * session (its worker ended, the vGPU was detached, the guest was restored elsewhere) has the
 * ring page's `status` set, PVGPU_GOT_HANGUP from every wait, POLLHUP from poll(), and -EPIPE from
 * calls that need the backend. Its mappings stay valid memory until they are unmapped.
 *
 * Every wait can be killed: a signal ends it with -EINTR (or restarts it). An OPEN or GROW that is
 * repeated after that continues the one that was interrupted.
 *
 * Bytes that are not "in" may have any value; flags and pad are 0, or -EINVAL. A call without an
 * argument gets 0. A number that is not here: -ENOTTY.
 *
 * poll(): POLLIN: the doorbell rang; POLLPRI: kicked; POLLHUP: lost or hung up; POLLERR: no
 * session.
 */
#ifndef PVGPU_UAPI_H
#define PVGPU_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define PVGPU_UAPI_VERSION 1

#define PVGPU_REASON       96

struct pvgpu_ioc_info {
	__u32 version;  /* out: PVGPU_UAPI_VERSION */
	__u32 index;    /* out: N of /dev/pvgpuN */
	__u32 devid;    /* out: id of the vGPU in xenstore */
	__u32 state;    /* out: XenbusState of the frontend */
	__u64 memory;   /* out: bytes of device memory; 0: all of the GPU's, or not known */
	__u64 features; /* out: feature bits in common with the backend */
	char uuid[40];
	char model[64];
};

struct pvgpu_ioc_open {
	__u32 version; /* in: PVGPU_UAPI_VERSION */
	__u32 session; /* out: the backend's number, for people */
	__u32 cmd_size,
		rep_size;  /* in: of the streams, powers of two, 0: the default; out: as granted */
	__u32 flags;       /* in: 0 */
	__u32 pad;         /* in: 0 */
	__u64 arena_limit; /* out: bytes of arena that the session may have */
	__u64 chunk_max;   /* out: bytes of the largest chunk that one GROW may ask for */
	char reason[PVGPU_REASON]; /* out, also when the call fails: why, for people */
};

/* what and got */
#define PVGPU_GOT_RUNG   1u /* the worker's doorbell rang; reported once */
#define PVGPU_GOT_KICKED 2u /* PVGPU_IOC_KICK was called; reported once */
#define PVGPU_GOT_HANGUP 4u /* the session is lost or hung up; stays */

struct pvgpu_ioc_wait {
	__u32 what;       /* in: events to sleep for; a hang-up always counts */
	__u32 got;        /* out */
	__s32 timeout_ms; /* in: negative: none; 0: only look */
	__u32 flags;      /* in: 0 */
};

/*
 * One chunk of arena. GROW grants fresh zeroed memory and has the worker map it at `address`;
 * then mmap(address, size, ..., MAP_SHARED | MAP_FIXED, fd, offset) maps it here. SHRINK takes
 * it back (munmap or map over it before or after); a chunk that does not exist is no error. Only
 * whole chunks can be mapped, also after a part was unmapped.
 * -ENOSPC: out of grant references, or of those of this user; -ENOMEM; -EBUSY: in use (SHRINK);
 * -EOPNOTSUPP: the backend takes no chunks; -EPIPE: lost.
 */
struct pvgpu_ioc_chunk {
	__u64 address, size;       /* in */
	__u64 offset;              /* out of GROW: for mmap */
	__u32 flags;               /* in: 0 */
	__u32 pad;                 /* in: 0 */
	char reason[PVGPU_REASON]; /* out, also when the call fails: why, for people */
};

struct pvgpu_ioc_finish {
	__u32 timeout_ms; /* in */
	__u32 flags;      /* in: 0 */
};

#define PVGPU_IOC_MAGIC    'v'
#define PVGPU_IOC_INFO     _IOR(PVGPU_IOC_MAGIC, 0x80, struct pvgpu_ioc_info)
#define PVGPU_IOC_OPEN     _IOWR(PVGPU_IOC_MAGIC, 0x81, struct pvgpu_ioc_open)
#define PVGPU_IOC_DOORBELL _IO(PVGPU_IOC_MAGIC, 0x82) /* notify the worker; never blocks */
#define PVGPU_IOC_WAIT     _IOWR(PVGPU_IOC_MAGIC, 0x83, struct pvgpu_ioc_wait)
#define PVGPU_IOC_KICK     _IO(PVGPU_IOC_MAGIC, 0x84)
#define PVGPU_IOC_GROW     _IOWR(PVGPU_IOC_MAGIC, 0x85, struct pvgpu_ioc_chunk)
#define PVGPU_IOC_SHRINK   _IOWR(PVGPU_IOC_MAGIC, 0x86, struct pvgpu_ioc_chunk)
#define PVGPU_IOC_HANGUP   _IO(PVGPU_IOC_MAGIC, 0x87) /* end the session: every wait sees it */
/* End the session; returns when the worker has gone, or -ETIME. */
#define PVGPU_IOC_FINISH _IOW(PVGPU_IOC_MAGIC, 0x88, struct pvgpu_ioc_finish)

#endif
