/* SPDX-License-Identifier: MIT */
/* Grants and event channels: by the Xen libraries, except for fds that workers get. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>

#include <xen/gntdev.h>

#include "xen-pvgpu-back/daemon/xen/xen_ops.h"

#define PAGE   4096u
#define GNTDEV "/dev/xen/gntdev"
#define EVTCHN "/dev/xen/evtchn"

/* For pages that pvgpud itself maps and copies; opened at first use and never closed. */
static xengnttab_handle *gnttab(void)
{
	static xengnttab_handle *handle;

	if (!handle)
		handle = xengnttab_open(NULL, 0);
	return handle;
}

/* The libraries do not set errno on every path. */
static int failed(void)
{
	return errno ? -errno : -EIO;
}

static int page_map(uint32_t domid, uint32_t ref, void **page)
{
	errno = 0;
	if (!gnttab())
		return failed();
	*page = xengnttab_map_grant_ref(gnttab(), domid, ref, PROT_READ | PROT_WRITE);
	return *page ? 0 : failed();
}

static void page_unmap(void *page)
{
	xengnttab_unmap(gnttab(), page, 1);
}

static int page_copy(uint32_t domid, uint32_t ref, void *to)
{
	xengnttab_grant_copy_segment_t seg = {
		.source.foreign = {.ref = ref, .offset = 0, .domid = (uint16_t)domid},
		.dest.virt = to,
		.len = PAGE,
		.flags = GNTCOPY_source_gref,
	};

	errno = 0;
	if (!gnttab() || xengnttab_grant_copy(gnttab(), 1, &seg) < 0)
		return failed();
	/* A copy that succeeds as a whole can have failed segments. */
	return seg.status == GNTST_okay ? 0 : -EFAULT;
}

struct xen_port {
	xenevtchn_handle *handle;
	evtchn_port_t port;
};

static int bind_port(uint32_t domid, uint32_t remote, struct xen_port *p)
{
	xenevtchn_port_or_error_t r = -1;
	int err;

	errno = 0;
	p->handle = xenevtchn_open(NULL, 0);
	if (!p->handle)
		return failed();
	r = xenevtchn_bind_interdomain(p->handle, domid, remote);
	if (r >= 0 && xenevtchn_restrict(p->handle, (domid_t)domid) == 0) {
		p->port = (evtchn_port_t)r;
		return 0;
	}
	err = failed();
	xenevtchn_close(p->handle);
	return err;
}

static int port_open(uint32_t domid, uint32_t remote, struct xen_port **port)
{
	struct xen_port *p = malloc(sizeof(*p));
	int err = p ? bind_port(domid, remote, p) : -ENOMEM;

	if (err)
		free(p);
	else
		*port = p;
	return err;
}

static int port_fd(const struct xen_port *p)
{
	return xenevtchn_fd(p->handle);
}

static bool port_take(struct xen_port *p)
{
	struct pollfd f = {.fd = xenevtchn_fd(p->handle), .events = POLLIN};

	/* xenevtchn_pending blocks when there is no event. */
	return poll(&f, 1, 0) > 0 && xenevtchn_pending(p->handle) >= 0;
}

static void port_unmask(struct xen_port *p)
{
	xenevtchn_unmask(p->handle, p->port);
}

static void port_ring(struct xen_port *p)
{
	/* The error is ignored: the guest has closed its end. */
	xenevtchn_notify(p->handle, p->port);
}

static void port_close(struct xen_port *p)
{
	xenevtchn_close(p->handle);
	free(p);
}

static int map_more(int fd, uint32_t domid, const uint32_t *refs, uint32_t count, uint64_t *offset)
{
	static union {
		struct ioctl_gntdev_map_grant_ref m;
		char bytes[offsetof(struct ioctl_gntdev_map_grant_ref, refs) +
			   XEN_MAP_MAX * sizeof(struct ioctl_gntdev_grant_ref)];
	} u;
	struct ioctl_gntdev_grant_ref *list =
		(void *)(u.bytes + offsetof(struct ioctl_gntdev_map_grant_ref, refs));

	memset(&u, 0, sizeof(u));
	u.m.count = count;
	for (uint32_t i = 0; i < count; i++)
		list[i] = (struct ioctl_gntdev_grant_ref){.domid = domid, .ref = refs[i]};
	if (ioctl(fd, IOCTL_GNTDEV_MAP_GRANT_REF, &u.m) < 0)
		return -errno;
	*offset = u.m.index;
	return 0;
}

static int grants(uint32_t domid, const uint32_t *refs, uint32_t count, int *fd, uint64_t *offset)
{
	const int file = *fd >= 0 ? *fd : open(GNTDEV, O_RDWR | O_CLOEXEC);
	int err;

	if (file < 0)
		return -errno;
	err = count && count <= XEN_MAP_MAX ? map_more(file, domid, refs, count, offset) : -EINVAL;
	if (!err)
		*fd = file;
	else if (*fd < 0)
		close(file);
	return err;
}

static void ungrant(int fd, uint64_t offset, uint32_t count)
{
	struct ioctl_gntdev_unmap_grant_ref m = {.index = offset, .count = count};

	/* The error is ignored: closing the file does it, too. */
	ioctl(fd, IOCTL_GNTDEV_UNMAP_GRANT_REF, &m);
}

/*
 * A lock of the open file description: it ends with that, whose last reference may be a mapping,
 * and the kernel has unmapped the grants before munmap() returns. The worker's list of system calls
 * has no lock in it, so it cannot end it in another way.
 */
static struct flock lock_of(uint64_t number)
{
	return (struct flock){.l_type = F_WRLCK,
			      .l_whence = SEEK_SET,
			      .l_start = (off_t)(number & INT64_MAX),
			      .l_len = 1};
}

static int mark(int fd, uint64_t number)
{
	struct flock l = lock_of(number);

	return fcntl(fd, F_OFD_SETLK, &l) < 0 ? -errno : 0;
}

/* In doubt it is. */
static bool marked(uint64_t number)
{
	const int fd = open(GNTDEV, O_RDWR | O_CLOEXEC);
	struct flock l = lock_of(number);
	const bool free = fd >= 0 && fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type == F_UNLCK;

	if (fd >= 0)
		close(fd);
	return !free;
}

static int channel(uint32_t domid, uint32_t remote, uint32_t *port)
{
	struct xen_port p;
	int err = bind_port(domid, remote, &p), fd;

	if (err)
		return err;
	/* xenevtchn_close closes the handle's fd; the port stays bound to the copy. */
	fd = fcntl(xenevtchn_fd(p.handle), F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		fd = -errno;
	*port = p.port;
	xenevtchn_close(p.handle);
	return fd;
}

static bool is_of(const struct stat *file, const char *path)
{
	struct stat device;

	return stat(path, &device) == 0 && file->st_rdev == device.st_rdev;
}

/* In doubt it can. */
static bool is_device(int fd)
{
	struct stat file;

	return fstat(fd, &file) < 0 ||
	       (S_ISCHR(file.st_mode) && (is_of(&file, GNTDEV) || is_of(&file, EVTCHN)));
}

const struct xen_ops xen_ops_real = {
	.page_map = page_map,
	.page_unmap = page_unmap,
	.page_copy = page_copy,
	.port_open = port_open,
	.port_fd = port_fd,
	.port_take = port_take,
	.port_unmask = port_unmask,
	.port_ring = port_ring,
	.port_close = port_close,
	.grants = grants,
	.ungrant = ungrant,
	.mark = mark,
	.marked = marked,
	.channel = channel,
	.is_device = is_device,
};
