/* SPDX-License-Identifier: MIT */
/*
 * The Xen link's guest end: /dev/pvgpuN, whose driver is trusted. The driver has checked the
 * backend's answers; the ring's contents are not checked by it.
 *
 * Nothing here is a cancellation point: ioctl() is none, and the rest is called with cancellation
 * off (cancel.h) or by raw system calls.
 */
#include "link/device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "link/cancel.h"
#include "link/identity.h"
#include "linux-pvgpu-front/uapi/pvgpu.h"
#include "ring/ring.h"

_Static_assert(PVGPU_LINK_RUNG == PVGPU_GOT_RUNG && PVGPU_LINK_KICKED == PVGPU_GOT_KICKED &&
		       PVGPU_LINK_HANGUP == PVGPU_GOT_HANGUP,
	       "the link's events are the device's");

enum { LOOK_MS = 1000 }; /* of a wait, from one look at the file to the next */

struct device {
	struct pvgpu_link link;
	int fd;
	struct pvgpu_identity is;
	bool debug;
	char said[PVGPU_REASON]; /* the last reason that was printed */
};

static int device_open(const char *path)
{
	return open(path, O_RDWR | O_CLOEXEC);
}

static int device_ioctl(int fd, unsigned long what, void *arg)
{
	return ioctl(fd, what, arg);
}

const struct device_calls *device_calls =
	&(const struct device_calls){.open = device_open, .ioctl = device_ioctl, .mmap = mmap};

#define REASON(...) snprintf(reason, PVGPU_LINK_REASON, __VA_ARGS__)

static struct device *device(struct pvgpu_link *l)
{
	return (struct device *)l;
}

/* ioctl() that is retried after a signal: 0 or a negative errno. */
static int ioctl_retried(int fd, unsigned long what, void *arg)
{
	while (device_calls->ioctl(fd, what, arg) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static void dev_doorbell(struct pvgpu_link *l)
{
	ioctl_retried(device(l)->fd, PVGPU_IOC_DOORBELL, NULL);
}

static void dev_kick(struct pvgpu_link *l)
{
	ioctl_retried(device(l)->fd, PVGPU_IOC_KICK, NULL);
}

static unsigned int dev_wait(struct pvgpu_link *l, unsigned int what)
{
	/* A thread that waits for an answer asks again now and then: the worker has not been rung
	 * where the application has closed the file meanwhile. */
	const int ms = what & PVGPU_LINK_RUNG ? LOOK_MS : -1;
	struct pvgpu_ioc_wait m;

	do {
		m = (struct pvgpu_ioc_wait){.what = what, .timeout_ms = ms};
		/* The application has closed the file: a hang-up, or the caller would spin. */
		if (device_calls->ioctl(device(l)->fd, PVGPU_IOC_WAIT, &m) < 0)
			return errno == EINTR ? 0 : PVGPU_LINK_HANGUP;
	} while (!m.got && ms > 0);
	return m.got;
}

static void dev_hangup(struct pvgpu_link *l)
{
	ioctl_retried(device(l)->fd, PVGPU_IOC_HANGUP, NULL);
}

static void dev_finish(struct pvgpu_link *l, int ms)
{
	struct pvgpu_ioc_finish m = {.timeout_ms = ms < 0 ? 0 : (uint32_t)ms};

	ioctl_retried(device(l)->fd, PVGPU_IOC_FINISH, &m);
}

static void dev_close(struct pvgpu_link *l)
{
	munmap(l->page, pvgpu_ring_bytes(l->cmd_size, l->rep_size));
	if (pvgpu_is_same(device(l)->fd, false, &device(l)->is))
		close(device(l)->fd);
	free(l);
}

/* The mappings are not inherited by a forked child. */
static void dev_abandon(struct pvgpu_link *l)
{
	if (pvgpu_is_same(device(l)->fd, false, &device(l)->is))
		syscall(SYS_close, device(l)->fd);
}

/* ---- arena chunks ---- */

/* Print why memory was refused, once for each reason: a region is tried in several sizes. */
static void print_refusal(struct device *d, uint64_t size, int err, const char *reason)
{
	if (!d->debug || (d->said[0] && !strcmp(d->said, reason)))
		return;
	snprintf(d->said, sizeof(d->said), "%s", reason);
	fprintf(stderr, "pvgpu: session %u: cannot share %llu KiB more with the worker: %s%s%s\n",
		d->link.session, (unsigned long long)size >> 10, strerror(-err),
		reason[0] ? ": " : "", reason);
}

static int ask_chunk(struct device *d, unsigned long what, struct pvgpu_ioc_chunk *m)
{
	const int err = ioctl_retried(d->fd, what, m);

	m->reason[sizeof(m->reason) - 1] = '\0';
	if (err)
		print_refusal(d, m->size, err, m->reason);
	/* -EPROTO means that the worker misbehaves, and would end the session. */
	return err == -EPROTO ? -EINVAL : err;
}

/* Put the inaccessible reservation back. */
static void unmap_chunk(void *address, uint64_t size)
{
	mmap(address, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
	     0);
}

static int dev_grow(struct pvgpu_link *l, void *address, uint64_t size)
{
	struct pvgpu_ioc_chunk m = {.address = (uintptr_t)address, .size = size};
	struct device *d = device(l);
	int err = ask_chunk(d, PVGPU_IOC_GROW, &m);

	if (err)
		return err;
	if (device_calls->mmap(address, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, d->fd,
			       (off_t)m.offset) != MAP_FAILED)
		return 0;
	err = -errno;
	/* A failed mmap() may have removed the reservation. */
	unmap_chunk(address, size);
	print_refusal(d, size, err, "cannot map it");
	ask_chunk(d, PVGPU_IOC_SHRINK, &m);
	return err;
}

static int dev_shrink(struct pvgpu_link *l, void *address, uint64_t size)
{
	struct pvgpu_ioc_chunk m = {.address = (uintptr_t)address, .size = size};
	const int err = ask_chunk(device(l), PVGPU_IOC_SHRINK, &m);

	if (err != -EBUSY)
		unmap_chunk(address, size);
	return err;
}

/* ---- opening ---- */

static const struct pvgpu_link_ops device_ops = {
	.doorbell = dev_doorbell,
	.wait = dev_wait,
	.kick = dev_kick,
	.grow = dev_grow,
	.shrink = dev_shrink,
	.hangup = dev_hangup,
	.finish = dev_finish,
	.close = dev_close,
	.abandon = dev_abandon,
};

/* Opens above the standard streams' numbers, which the application may have closed. */
static int open_file(const char *path)
{
	int fd;

	do
		fd = device_calls->open(path);
	while (fd < 0 && errno == EINTR);
	if (fd >= 0)
		fd = pvgpu_away_from_stdio(fd);
	return fd < 0 ? -errno : fd;
}

static int ask_open(int fd, const char *path, struct pvgpu_ioc_open *m, char *reason)
{
	const int err = ioctl_retried(fd, PVGPU_IOC_OPEN, m);

	m->reason[sizeof(m->reason) - 1] = '\0';
	if (err == -ENOTTY)
		REASON("%.60s is no vGPU, or its driver is of another version of pvgpu", path);
	else if (err)
		REASON("no session from %.40s: %.96s", path,
		       m->reason[0] ? m->reason : strerror(-err));
	return err && err != -EPERM && m->reason[0] ? -EREMOTEIO : err;
}

static int set_up(struct device *d, const struct pvgpu_ioc_open *m, char *reason)
{
	struct pvgpu_link *l = &d->link;
	void *p;
	int err;

	/* Checked by the driver, and again here: the sizes decide which memory is written. */
	if (!pvgpu_ring_size_ok(m->cmd_size) || !pvgpu_ring_size_ok(m->rep_size)) {
		REASON("the device's ring sizes %u and %u are no powers of two from %u to %u",
		       m->cmd_size, m->rep_size, PVGPU_RING_MIN, PVGPU_RING_MAX);
		return -EPROTO;
	}
	if (!pvgpu_identify(d->fd, false, &d->is)) {
		REASON("cannot look at the device: %s", strerror(errno));
		return -EPROTO;
	}
	l->ops = &device_ops;
	l->cmd_size = m->cmd_size;
	l->rep_size = m->rep_size;
	l->session = m->session;
	l->arena_limit = m->arena_limit;
	l->chunk_max = m->chunk_max;
	p = device_calls->mmap(NULL, pvgpu_ring_bytes(m->cmd_size, m->rep_size),
			       PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, 0);
	if (p == MAP_FAILED) {
		err = -errno;
		REASON("cannot map the ring: %s", strerror(-err));
		return err;
	}
	l->page = p;
	return 0;
}

static int open_device(const char *path, bool debug, struct pvgpu_link **out, char *reason)
{
	struct pvgpu_ioc_open m = {.version = PVGPU_UAPI_VERSION};
	struct device *d = calloc(1, sizeof(*d));
	int err = -ENOMEM;

	if (!d) {
		REASON("out of memory");
		return err;
	}
	d->debug = debug;
	d->fd = open_file(path);
	if (d->fd < 0) {
		/* EPERM stands for a quarantine; open() returns it for a container's device rule.
		 */
		err = d->fd == -EPERM ? -EACCES : d->fd;
		REASON("cannot open %.90s: %s", path, strerror(-d->fd));
		goto out_free;
	}
	err = ask_open(d->fd, path, &m, reason);
	if (!err)
		err = set_up(d, &m, reason);
	if (err) {
		close(d->fd);
		goto out_free;
	}
	*out = &d->link;
	return 0;
out_free:
	free(d);
	return err;
}

int pvgpu_link_open_device(const char *path, bool debug, struct pvgpu_link **out,
			   char reason[PVGPU_LINK_REASON])
{
	const int cancel = pvgpu_cancel_off();
	const int err = open_device(path, debug, out, reason);

	pvgpu_cancel_back(cancel);
	return err;
}
