/* SPDX-License-Identifier: MIT */
/* Granted pages of gntalloc, and event channels. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

typedef uint16_t domid_t;
typedef uint32_t grant_ref_t;
#include <xen/evtchn.h>
#include <xen/gntalloc.h>

#include "tests/hostile/xen/front.h"

#define LIMIT_FILE "/sys/module/xen_gntalloc/parameters/limit"
#define LIMIT      "8192" /* pages: more than the attacks use at a time */

static int gntalloc = -1, evtchn = -1;

static int open_device(const char *path)
{
	const int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

void pages_open(void)
{
	const int fd = open(LIMIT_FILE, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, LIMIT, strlen(LIMIT)) < 0)
		die("%s: %s", LIMIT_FILE, strerror(errno));
	close(fd);
	gntalloc = open_device("/dev/xen/gntalloc");
	evtchn = open_device("/dev/xen/evtchn");
}

void pages_grant(struct pages *p, uint32_t domid, uint32_t n, int flags)
{
	static union {
		struct ioctl_gntalloc_alloc_gref a;
		uint8_t space[sizeof(struct ioctl_gntalloc_alloc_gref) + SET_MAX * 4];
	} u;
	void *at;

	memset(&u, 0, sizeof(u));
	u.a.domid = (uint16_t)domid;
	u.a.flags = flags & READ_ONLY ? 0 : GNTALLOC_FLAG_WRITABLE;
	u.a.count = n;
	if (n > SET_MAX || ioctl(gntalloc, IOCTL_GNTALLOC_ALLOC_GREF, &u) < 0)
		die("granting %u pages: %s", n, strerror(errno));
	at = mmap(NULL, n * (size_t)PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, gntalloc,
		  (off_t)u.a.index);
	if (at == MAP_FAILED)
		die("mapping %u own pages: %s", n, strerror(errno));
	p->n = n;
	p->index = u.a.index;
	p->at = at;
	memcpy(p->ref, u.space + offsetof(struct ioctl_gntalloc_alloc_gref, gref_ids),
	       n * sizeof(uint32_t));
}

void pages_end(struct pages *p)
{
	struct ioctl_gntalloc_dealloc_gref d = {.index = p->index, .count = p->n};

	if (!p->n)
		return;
	munmap(p->at, p->n * (size_t)PAGE);
	if (ioctl(gntalloc, IOCTL_GNTALLOC_DEALLOC_GREF, &d) < 0)
		die("ending %u grants: %s", p->n, strerror(errno));
	p->n = 0;
	p->at = NULL;
}

uint32_t port_make(uint32_t domid)
{
	struct ioctl_evtchn_bind_unbound_port b = {.remote_domain = domid};
	const int port = ioctl(evtchn, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &b);

	if (port < 0)
		die("an event channel for domain %u: %s", domid, strerror(errno));
	return (uint32_t)port;
}

void port_ring(uint32_t port)
{
	struct ioctl_evtchn_notify n = {.port = port};

	if (port && ioctl(evtchn, IOCTL_EVTCHN_NOTIFY, &n) < 0)
		die("ringing port %u: %s", port, strerror(errno));
}

void port_end(uint32_t port)
{
	struct ioctl_evtchn_unbind u = {.port = port};

	if (port && ioctl(evtchn, IOCTL_EVTCHN_UNBIND, &u) < 0)
		die("closing port %u: %s", port, strerror(errno));
}
