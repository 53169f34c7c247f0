/* SPDX-License-Identifier: MIT */
/* The file of what sessions hold, over the ends of pvgpud. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/core/held.h"

static char dir[64];
static struct held_file *f;

static void up(void)
{
	snprintf(dir, sizeof(dir), "/tmp/held-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	f = held_open(dir);
	ck_assert_ptr_nonnull(f);
}

static void down(void)
{
	held_close(f, dir, true);
	ck_assert_int_eq(rmdir(dir), 0);
}

static void again(void)
{
	held_close(f, dir, false);
	f = held_open(dir);
	ck_assert_ptr_nonnull(f);
}

static struct held *begun(uint32_t id)
{
	const struct held_session s = {.id = id,
				       .ring_pages = 33,
				       .guest = 7,
				       .started_ms = 5,
				       .user = 12,
				       .pid = 31,
				       .start = 32,
				       .device = "GPU-1"};
	struct held *h = held_begin(f, &s);

	ck_assert_ptr_nonnull(h);
	return h;
}

START_TEST(all_is_there_again)
{
	struct held *a = begun(1), *b = begun(2);
	struct held_chunk c;
	char device[HELD_DEVICE];
	int place[3];

	ck_assert_int_eq(held_set_leased(b, 1 << 20), 0);
	for (int i = 0; i < 3; i++)
		place[i] = held_add(b, 4096u * (unsigned int)i, (uint32_t)i + 1);
	held_mark(b, place[0], HELD_UNSURE);
	held_mark(b, place[2], HELD_THERE);
	held_remove(b, place[1]);
	held_leave(a);
	held_leave(b);
	again();
	held_device(f, 2, device);
	ck_assert_str_eq(device, "GPU-1");
	held_device(f, 3, device);
	ck_assert_str_eq(device, "");
	b = held_take(f, 2);
	ck_assert_ptr_nonnull(b);
	held_device(f, 2, device); /* taken */
	ck_assert_str_eq(device, "");
	ck_assert_uint_eq(held_session(b)->leased, 1 << 20);
	ck_assert_uint_eq(held_session(b)->ring_pages, 33);
	ck_assert_uint_eq(held_session(b)->guest, 7);
	ck_assert_uint_eq(held_session(b)->user, 12);
	ck_assert(held_chunk(b, (unsigned int)place[0], &c) && c.pages == 1 &&
		  c.state == HELD_UNSURE);
	ck_assert(!held_chunk(b, (unsigned int)place[1], &c));
	ck_assert(held_chunk(b, (unsigned int)place[2], &c) && c.address == 8192 &&
		  c.state == HELD_THERE);
	ck_assert_int_eq(held_add(b, 4096, 1), place[1]);
	ck_assert(held_chunk(b, (unsigned int)place[1], &c) && c.state == HELD_MAPPING);
	held_end(b);
}
END_TEST

/* Each is taken once; what nobody took is forgotten, with its chunks. */
START_TEST(taken_once)
{
	struct held *a = begun(1), *b = begun(2);
	struct held_session rest;
	struct held_chunk c;

	held_add(a, 0, 9);
	held_leave(a);
	held_leave(b);
	again();
	b = held_take(f, 2);
	ck_assert_ptr_nonnull(b);
	ck_assert_ptr_null(held_take(f, 2));
	ck_assert_ptr_null(held_take(f, 3));
	ck_assert_ptr_null(held_take(f, 0));
	ck_assert(held_rest(f, &rest));
	ck_assert_uint_eq(rest.id, 1);
	ck_assert_uint_eq(rest.pid, 31);
	ck_assert_uint_eq(rest.start, 32);
	ck_assert(!held_rest(f, &rest));
	ck_assert_ptr_null(held_take(f, 1));
	a = begun(4); /* at the place of the first */
	held_leave(a);
	held_leave(b);
	again();
	a = held_take(f, 4);
	ck_assert(!held_chunk(a, 0, &c));
	held_end(a);
	again();
	ck_assert_ptr_null(held_take(f, 4));
}
END_TEST

START_TEST(bounded)
{
	struct held *a = begun(1);

	for (unsigned int i = 0; i < HELD_CHUNKS; i++)
		ck_assert_int_eq(held_add(a, i, 1), (int)i);
	ck_assert_int_lt(held_add(a, 0, 1), 0);
	held_end(a);
	/* Nothing of it is left. */
	a = begun(2);
	ck_assert_int_eq(held_add(a, 0, 1), 0);
	held_end(a);
}
END_TEST

/* A place far behind others, as after removals; what is between them is not on file. */
START_TEST(far_apart)
{
	static const unsigned int places[] = {0, 63, 64, 1023, 2000, HELD_CHUNKS - 1};
	struct held *a = begun(1), *b = begun(2);
	struct held_chunk c;
	unsigned int at = 0;

	for (unsigned int i = 0; i < HELD_CHUNKS; i++)
		ck_assert_int_eq(held_add(a, i, 1), (int)i);
	for (unsigned int i = 0; i < HELD_CHUNKS; i++) {
		while (places[at] < i)
			at++;
		if (places[at] != i)
			held_remove(a, (int)i);
	}
	held_leave(a);
	held_leave(b);
	again();
	a = held_take(f, 1);
	b = held_take(f, 2);
	ck_assert_ptr_nonnull(a);
	ck_assert_ptr_nonnull(b);
	at = 0;
	for (unsigned int i = held_next(a, 0); i < HELD_CHUNKS; i = held_next(a, i + 1)) {
		ck_assert_uint_eq(i, places[at++]);
		ck_assert(held_chunk(a, i, &c) && c.address == i && c.pages == 1);
	}
	ck_assert_uint_eq(at, sizeof(places) / sizeof(places[0]));
	ck_assert_uint_eq(held_next(b, 0), HELD_CHUNKS);
	ck_assert_uint_eq(held_next(NULL, 0), HELD_CHUNKS);
	held_end(a);
	held_end(b);
}
END_TEST

/* A record in which only the last chunk is on file, and one that is damaged there. */
START_TEST(holes)
{
	const off_t last = 4096 + 4096 + (HELD_CHUNKS - 1) * (off_t)sizeof(struct held_chunk);
	struct held_chunk c = {.address = 4096, .pages = 3, .state = HELD_THERE};
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "%s/held", dir);
	for (int damaged = 0; damaged < 2; damaged++) {
		struct held *a = begun(1);

		held_leave(a);
		c.pages = damaged ? UINT32_MAX : 3;
		fd = open(path, O_WRONLY | O_CLOEXEC);
		ck_assert_int_eq(pwrite(fd, &c, sizeof(c), last), sizeof(c));
		close(fd);
		again();
		a = held_take(f, 1);
		ck_assert_int_eq(!a, damaged);
		if (a)
			ck_assert_uint_eq(held_next(a, 0), HELD_CHUNKS - 1);
		held_end(a);
	}
}
END_TEST

/* Something else under this name is replaced, a file that cannot be is an error. */
START_TEST(other_files)
{
	char path[80];
	FILE *x;

	held_close(f, dir, false);
	snprintf(path, sizeof(path), "%s/held", dir);
	x = fopen(path, "w");
	ck_assert_int_ge(fputs("something else, long enough to be one", x), 0);
	fclose(x);
	f = held_open(dir);
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_null(held_take(f, 1));
	held_close(f, dir, true);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_ptr_null(held_open(dir));
	ck_assert_int_eq(rmdir(path), 0);
	f = held_open(dir);
	/* Nothing is recorded of nothing. */
	ck_assert_int_eq(held_set_leased(NULL, 1), 0);
	ck_assert_int_eq(held_add(NULL, 0, 1), 0);
	held_remove(NULL, 0);
	held_end(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("held");
	TCase *t = tcase_create("held");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, up, down);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, all_is_there_again);
	tcase_add_test(t, taken_once);
	tcase_add_test(t, bounded);
	tcase_add_test(t, far_apart);
	tcase_add_test(t, holes);
	tcase_add_test(t, other_files);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
