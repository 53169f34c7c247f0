/* SPDX-License-Identifier: MIT */
/*
 * A hostile backend for pvgpu.ko, which a scenario drives by lines on standard input:
 *
 *   connect DOMID REF PORT      map the control ring, bind its event channel
 *   disconnect                  unmap and unbind both
 *   take                        wait for the next request: "take OP ID SESSION DIR"
 *   answer OP ID SESSION ERROR [TEXT]   publish a message and ring; \xNN in the text is a byte
 *   opened ID SESSION LIMIT     the answer to SESSION_OPEN, with its limit of arena
 *   produce N                   claim N more messages than there are, and ring
 *   consume N                   claim to have taken N more requests than there were, and ring
 *   flood N                     N answers to requests that were never made, as room comes
 *   storm N                     ring N times
 *   map REF                     map another page, for reading, until "unmap"
 *   unmap
 *
 * Each line is answered by its first word and "ok", or as written above.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ring/control.h"

typedef uint16_t domid_t;
typedef uint32_t grant_ref_t;
#include <xen/evtchn.h>
#include <xen/gntdev.h>

#define PAGE 4096u

static struct pvgpu_ctl_page *page;
static struct pvgpu_ctl ctl;
static unsigned int domid, port;
static int gntdev[2] = {-1, -1}, evtchn = -1;
static void *extra;

__attribute__((noreturn)) static void fail(const char *what)
{
	fprintf(stderr, "lab-backend: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_device(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail(path);
	return fd;
}

static void *map(int *fd, unsigned int ref, int prot)
{
	struct ioctl_gntdev_map_grant_ref m = {.count = 1, .refs = {{.domid = domid, .ref = ref}}};
	void *p;

	*fd = open_device("/dev/xen/gntdev");
	if (ioctl(*fd, IOCTL_GNTDEV_MAP_GRANT_REF, &m))
		fail("mapping a grant");
	p = mmap(NULL, PAGE, prot, MAP_SHARED, *fd, (off_t)m.index);
	if (p == MAP_FAILED)
		fail("mapping a granted page");
	return p;
}

static void unmap(int *fd, void *p)
{
	if (munmap(p, PAGE) || close(*fd))
		fail("unmapping a grant");
	*fd = -1;
}

static void ring(void)
{
	struct ioctl_evtchn_notify n = {.port = port};

	if (ioctl(evtchn, IOCTL_EVTCHN_NOTIFY, &n))
		fail("notify");
}

static void wait_event(void)
{
	uint32_t got;

	if (read(evtchn, &got, sizeof(got)) != sizeof(got) ||
	    write(evtchn, &got, sizeof(got)) != sizeof(got))
		fail("waiting for an event");
}

static void do_connect(unsigned int ref, unsigned int remote)
{
	struct ioctl_evtchn_bind_interdomain b = {.remote_domain = domid, .remote_port = remote};
	int ret;

	page = map(&gntdev[0], ref, PROT_READ | PROT_WRITE);
	pvgpu_ctl_init_back(&ctl, page);
	evtchn = open_device("/dev/xen/evtchn");
	ret = ioctl(evtchn, IOCTL_EVTCHN_BIND_INTERDOMAIN, &b);
	if (ret < 0)
		fail("binding the event channel");
	port = (unsigned int)ret;
}

static void do_disconnect(void)
{
	unmap(&gntdev[0], page);
	close(evtchn);
	evtchn = -1;
}

static void do_take(void)
{
	struct pvgpu_ctl_msg m;
	int ret;

	while (!(ret = pvgpu_ctl_peek(&ctl, 0, &m)))
		wait_event();
	if (ret < 0)
		fail("the requests");
	if (pvgpu_ctl_release(&ctl, 1))
		ring();
	printf("take %u %u %u %u\n", m.op, m.id, m.session,
	       m.op == PVGPU_CTL_SESSION_OPEN ? m.u.open.dir : m.u.chunk.dir);
}

static void put(const struct pvgpu_ctl_msg *m)
{
	int ret;

	while ((ret = pvgpu_ctl_put(&ctl, m)) == -EAGAIN)
		wait_event();
	if (ret)
		fail("the answers");
	ring();
}

static void set_text(char *to, size_t cap, const char *from)
{
	for (size_t i = 0; i < cap && *from; i++) {
		unsigned int byte;

		if (sscanf(from, "\\x%2x", &byte) == 1) {
			to[i] = (char)byte;
			from += 4;
		} else {
			to[i] = *from++;
		}
	}
}

static void do_answer(const char *words)
{
	struct pvgpu_ctl_msg m = {0};
	int at = 0;

	if (sscanf(words, "%u %u %u %d %n", &m.op, &m.id, &m.session, &m.error, &at) < 4)
		fail("answer: four numbers");
	if (m.op == PVGPU_CTL_SESSION_ENDED) {
		m.u.ended.reason = 0xffffffffu;
		set_text(m.u.ended.text, sizeof(m.u.ended.text), words + at);
	} else {
		set_text(m.u.text, sizeof(m.u.text), words + at);
	}
	put(&m);
}

static void do_opened(const char *words)
{
	struct pvgpu_ctl_msg m = {.op = PVGPU_CTL_SESSION_OPEN};
	unsigned long long limit;

	if (sscanf(words, "%u %u %llu", &m.id, &m.session, &limit) != 3)
		fail("opened: three numbers");
	m.u.opened.number = m.session;
	m.u.opened.arena_limit = limit;
	put(&m);
}

static void do_flood(unsigned long n)
{
	struct pvgpu_ctl_msg m = {.op = PVGPU_CTL_CHUNK_ADD, .session = 1};

	for (unsigned long i = 0; i < n; i++) {
		m.id = 0x80000000u + (uint32_t)i;
		put(&m);
	}
}

static void obey(const char *line)
{
	char word[16];
	unsigned long n[3] = {0};
	int at = 0;

	if (sscanf(line, "%15s %n", word, &at) != 1)
		return;
	sscanf(line + at, "%lu %lu %lu", &n[0], &n[1], &n[2]);
	if (!strcmp(word, "connect")) {
		domid = (unsigned int)n[0];
		do_connect((unsigned int)n[1], (unsigned int)n[2]);
	} else if (!strcmp(word, "disconnect")) {
		do_disconnect();
	} else if (!strcmp(word, "take")) {
		do_take();
		return;
	} else if (!strcmp(word, "answer")) {
		do_answer(line + at);
	} else if (!strcmp(word, "opened")) {
		do_opened(line + at);
	} else if (!strcmp(word, "produce")) {
		pvgpu_store_release(&page->to_front.prod.v, ctl.prod + (uint32_t)n[0]);
		ring();
	} else if (!strcmp(word, "consume")) {
		pvgpu_store_release(&page->to_back.cons.v, ctl.cons + (uint32_t)n[0]);
		ring();
	} else if (!strcmp(word, "flood")) {
		do_flood(n[0]);
	} else if (!strcmp(word, "storm")) {
		while (n[0]--)
			ring();
	} else if (!strcmp(word, "map")) {
		extra = map(&gntdev[1], (unsigned int)n[0], PROT_READ);
	} else if (!strcmp(word, "unmap")) {
		unmap(&gntdev[1], extra);
	} else {
		fprintf(stderr, "lab-backend: no such command: %s\n", word);
		exit(1);
	}
	printf("%s ok\n", word);
}

int main(void)
{
	char line[256];

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		obey(line);
	}
	return 0;
}
