/* SPDX-License-Identifier: MIT */
/* Names for arguments. What is not here is shown as a number. */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <linux/memfd.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "tests/gpu/trace/trace.h"

#define W(name)                                                                                    \
	{                                                                                          \
		(uint64_t)(name), #name                                                            \
	}

/* Several bits before one of them. The access mode is not among them. */
const struct word words_open[] = {W(O_TMPFILE),  W(O_DIRECTORY), W(O_CREAT),    W(O_EXCL),
				  W(O_TRUNC),    W(O_APPEND),    W(O_NONBLOCK), W(O_CLOEXEC),
				  W(O_NOFOLLOW), W(O_NOATIME),   W(O_PATH),     W(O_DIRECT),
				  W(O_SYNC),     W(O_DSYNC),     W(O_NOCTTY),   {}};
const struct word words_prot[] = {W(PROT_READ), W(PROT_WRITE), W(PROT_EXEC), {}};
const struct word words_map[] = {
	W(MAP_SHARED_VALIDATE), W(MAP_SHARED),    W(MAP_PRIVATE), W(MAP_ANONYMOUS), W(MAP_FIXED),
	W(MAP_FIXED_NOREPLACE), W(MAP_NORESERVE), W(MAP_STACK),   W(MAP_LOCKED),    W(MAP_POPULATE),
	W(MAP_HUGETLB),         W(MAP_DENYWRITE), W(MAP_32BIT),   W(MAP_GROWSDOWN), {}};
const struct word words_clone[] = {W(CLONE_VM),
				   W(CLONE_FS),
				   W(CLONE_FILES),
				   W(CLONE_SIGHAND),
				   W(CLONE_PTRACE),
				   W(CLONE_VFORK),
				   W(CLONE_PARENT),
				   W(CLONE_THREAD),
				   W(CLONE_NEWNS),
				   W(CLONE_SYSVSEM),
				   W(CLONE_SETTLS),
				   W(CLONE_PARENT_SETTID),
				   W(CLONE_CHILD_CLEARTID),
				   W(CLONE_DETACHED),
				   W(CLONE_UNTRACED),
				   W(CLONE_CHILD_SETTID),
				   W(CLONE_NEWCGROUP),
				   W(CLONE_NEWUTS),
				   W(CLONE_NEWIPC),
				   W(CLONE_NEWUSER),
				   W(CLONE_NEWPID),
				   W(CLONE_NEWNET),
				   W(CLONE_IO),
				   {}};
const struct word words_fcntl[] = {W(F_DUPFD),
				   W(F_GETFD),
				   W(F_SETFD),
				   W(F_GETFL),
				   W(F_SETFL),
				   W(F_GETLK),
				   W(F_SETLK),
				   W(F_SETLKW),
				   W(F_SETOWN),
				   W(F_GETOWN),
				   W(F_OFD_GETLK),
				   W(F_OFD_SETLK),
				   W(F_OFD_SETLKW),
				   W(F_SETPIPE_SZ),
				   W(F_GETPIPE_SZ),
				   W(F_ADD_SEALS),
				   W(F_GET_SEALS),
				   W(F_DUPFD_CLOEXEC),
				   {}};
const struct word words_prctl[] = {W(PR_SET_PDEATHSIG),
				   W(PR_GET_DUMPABLE),
				   W(PR_SET_DUMPABLE),
				   W(PR_SET_NAME),
				   W(PR_GET_NAME),
				   W(PR_GET_SECCOMP),
				   W(PR_SET_SECCOMP),
				   W(PR_CAPBSET_READ),
				   W(PR_CAPBSET_DROP),
				   W(PR_SET_TIMERSLACK),
				   W(PR_SET_NO_NEW_PRIVS),
				   W(PR_GET_NO_NEW_PRIVS),
				   W(PR_SET_CHILD_SUBREAPER),
				   W(PR_SET_PTRACER),
				   W(PR_SET_THP_DISABLE),
				   W(PR_CAP_AMBIENT),
				   W(PR_SET_VMA),
				   {}};
const struct word words_madvise[] = {W(MADV_NORMAL),        W(MADV_RANDOM),
				     W(MADV_SEQUENTIAL),    W(MADV_WILLNEED),
				     W(MADV_DONTNEED),      W(MADV_FREE),
				     W(MADV_REMOVE),        W(MADV_DONTFORK),
				     W(MADV_DOFORK),        W(MADV_HUGEPAGE),
				     W(MADV_NOHUGEPAGE),    W(MADV_DONTDUMP),
				     W(MADV_DODUMP),        W(MADV_WIPEONFORK),
				     {21, "MADV_PAGEOUT"},  {23, "MADV_POPULATE_WRITE"},
				     {25, "MADV_COLLAPSE"}, {}};
const struct word words_futex[] = {W(FUTEX_WAIT),
				   W(FUTEX_WAKE),
				   W(FUTEX_REQUEUE),
				   W(FUTEX_CMP_REQUEUE),
				   W(FUTEX_WAKE_OP),
				   W(FUTEX_LOCK_PI),
				   W(FUTEX_UNLOCK_PI),
				   W(FUTEX_TRYLOCK_PI),
				   W(FUTEX_WAIT_BITSET),
				   W(FUTEX_WAKE_BITSET),
				   {}};
const struct word words_family[] = {W(AF_UNIX),   W(AF_INET),  W(AF_INET6), W(AF_NETLINK),
				    W(AF_PACKET), W(AF_VSOCK), {}};
const struct word words_socket[] = {
	W(SOCK_STREAM), W(SOCK_DGRAM), W(SOCK_RAW), W(SOCK_SEQPACKET), {}};
const struct word words_memfd[] = {W(MFD_CLOEXEC), W(MFD_ALLOW_SEALING), W(MFD_HUGETLB), {}};
const struct word words_rlimit[] = {
	W(RLIMIT_AS),     W(RLIMIT_CORE),  W(RLIMIT_CPU),   W(RLIMIT_DATA),  W(RLIMIT_MEMLOCK),
	W(RLIMIT_NOFILE), W(RLIMIT_NPROC), W(RLIMIT_STACK), W(RLIMIT_FSIZE), {}};

static void append(char *out, size_t cap, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void append(char *out, size_t cap, const char *format, ...)
{
	size_t n = strlen(out);
	va_list args;

	va_start(args, format);
	vsnprintf(out + n, cap - n, format, args);
	va_end(args);
}

void words_bits(char *out, size_t cap, const struct word *w, uint64_t value)
{
	const char *between = "";

	for (; w->text; w++) {
		if ((value & w->value) != w->value)
			continue;
		append(out, cap, "%s%s", between, w->text);
		value &= ~w->value;
		between = "|";
	}
	if (value || !*between)
		append(out, cap, "%s0x%" PRIx64, between, value);
}

void words_one(char *out, size_t cap, const struct word *w, uint64_t value)
{
	while (w->text && w->value != value)
		w++;
	if (w->text)
		append(out, cap, "%s", w->text);
	else
		append(out, cap, "%" PRIu64, value);
}
