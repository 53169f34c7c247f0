/* SPDX-License-Identifier: MIT */
/* Memory and events that the sessions of one vGPU share: what pvgpud passes on, and its books. */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/daemon/xenctl_case.h"
#include "xen-pvgpu-back/daemon/core/held.h"
#include "xen-pvgpu-back/daemon/workers/parking.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"

#define MIB    (1ull << 20)
#define IMPORT 77u

static struct fake_worker *a, *b; /* the owner, and the one that imports */

static void say(struct fake_worker *k, const struct pvgpu_sup *m, int fd)
{
	ck_assert_int_eq(msg_send(k->control, m, sizeof(*m), &fd, fd >= 0), 0);
	fake_settle();
}

/* The next message of that kind, and its files, of which there are as many as the result says. */
static unsigned int hear(struct fake_worker *k, uint32_t kind, struct pvgpu_sup *m, int *fds)
{
	struct pvgpu_sup_assign big = {0};
	struct msg_in in;

	while (msg_recv(k->control, &big, sizeof(big), MSG_FDS_MAX, &in) > 0) {
		if (big.head.kind == kind) {
			*m = big.head;
			if (in.n)
				memcpy(fds, in.fds, in.n * sizeof(fds[0]));
			return in.n;
		}
		msg_close_fds(&in);
	}
	ck_abort_msg("no message of kind %u", kind);
}

static void open_two(void)
{
	lease_quota_known(fake.v);
	a = opened(SESSION);
	b = opened(SESSION + 1);
	a->w->shares = b->w->shares = true;
}

static void lease(struct fake_worker *k, uint64_t bytes)
{
	say(k, &(struct pvgpu_sup){.kind = PVGPU_SUP_LEASE, .id = 1, .a = bytes}, -1);
	ck_assert_uint_eq(k->w->leased, bytes);
}

static uint64_t number_of(const struct fake_worker *k, uint32_t n)
{
	return (uint64_t)k->w->id << 32 | n;
}

/* b asks for what a has, which answers with that file. pvgpud's answer to b. */
static struct pvgpu_sup shared(uint64_t bytes, int fd, unsigned int *files)
{
	const uint64_t number = number_of(a, 1);
	struct pvgpu_sup m;
	int got[MSG_FDS_MAX];

	say(b, &(struct pvgpu_sup){.kind = PVGPU_SUP_IMPORT, .id = IMPORT, .b = a->w->id}, -1);
	ck_assert_uint_eq(hear(a, PVGPU_SUP_WANTED, &m, got), 0);
	m = (struct pvgpu_sup){.kind = PVGPU_SUP_SHARED, .id = m.id, .b = number, .c = bytes};
	say(a, &m, fd);
	*files = hear(b, PVGPU_SUP_GIVEN, &m, got);
	for (unsigned int i = 0; i < *files; i++)
		close(got[i]);
	ck_assert_uint_eq(m.id, IMPORT);
	return m;
}

static int sealed_file(void)
{
	int fd = memfd_create("events", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	return fd;
}

/* Ends both, so that nothing is left on the books. */
static void both_end(void)
{
	fake_die(a);
	fake_die(b);
	fake_settle();
	ck_assert_uint_eq(ledger_used(&fake.v->ledger), 0);
	ck_assert_uint_eq(fake.v->xen_grants, 0);
}

/* In which kind of file the driver exports memory is not known: any passes but those below. */
static const uint64_t honest_bytes[] = {0, 4 * MIB};

START_TEST(passes_on)
{
	const uint64_t bytes = honest_bytes[_i];
	const int fd = bytes ? eventfd(0, EFD_CLOEXEC) : sealed_file();
	unsigned int files;

	open_two();
	lease(a, 8 * MIB);
	ck_assert_uint_eq(shared(bytes, fd, &files).a, 0);
	ck_assert_uint_eq(files, 1);
	ck_assert(!a->w->killed);
	ck_assert_uint_eq(b->w->imported, bytes);
	close(fd);
	both_end();
}
END_TEST

enum file { CHUNK, RING, CHANNEL, SOCKET, EVENTS };

static const struct {
	enum file file;
	uint64_t bytes;
} foreign[] = {
	{CHUNK, 0},     {CHUNK, MIB}, {RING, 0},     {RING, MIB}, {CHANNEL, 0},
	{CHANNEL, MIB}, {SOCKET, 0},  {SOCKET, MIB}, {EVENTS, 0},
};

/* A file that the owner's worker has; the caller closes it. */
static int file_of(enum file file)
{
	int fds[MSG_FDS_MAX] = {0}, fd = -1;
	struct pvgpu_sup m;
	unsigned int n;
	uint32_t id;

	switch (file) {
	case CHUNK:
		id = ask_chunk(PVGPU_CTL_CHUNK_ADD, SESSION, BASE, 64 * 4096);
		ck_assert_uint_eq(hear(a, PVGPU_SUP_CHUNK_ADD, &m, &fd), 1);
		say(a, &(struct pvgpu_sup){.kind = PVGPU_SUP_CHUNKED, .id = m.id}, -1);
		answer(PVGPU_CTL_CHUNK_ADD, id, 0);
		break;
	case RING:
	case CHANNEL:
		n = hear(a, PVGPU_SUP_ASSIGN, &m, fds);
		ck_assert_uint_ge(n, 2);
		fd = fds[file == CHANNEL];
		for (unsigned int i = 0; i < n; i++)
			if (fds[i] != fd)
				close(fds[i]);
		break;
	case SOCKET:
		fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		break;
	case EVENTS:
		fd = eventfd(0, EFD_CLOEXEC);
		break;
	}
	ck_assert_int_ge(fd, 0);
	return fd;
}

/* With another worker's copy its grants would stay mapped after they were counted back. */
START_TEST(passes_on_nothing_else)
{
	unsigned int files;
	int fd;

	open_two();
	lease(a, 8 * MIB);
	fd = file_of(foreign[_i].file);
	ck_assert_uint_ne(shared(foreign[_i].bytes, fd, &files).a, 0);
	ck_assert_uint_eq(files, 0);
	close(fd);
	ck_assert_uint_eq(fake.v->kills, 1);
	ck_assert_ptr_nonnull(strstr(fake.v->last_reason, "shares a file of another kind"));
	ck_assert_uint_eq(fake.v->quarantine.faults, 1);
	/* Nothing is left but what the other one has. */
	ck_assert_uint_eq(fake.v->sessions, 1);
	ck_assert_uint_eq(fake.v->xen_grants, b->w->grants);
	ck_assert_uint_eq(b->w->imported, 0);
	ck_assert(!b->w->killed);
}
END_TEST

/* An operator has it park so many bytes. */
static void park(struct fake_worker *k, uint64_t bytes)
{
	struct pvgpu_sup_assign m;
	unsigned int fds;
	char why[160];

	k->w->parking.knows = true;
	ck_assert(parking_want(fake.v, true, why, sizeof(why)));
	while (!fake_hear(k, PVGPU_SUP_PARK, &m, &fds))
		ev_run(fake.d.loop, EVRUN_ONCE);
	say(k, &(struct pvgpu_sup){.kind = PVGPU_SUP_PARKED, .id = m.head.id, .a = bytes}, -1);
	ck_assert_uint_eq(k->w->parking.bytes, bytes);
}

/* The next pvgpud believes no worker that has more than is on record, and ends it. */
START_TEST(parked_bytes_stay_on_record)
{
	const int fd = sealed_file();
	unsigned int files;

	open_two();
	b->w->sealed = true;
	lease(a, 8 * MIB);
	lease(b, 8 * MIB);
	ck_assert_uint_eq(shared(4 * MIB, fd, &files).a, 0);
	close(fd);
	park(b, 6 * MIB);
	ck_assert_uint_eq(held_session(b->w->held)->leased, 8 * MIB);
	fake_die(a);
	fake_settle();
	ck_assert_uint_eq(b->w->leased, 6 * MIB);
	ck_assert_uint_eq(held_session(b->w->held)->leased, 12 * MIB);
	fake_die(b);
	fake_settle();
	ck_assert_uint_eq(ledger_used(&fake.v->ledger), 0);
}
END_TEST

static void tell_state(struct fake_worker *k)
{
	struct pvgpu_sup m = {.kind = PVGPU_SUP_STATE,
			      .session = k->w->id,
			      .a = k->w->leased,
			      .b = k->w->number,
			      .knows = PVGPU_SUP_KNOWS_ALL};

	strcpy(m.vgpu, fake.v->cfg.name);
	say(k, &m, -1);
	ck_assert_int_eq(k->w->state, CHECK_SERVING);
}

static void has(struct fake_worker *k, uint64_t number, uint64_t bytes)
{
	say(k, &(struct pvgpu_sup){.kind = PVGPU_SUP_HELD, .b = number, .c = bytes}, -1);
}

/* Both are adopted, and b has told that it has so many bytes of a's. */
static void adopted_with(uint64_t of_a, uint64_t of_b, uint64_t bytes)
{
	open_two();
	lease(a, of_a);
	lease(b, of_b);
	fake_restart();
	lease_quota_known(fake.v);
	a = fake_serving(SESSION);
	b = fake_serving(SESSION + 1);
	tell_state(b);
	has(b, number_of(a, 1), bytes);
	ck_assert_uint_eq(b->w->imported, bytes);
	ck_assert(!b->w->killed);
}

/* The bytes were in its lease, which holds more than is free beside it. */
START_TEST(owner_dies_while_adopted)
{
	adopted_with(600 * MIB, 100 * MIB, 500 * MIB);
	fake_die(a);
	fake_settle();
	ck_assert_uint_eq(fake.v->quarantine.faults, 0);
	ck_assert_uint_eq(b->w->leased, 600 * MIB);
	ck_assert_uint_eq(b->w->exported, 500 * MIB);
	ck_assert_uint_eq(b->w->imported, 0);
	ck_assert_uint_eq(held_session(b->w->held)->leased, 600 * MIB);
	ck_assert_uint_eq(ledger_used(&fake.v->ledger), 600 * MIB);
	fake_die(b);
	fake_settle();
	ck_assert_uint_eq(ledger_used(&fake.v->ledger), 0);
}
END_TEST

/* Its lease was never so large, and so much is not free. */
START_TEST(makes_up_what_it_has_of_a_dead_one)
{
	adopted_with(600 * MIB, 400 * MIB, 700 * MIB);
	fake_die(a);
	fake_settle();
	ck_assert_uint_eq(fake.v->quarantine.faults, 1);
	ck_assert_ptr_nonnull(strstr(fake.v->last_reason, "claims to have 734003200 shared bytes"));
	ck_assert_uint_eq(fake.v->sessions, 0);
	ck_assert_uint_eq(ledger_used(&fake.v->ledger), 0);
}
END_TEST

/* Each would make pvgpud keep something. */
START_TEST(answers_unasked)
{
	struct pvgpu_sup m = {.kind = PVGPU_SUP_SHARED, .id = 1};
	const int fd = sealed_file();
	unsigned int files;

	open_two();
	if (_i)
		ck_assert_uint_eq(shared(0, fd, &files).a, 0);
	ck_assert(!a->w->killed);
	m.b = number_of(a, 2);
	say(a, &m, fd);
	close(fd);
	ck_assert_uint_eq(fake.v->quarantine.faults, 1);
	ck_assert_ptr_nonnull(strstr(fake.v->last_reason, "for which no other worker has asked"));
	ck_assert_uint_eq(fake.v->sessions, 1);
	fake_die(b);
	fake_settle();
	ck_assert_uint_eq(ledger_used(&fake.v->ledger), 0);
}
END_TEST

/* A worker may answer a former pvgpud's question while this one waits for its first answer: the
 * numbers are not the same. */
START_TEST(asks_with_numbers_of_its_own)
{
	struct pvgpu_sup import = {.kind = PVGPU_SUP_IMPORT, .id = IMPORT};
	struct pvgpu_sup former, m;

	open_two();
	import.b = a->w->id;
	say(b, &import, -1);
	hear(a, PVGPU_SUP_WANTED, &former, NULL);
	fake.d.next_wish = 0;
	say(b, &import, -1);
	hear(a, PVGPU_SUP_WANTED, &m, NULL);
	ck_assert_uint_ne(m.id, former.id);
	both_end();
}
END_TEST

/* It cannot know that its importer has ended. */
START_TEST(answers_late)
{
	const int fd = sealed_file();
	struct pvgpu_sup m;

	open_two();
	say(b, &(struct pvgpu_sup){.kind = PVGPU_SUP_IMPORT, .id = IMPORT, .b = a->w->id}, -1);
	hear(a, PVGPU_SUP_WANTED, &m, NULL);
	fake_die(b);
	fake_settle();
	m = (struct pvgpu_sup){.kind = PVGPU_SUP_SHARED, .id = m.id, .b = number_of(a, 1)};
	say(a, &m, fd);
	close(fd);
	ck_assert(!a->w->killed);
	ck_assert_uint_eq(a->w->holdings_n, 1);
	fake_die(a);
	fake_settle();
}
END_TEST

#define OWES_FORMER 4096u
#define OWES_MOST   8192u

/* A former pvgpud has asked for these. */
START_TEST(answers_its_former_pvgpud)
{
	const struct pvgpu_sup m = {.kind = PVGPU_SUP_SHARED, .id = 1, .a = 1};

	open_two();
	fake_restart();
	a = fake_serving(SESSION);
	tell_state(a);
	for (unsigned int i = 0; i < OWES_FORMER; i++)
		exports_shared(a->w, &m, -1);
	ck_assert(!a->w->killed);
	exports_shared(a->w, &m, -1);
	ck_assert(a->w->killed);
	ck_assert_ptr_nonnull(strstr(a->w->reason, "for which no other worker has asked"));
	fake_settle();
	ck_assert_uint_eq(fake.v->quarantine.faults, 1);
}
END_TEST

/* It is asked no more when it answers none. */
START_TEST(owes_many_answers)
{
	struct pvgpu_sup_assign big;
	struct pvgpu_sup m = {.kind = PVGPU_SUP_IMPORT, .id = IMPORT};
	unsigned int fds;

	open_two();
	m.b = a->w->id;
	a->w->owes = OWES_MOST - 1;
	say(b, &m, -1);
	ck_assert(fake_hear(a, PVGPU_SUP_WANTED, &big, &fds));
	ck_assert_uint_eq(a->w->owes, OWES_MOST);
	say(b, &m, -1);
	ck_assert(!fake_hear(a, PVGPU_SUP_WANTED, &big, &fds));
	ck_assert_uint_eq(a->w->owes, OWES_MOST);
	ck_assert(fake_hear(b, PVGPU_SUP_GIVEN, &big, &fds));
	ck_assert_uint_ne(big.head.a, 0);
	both_end();
}
END_TEST

static void add(TCase *t)
{
	LOOP(passes_on, COUNT(honest_bytes));
	LOOP(passes_on_nothing_else, COUNT(foreign));
	tcase_add_test(t, asks_with_numbers_of_its_own);
	tcase_add_test(t, parked_bytes_stay_on_record);
	tcase_add_test(t, owner_dies_while_adopted);
	tcase_add_test(t, makes_up_what_it_has_of_a_dead_one);
	LOOP(answers_unasked, 2);
	tcase_add_test(t, answers_late);
	tcase_add_test(t, answers_its_former_pvgpud);
	tcase_add_test(t, owes_many_answers);
}

int main(void)
{
	return run_xenctl_tests("exports", add);
}
