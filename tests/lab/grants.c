/* SPDX-License-Identifier: MIT */
/*
 * Two domains share pages and an event channel, through the kernel's own devices:
 *
 *   lab-grants grant PEER PAGES ROUNDS        grants pages and offers an event channel to PEER
 *   lab-grants map PEER PORT ROUNDS REF...    maps them and binds the channel
 *
 * Each round the mapping side writes one pattern into every page and notifies, the granting side
 * checks it, writes another and notifies back. The granting side prints "port P refs R..." first;
 * both print "rounds N events N" after the last round and keep their mappings until standard input
 * ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

typedef uint16_t domid_t;
typedef uint32_t grant_ref_t;
#include <xen/evtchn.h>
#include <xen/gntalloc.h>
#include <xen/gntdev.h>

#define PAGE      4096u
#define WORDS     (PAGE / sizeof(uint32_t))
#define MAX_PAGES 256

static unsigned long events;

__attribute__((noreturn)) static void fail(const char *what)
{
	fprintf(stderr, "lab-grants: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_device(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail(path);
	return fd;
}

static uint32_t pattern(unsigned side, unsigned round, unsigned word)
{
	return (side << 31 | round << 12) ^ word * 2654435761u;
}

/* The first word, which the other side polls, is written last. */
static void fill(volatile uint32_t *p, unsigned pages, unsigned side, unsigned round)
{
	for (unsigned i = pages * WORDS; i-- > 0;)
		p[i] = pattern(side, round, i);
}

static void check(volatile uint32_t *p, unsigned pages, unsigned side, unsigned round)
{
	for (unsigned i = 0; i < pages * WORDS; i++) {
		uint32_t seen = p[i], want = pattern(side, round, i);

		if (seen != want) {
			fprintf(stderr, "lab-grants: round %u, word %u: %08x instead of %08x\n",
				round, i, seen, want);
			exit(1);
		}
	}
}

static void notify(int evtchn, unsigned port)
{
	struct ioctl_evtchn_notify n = {.port = port};

	if (ioctl(evtchn, IOCTL_EVTCHN_NOTIFY, &n))
		fail("notify");
}

/* Wait for an event until the page has the other side's pattern: binding makes an event, too. */
static void await(int evtchn, unsigned port, volatile uint32_t *p, uint32_t first)
{
	do {
		uint32_t got;

		if (read(evtchn, &got, sizeof(got)) != sizeof(got))
			fail("waiting for an event");
		if (got != port || write(evtchn, &got, sizeof(got)) != sizeof(got))
			fail("an event of another port");
		events++;
		__sync_synchronize();
	} while (*p != first);
}

static void hold(unsigned rounds)
{
	char c;

	printf("rounds %u events %lu\n", rounds, events);
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
}

static int grant(unsigned peer, unsigned pages, unsigned rounds)
{
	union {
		struct ioctl_gntalloc_alloc_gref a;
		uint8_t space[sizeof(struct ioctl_gntalloc_alloc_gref) + MAX_PAGES * 4];
	} u = {.a = {.domid = (uint16_t)peer, .flags = GNTALLOC_FLAG_WRITABLE, .count = pages}};
	struct ioctl_evtchn_bind_unbound_port b = {.remote_domain = peer};
	struct ioctl_gntalloc_dealloc_gref d = {.count = pages};
	int alloc = open_device("/dev/xen/gntalloc"), evtchn = open_device("/dev/xen/evtchn");
	const uint8_t *refs = u.space + offsetof(struct ioctl_gntalloc_alloc_gref, gref_ids);
	volatile uint32_t *p;
	int port;

	if (ioctl(alloc, IOCTL_GNTALLOC_ALLOC_GREF, &u))
		fail("granting pages");
	d.index = u.a.index;
	p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, alloc, (off_t)u.a.index);
	if (p == MAP_FAILED)
		fail("mapping own pages");
	port = ioctl(evtchn, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &b);
	if (port < 0)
		fail("offering an event channel");
	printf("port %d refs", port);
	for (unsigned i = 0; i < pages; i++) {
		uint32_t ref;

		memcpy(&ref, refs + i * sizeof(ref), sizeof(ref));
		printf(" %u", ref);
	}
	printf("\n");
	fflush(stdout);
	for (unsigned r = 1; r <= rounds; r++) {
		await(evtchn, (unsigned)port, p, pattern(0, r, 0));
		check(p, pages, 0, r);
		fill(p, pages, 1, r);
		notify(evtchn, (unsigned)port);
	}
	hold(rounds);
	munmap((void *)p, pages * PAGE);
	if (ioctl(alloc, IOCTL_GNTALLOC_DEALLOC_GREF, &d))
		fail("ending the grants");
	return 0;
}

static int map(unsigned peer, unsigned remote_port, unsigned rounds, unsigned pages, char **refs)
{
	union {
		struct ioctl_gntdev_map_grant_ref m;
		uint8_t space[sizeof(struct ioctl_gntdev_map_grant_ref) +
			      MAX_PAGES * sizeof(struct ioctl_gntdev_grant_ref)];
	} u = {.m = {.count = pages}};
	struct ioctl_evtchn_bind_interdomain b = {.remote_domain = peer,
						  .remote_port = remote_port};
	struct ioctl_gntdev_unmap_grant_ref d = {.count = pages};
	int gntdev = open_device("/dev/xen/gntdev"), evtchn = open_device("/dev/xen/evtchn");
	uint8_t *list = u.space + offsetof(struct ioctl_gntdev_map_grant_ref, refs);
	volatile uint32_t *p;
	int port;

	for (unsigned i = 0; i < pages; i++) {
		struct ioctl_gntdev_grant_ref r = {.domid = peer, .ref = (uint32_t)atoi(refs[i])};

		memcpy(list + i * sizeof(r), &r, sizeof(r));
	}
	if (ioctl(gntdev, IOCTL_GNTDEV_MAP_GRANT_REF, &u))
		fail("asking for the mapping");
	d.index = u.m.index;
	p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, gntdev, (off_t)u.m.index);
	if (p == MAP_FAILED)
		fail("mapping the other domain's pages");
	port = ioctl(evtchn, IOCTL_EVTCHN_BIND_INTERDOMAIN, &b);
	if (port < 0)
		fail("binding the event channel");
	for (unsigned r = 1; r <= rounds; r++) {
		fill(p, pages, 0, r);
		notify(evtchn, (unsigned)port);
		await(evtchn, (unsigned)port, p, pattern(1, r, 0));
		check(p, pages, 1, r);
	}
	hold(rounds);
	munmap((void *)p, pages * PAGE);
	if (ioctl(gntdev, IOCTL_GNTDEV_UNMAP_GRANT_REF, &d))
		fail("unmapping");
	return 0;
}

int main(int argc, char **argv)
{
	unsigned n[3] = {0};

	for (int i = 0; i < 3 && i + 2 < argc; i++)
		n[i] = (unsigned)atoi(argv[i + 2]);
	if (argc == 5 && !strcmp(argv[1], "grant") && n[1] && n[1] <= MAX_PAGES)
		return grant(n[0], n[1], n[2]);
	if (argc > 5 && !strcmp(argv[1], "map") && argc - 5 <= MAX_PAGES)
		return map(n[0], n[1], n[2], (unsigned)argc - 5, argv + 5);
	fprintf(stderr,
		"usage: lab-grants grant PEER PAGES ROUNDS | map PEER PORT ROUNDS REF...\n");
	return 2;
}
