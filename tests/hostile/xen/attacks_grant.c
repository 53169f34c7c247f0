/* SPDX-License-Identifier: MIT */
/* References and ports of SESSION_OPEN that are bad, revoked, foreign, read-only, duplicate, or of
 * other use. */
#include "tests/hostile/xen/attack.h"

#include <errno.h>
#include <string.h>

#define NEVER_REF 0x7ffffff0u
#define ANY_ERROR (-2)

/* Ask for a session with a request that was changed. */
static void ask(struct front *f, struct pvgpu_ctl_msg *m, int wanted)
{
	const int r = front_call(f, m);

	if (wanted == ANY_ERROR)
		WANT(r, "a session came of it");
	else
		WANT(r == wanted, "error %d, %s", r, f->said);
	attack_said(f);
}

enum { NEVER, REVOKED, FOREIGN, UNWRITABLE, ZERO, SAME, OF_CONTROL, OF_DIRECTORY };

/* The directory's own reference. */
static void directory(struct front *f)
{
	const bool good = attack->arg == UNWRITABLE;
	struct seat *s = seat_make(f);
	struct pvgpu_ctl_msg m = seat_open_msg(s);
	struct pages p = {0};

	if (attack->arg == REVOKED || attack->arg == FOREIGN || good) {
		pages_grant(&p, attack->arg == FOREIGN ? f->other : f->back, 1,
			    good ? READ_ONLY : 0);
		memcpy(p.at, s->dir.at, PAGE);
	}
	m.u.open.dir = attack->arg == ZERO ? 0 : p.n ? p.ref[0] : NEVER_REF;
	if (attack->arg == REVOKED)
		pages_end(&p);
	ask(f, &m, good ? 0 : EPROTO);
	if (good) {
		seat_settle(s);
		WANT(seat_answers(s), "no answer");
		WANT(seat_close(s) == 0, "not closed");
	}
	pages_end(&p);
	seat_free(s);
}

/* One of the ring's references, in the middle. */
static void reference(struct front *f)
{
	struct seat *s = seat_make(f);
	struct pvgpu_ctl_msg m = seat_open_msg(s);
	struct pages p = {0};
	uint32_t *at = &dir_page(&s->dir)->ref[RING_PAGES / 2];

	if (attack->arg == REVOKED || attack->arg == FOREIGN || attack->arg == UNWRITABLE)
		pages_grant(&p, attack->arg == FOREIGN ? f->other : f->back, 1,
			    attack->arg == UNWRITABLE ? READ_ONLY : 0);
	*at = attack->arg == ZERO ? 0 : p.n ? p.ref[0] : NEVER_REF;
	if (attack->arg == REVOKED)
		pages_end(&p);
	ask(f, &m, attack->arg == ZERO ? EPROTO : ANY_ERROR);
	pages_end(&p);
	seat_free(s);
}

/* All of the ring's references name one page. */
static void same_page(struct front *f)
{
	struct seat *s = seat_make(f);
	struct pvgpu_ctl_msg m = seat_open_msg(s);
	uint32_t ref = s->ring.ref[0];
	int r;

	if (attack->arg == OF_CONTROL)
		ref = f->page.ref[0];
	if (attack->arg == OF_DIRECTORY)
		ref = s->dir.ref[0];
	for (unsigned int i = 0; i < RING_PAGES; i++)
		dir_page(&s->dir)->ref[i] = ref;
	r = front_call(f, &m);
	attack_said(f);
	guest_acts++;
	WANT(r || seat_close(s) == 0, "the session is not closed");
	seat_free(s);
}

/* A page for itself for each of the ring: the references are far apart. */
static void scattered(struct front *f)
{
	static struct pages one[RING_PAGES], gap[RING_PAGES];
	struct seat *s = seat_make(f);
	struct pvgpu_ctl_msg m = seat_open_msg(s);

	for (unsigned int i = 0; i < RING_PAGES; i++) {
		pages_grant(&one[i], f->back, 1, 0);
		pages_grant(&gap[i], f->other, 1, 0);
		dir_page(&s->dir)->ref[RING_PAGES - 1 - i] = one[i].ref[0];
	}
	ask(f, &m, 0);
	WANT(seat_close(s) == 0, "not closed: %s", f->said);
	for (unsigned int i = 0; i < RING_PAGES; i++) {
		pages_end(&one[i]);
		pages_end(&gap[i]);
	}
	seat_free(s);
}

/* The ring of a session that is open, for another one. */
static void shared_ring(struct front *f)
{
	struct seat *s = seat_make(f);
	struct pvgpu_ctl_msg m = seat_open_msg(s);
	int r;

	m.u.open.dir = attack_seat->dir.ref[0];
	r = front_call(f, &m);
	attack_said(f);
	guest_acts++;
	WANT(r || seat_close(s) == 0, "the session is not closed");
	seat_free(s);
}

/* The grants end while the session is open: the kernel keeps the pages until they are unmapped. */
static void revoked_open(struct front *f)
{
	front_take(f);
	pages_end(&attack_seat->ring);
	guest_acts++;
	attack_scene("neighbour");
	WANT(seat_close(attack_seat) == 0, "not closed: %s", f->said);
	seat_free(attack_seat);
}

static void port(struct front *f)
{
	struct seat *s = seat_make(f);
	struct pvgpu_ctl_msg m = seat_open_msg(s);
	uint32_t p = 0;

	if (attack->arg == FOREIGN)
		p = port_make(f->other);
	if (attack->arg == REVOKED) {
		p = port_make(f->back);
		port_end(p);
	}
	m.u.open.port = attack->arg == ZERO    ? 0
			: attack->arg == NEVER ? ~0u
			: attack->arg == SAME  ? f->port
					       : p;
	ask(f, &m, ANY_ERROR);
	if (attack->arg == FOREIGN)
		port_end(p);
	seat_free(s);
}

static void sizes(struct front *f)
{
	static const uint32_t bad[] = {
		0,        1,  4095, PVGPU_RING_MIN - 4096, PVGPU_RING_MIN + 1, PVGPU_RING_MAX * 2,
		1u << 31, ~0u};
	struct seat *s = seat_make(f);

	for (size_t i = 0; i < 2 * sizeof(bad) / sizeof(bad[0]); i++) {
		struct pvgpu_ctl_msg m = seat_open_msg(s);

		*(i & 1 ? &m.u.open.cmd_size : &m.u.open.rep_size) = bad[i / 2];
		ask(f, &m, EPROTO);
	}
	seat_free(s);
}

static void largest(struct front *f)
{
	struct seat *s = seat_make(f);
	struct pvgpu_ctl_msg m = seat_open_msg(s);

	m.u.open.cmd_size = m.u.open.rep_size = PVGPU_RING_MAX;
	ask(f, &m, EINVAL);
	seat_free(s);
}

#define UNREADABLE "answer grant [0-9]+: directory unreadable: "
#define NO_RING    "answer cannot map the ring: "
#define TWICE      "answer grant [0-9]+ is listed twice"
#define NO_PORT    "answer cannot bind event channel [0-9]+: "

const struct attack attacks_grant[] = {
	{"dir_zero", CONNECTED, LIVES, directory, ZERO, NULL, "answer directory ends after 0 of"},
	{"dir_never", CONNECTED, LIVES, directory, NEVER, NULL, UNREADABLE},
	{"dir_revoked", CONNECTED, LIVES, directory, REVOKED, NULL, UNREADABLE},
	{"dir_foreign", CONNECTED, LIVES, directory, FOREIGN, NULL, UNREADABLE},
	{"dir_read_only", CONNECTED, LIVES, directory, UNWRITABLE, NULL, NULL},
	{"ring_zero", CONNECTED, LIVES, reference, ZERO, NULL, "answer grant 0 for page 16"},
	{"ring_never", CONNECTED, LIVES, reference, NEVER, NULL, NO_RING},
	{"ring_revoked", CONNECTED, LIVES, reference, REVOKED, NULL, NO_RING},
	{"ring_foreign", CONNECTED, LIVES, reference, FOREIGN, NULL, NO_RING},
	{"ring_read_only", CONNECTED, LIVES, reference, UNWRITABLE, NULL, NO_RING},
	{"ring_same", CONNECTED, LIVES, same_page, SAME, NULL, TWICE},
	{"ring_control", CONNECTED, LIVES, same_page, OF_CONTROL, NULL, TWICE},
	{"ring_directory", CONNECTED, LIVES, same_page, OF_DIRECTORY, NULL, TWICE},
	{"ring_scattered", CONNECTED, LIVES, scattered, 0, NULL, NULL},
	{"ring_shared", SETTLED, LIVES, shared_ring, 0, NULL, NULL},
	{"ring_revoked_open", SETTLED, LIVES, revoked_open, 0, NULL, NULL},
	{"open_port_zero", CONNECTED, LIVES, port, ZERO, NULL, NO_PORT},
	{"open_port_never", CONNECTED, LIVES, port, NEVER, NULL, NO_PORT},
	{"open_port_control", CONNECTED, LIVES, port, SAME, NULL, NO_PORT},
	{"open_port_revoked", CONNECTED, LIVES, port, REVOKED, NULL, NO_PORT},
	{"open_port_foreign", CONNECTED, LIVES, port, FOREIGN, NULL, NO_PORT},
	{"ring_sizes", CONNECTED, LIVES, sizes, 0, NULL, "answer ring streams of "},
	{"ring_largest", CONNECTED, LIVES, largest, 0, NULL, "answer a ring of 8193 pages"},
	{0}};
