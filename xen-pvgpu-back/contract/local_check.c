/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/contract/local_check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ring/ring.h"
#include "xen-pvgpu-back/contract/gate.h"

#define CHUNK_MAX        (1ull << 30) /* PVGPU_CHUNK_MAX of the protocol */
#define CHUNK_UNIT       4096ull
#define ERRNO_MAX        4095u
#define RESULT_MAX       9999u /* above every CUresult */

#define REFUSE(err, ...) (snprintf(reason, CHECK_REASON, __VA_ARGS__), -(err))

int check_vgpu_name(const char *name)
{
	size_t n = strnlen(name, 40);

	if (n == 0 || n > 39 || name[0] == '.' || name[0] == '-')
		return -EINVAL;
	if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != n)
		return -EINVAL;
	return 0;
}

/* For the log: text from a peer must end with NUL and hold no control characters. */
static void make_printable(char *s, size_t cap)
{
	s[cap - 1] = '\0';
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || (unsigned char)*s >= 0x7f)
			*s = '?';
}

static int check_stream(uint32_t *size, uint32_t dflt, const char *what, char *reason)
{
	if (!*size)
		*size = dflt;
	if (!pvgpu_ring_size_ok(*size))
		return REFUSE(EINVAL,
			      "%s stream of %" PRIu32
			      " bytes: must be a power of two from %u to %u",
			      what, *size, PVGPU_RING_MIN, PVGPU_RING_MAX);
	return 0;
}

int check_open(struct pvgpu_local_open *m, size_t len, char reason[CHECK_REASON])
{
	int err;

	if (len != sizeof(*m))
		return REFUSE(EPROTO, "open request of %zu bytes, %zu expected", len, sizeof(*m));
	if (m->magic != PVGPU_LOCAL_MAGIC)
		return REFUSE(EPROTO, "open request begins with %#x: not pvgpu's magic number",
			      m->magic);
	if (m->version != PVGPU_LOCAL_VERSION)
		return REFUSE(EPROTONOSUPPORT,
			      "local link version %" PRIu32 ", this backend speaks %u", m->version,
			      PVGPU_LOCAL_VERSION);
	err = check_stream(&m->cmd_size, PVGPU_RING_CMD_DEFAULT, "command", reason);
	if (!err)
		err = check_stream(&m->rep_size, PVGPU_RING_REP_DEFAULT, "reply", reason);
	make_printable(m->comm, sizeof(m->comm));
	return err;
}

bool check_is_ask(const struct pvgpu_local_open *m, size_t len, uint32_t question)
{
	return len == sizeof(*m) && m->magic == PVGPU_LOCAL_MAGIC && m->version == question;
}

int check_chunk_place(uint32_t op, uint64_t address, uint64_t size, const struct check_arena *a,
		      char reason[CHECK_REASON])
{
	if (!a->size)
		return REFUSE(EPROTO, "chunk request before the windows are settled");
	if (!size || size % CHUNK_UNIT || size > CHUNK_MAX || address % CHUNK_UNIT)
		return REFUSE(EPROTO, "chunk of %" PRIu64 " bytes at %#" PRIx64, size, address);
	if (address < a->base || address - a->base > a->size ||
	    size > a->size - (address - a->base))
		return REFUSE(EPROTO,
			      "chunk of %" PRIu64 " bytes at %#" PRIx64 " outside the arena window",
			      size, address);
	if (op == PVGPU_CHUNK_ADD && (a->used > a->limit || size > a->limit - a->used))
		return REFUSE(ENOMEM, "the arena's limit of %" PRIu64 " bytes is reached",
			      a->limit);
	return 0;
}

int check_chunk(const struct pvgpu_local_chunk *m, size_t len, unsigned int fds,
		const struct check_arena *a, char reason[CHECK_REASON])
{
	if (len != sizeof(*m))
		return REFUSE(EPROTO, "chunk request of %zu bytes, %zu expected", len, sizeof(*m));
	if (m->magic != PVGPU_LOCAL_MAGIC)
		return REFUSE(EPROTO, "chunk request begins with %#x", m->magic);
	if (m->op != PVGPU_CHUNK_ADD && m->op != PVGPU_CHUNK_REMOVE)
		return REFUSE(EPROTO, "chunk request with operation %" PRIu32, m->op);
	if (fds != (m->op == PVGPU_CHUNK_ADD ? 1u : 0u))
		return REFUSE(EPROTO, "chunk request with %u fds", fds);
	return check_chunk_place(m->op, m->address, m->size, a, reason);
}

int check_chunk_fd(int fd, uint64_t size, char reason[CHECK_REASON])
{
	const int need = F_SEAL_SHRINK | F_SEAL_SEAL;
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & need) != need)
		return REFUSE(EPROTO, "chunk's fd is not a sealed memfd");
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 0 ||
	    (uint64_t)st.st_size != size)
		return REFUSE(EPROTO, "chunk's memfd is not of %" PRIu64 " bytes", size);
	return 0;
}

/* The messages of a worker, and the states in which each is allowed. */
struct row {
	uint32_t kind;
	unsigned int states; /* bits of enum check_worker_state */
	const char *name;
};
#define IN(s) (1u << (s))
static const struct row from_worker[] = {
	{PVGPU_SUP_READY, IN(CHECK_STARTING), "READY"},
	{PVGPU_SUP_TAKEN, IN(CHECK_SERVING), "TAKEN"},
	{PVGPU_SUP_SEALED, IN(CHECK_SERVING), "SEALED"},
	{PVGPU_SUP_LEASE, IN(CHECK_SERVING), "LEASE"},
	{PVGPU_SUP_RETURN, IN(CHECK_SERVING), "RETURN"},
	{PVGPU_SUP_STATE, IN(CHECK_ADOPTING), "STATE"},
	{PVGPU_SUP_MEMINFO, IN(CHECK_SERVING), "MEMINFO"},
	{PVGPU_SUP_CHUNKED, IN(CHECK_SERVING), "CHUNKED"},
	{PVGPU_SUP_IMPORT, IN(CHECK_SERVING), "IMPORT"},
	{PVGPU_SUP_SHARED, IN(CHECK_SERVING), "SHARED"},
	{PVGPU_SUP_DROP, IN(CHECK_SERVING), "DROP"},
	{PVGPU_SUP_HELD, IN(CHECK_SERVING), "HELD"},
	{PVGPU_SUP_CANARIED, IN(CHECK_CANARY), "CANARIED"},
	{PVGPU_SUP_PARKED, IN(CHECK_SERVING), "PARKED"},
	{PVGPU_SUP_RESUME, IN(CHECK_SERVING), "RESUME"},
	{PVGPU_SUP_RESUMED, IN(CHECK_SERVING), "RESUMED"},
	{PVGPU_SUP_ENDED,
	 IN(CHECK_STARTING) | IN(CHECK_SPARE) | IN(CHECK_CANARY) | IN(CHECK_SERVING) |
		 IN(CHECK_ADOPTING),
	 "ENDED"},
};

int check_from_worker(struct pvgpu_sup *m, size_t len, unsigned int fds,
		      enum check_worker_state state, char reason[CHECK_REASON])
{
	const unsigned int want = m->kind == PVGPU_SUP_SHARED && !m->a;
	const struct row *r = NULL;

	if (len != sizeof(*m))
		return REFUSE(EPROTO, "message of %zu bytes, %zu expected", len, sizeof(*m));
	for (size_t i = 0; i < sizeof(from_worker) / sizeof(from_worker[0]); i++)
		if (from_worker[i].kind == m->kind)
			r = &from_worker[i];
	if (!r)
		return REFUSE(EPROTO, "message of unknown kind %" PRIu32, m->kind);
	if (!(r->states & IN(state)))
		return REFUSE(EPROTO, "%s out of turn", r->name);
	if (fds != want)
		return REFUSE(EPROTO, "%s with %u file descriptors, %u expected", r->name, fds,
			      want);
	make_printable(m->vgpu, sizeof(m->vgpu));
	if (m->kind != PVGPU_SUP_IMPORT)
		make_printable(m->reason, sizeof(m->reason));
	if ((m->kind == PVGPU_SUP_SHARED && m->a > RESULT_MAX) ||
	    (m->kind == PVGPU_SUP_HELD && m->a > 1))
		return REFUSE(EPROTO, "%s with an invalid result", r->name);
	if (m->kind == PVGPU_SUP_ENDED && m->a >= PVGPU_ENDS)
		return REFUSE(EPROTO, "ENDED with cause %" PRIu64, m->a);
	if ((m->kind == PVGPU_SUP_ENDED && (m->b > RESULT_MAX || m->c > 1)) ||
	    (m->kind == PVGPU_SUP_CANARIED && m->a > RESULT_MAX))
		return REFUSE(EPROTO, "%s with an invalid result", r->name);
	if (m->kind == PVGPU_SUP_CHUNKED && m->a > ERRNO_MAX)
		return REFUSE(EPROTO, "CHUNKED with error %" PRIu64, m->a);
	if ((m->kind == PVGPU_SUP_LEASE || m->kind == PVGPU_SUP_RETURN ||
	     m->kind == PVGPU_SUP_RESUME) &&
	    !m->a)
		return REFUSE(EPROTO, "%s of 0 bytes", r->name);
	return 0;
}

static int check_assign(const struct pvgpu_sup_assign *m, size_t len, enum check_serves serves,
			unsigned int fds, char *reason)
{
	if (len != sizeof(*m) || serves != CHECK_NOTHING_YET)
		return REFUSE(EPROTO, "ASSIGN of %zu bytes or out of turn", len);
	if (m->link != PVGPU_SUP_LINK_LOCAL && m->link != PVGPU_SUP_LINK_XEN)
		return REFUSE(EPROTO, "ASSIGN with link %" PRIu32, m->link);
	if (m->link == PVGPU_SUP_LINK_XEN ? fds != PVGPU_SUP_XEN_FDS
					  : fds != PVGPU_SUP_FDS && fds != PVGPU_SUP_FDS - 1)
		return REFUSE(EPROTO, "ASSIGN with %u fds", fds);
	if (m->flags & ~(PVGPU_SUP_NO_ZERO_COPY | PVGPU_SUP_CONFIDENTIAL))
		return REFUSE(EPROTO, "ASSIGN with flags %#" PRIx32, m->flags);
	if (!pvgpu_ring_size_ok(m->cmd_size) || !pvgpu_ring_size_ok(m->rep_size))
		return REFUSE(EPROTO, "ASSIGN with ring sizes %" PRIu32 " and %" PRIu32,
			      m->cmd_size, m->rep_size);
	return 0;
}

/* The messages of pvgpud, the workers that each may go to, and its number of fds. */
static const struct {
	uint32_t kind;
	unsigned int serves; /* bits of enum check_serves */
	unsigned int fds;
} from_daemon[] = {
#define SESSION (IN(CHECK_LOCAL_SESSION) | IN(CHECK_XEN_SESSION))
#define ANY     (IN(CHECK_NOTHING_YET) | SESSION)
	{PVGPU_SUP_LEASED, ANY, 0},
	{PVGPU_SUP_DRAIN, ANY, 0},
	{PVGPU_SUP_MEMINFO, ANY, 0},
	{PVGPU_SUP_LOG, ANY, 1},
	{PVGPU_SUP_GATE, SESSION, PVGPU_GATE_FDS},
	{PVGPU_SUP_CHUNK_ADD, IN(CHECK_XEN_SESSION), 1},
	{PVGPU_SUP_CHUNK_REMOVE, IN(CHECK_XEN_SESSION), 0},
	{PVGPU_SUP_CLOSE, IN(CHECK_XEN_SESSION), 0},
	{PVGPU_SUP_CANARY, IN(CHECK_NOTHING_YET), 0},
	{PVGPU_SUP_WANTED, SESSION, 0},
	{PVGPU_SUP_GIVEN, SESSION, 0},
	{PVGPU_SUP_CHARGED, SESSION, 0},
	{PVGPU_SUP_LEFT, SESSION, 0},
	{PVGPU_SUP_PARK, SESSION, 0},
};

int check_from_daemon(void *msg, size_t len, enum check_serves serves, unsigned int fds,
		      char reason[CHECK_REASON])
{
	struct pvgpu_sup *m = msg;

	if (len < sizeof(*m))
		return REFUSE(EPROTO, "message of %zu bytes", len);
	m->vgpu[sizeof(m->vgpu) - 1] = '\0';
	if (m->kind == PVGPU_SUP_ASSIGN)
		return check_assign(msg, len, serves, fds, reason);
	for (size_t i = 0; i < sizeof(from_daemon) / sizeof(from_daemon[0]); i++) {
		if (from_daemon[i].kind != m->kind || !(from_daemon[i].serves & IN(serves)))
			continue;
		if (len == sizeof(*m) &&
		    fds == from_daemon[i].fds + (m->kind == PVGPU_SUP_GIVEN && !m->a))
			return 0;
		return REFUSE(EPROTO, "message of kind %" PRIu32 ", %zu bytes, with %u fds",
			      m->kind, len, fds);
	}
	return REFUSE(EPROTO, "message of kind %" PRIu32 " out of turn", m->kind);
}
