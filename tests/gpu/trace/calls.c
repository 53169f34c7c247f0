/* SPDX-License-Identifier: MIT */
/* What a call's arguments say, as a row's key. All is read from the stopped thread as it enters. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/gpu/trace/trace.h"

#define PAGE        4096u
#define NV_TYPE     'F' /* of the requests of /dev/nvidia* */
#define NV_CONTROL  0x2a
#define NV_ALLOC    0x2b
#define NV_TRANSFER 211 /* carries another request, too large for its own number */

/* ---- the thread's memory and files ---- */

static bool read_mem(pid_t tid, uint64_t at, void *to, size_t n)
{
	struct iovec local = {to, n}, far = {(void *)(uintptr_t)at, n};
	char word[sizeof(long)];

	if (process_vm_readv(tid, &local, 1, &far, 1, 0) == (ssize_t)n)
		return true;
	for (size_t i = 0; i < n; i += sizeof(word)) {
		size_t part = n - i < sizeof(word) ? n - i : sizeof(word);
		long got;

		errno = 0;
		got = ptrace(PTRACE_PEEKDATA, tid, (void *)(uintptr_t)(at + i), NULL);
		if (errno)
			return false;
		memcpy((char *)to + i, &got, part);
	}
	return true;
}

/* A string, cut where the room ends. */
static void read_text(pid_t tid, uint64_t at, char *to, size_t cap)
{
	size_t n = 0;

	to[0] = '\0';
	while (at && n < cap - 1) {
		size_t part = PAGE - (at + n) % PAGE, room = cap - 1 - n;

		part = part < room ? part : room;
		part = part < 64 ? part : 64;
		if (!read_mem(tid, at + n, to + n, part)) {
			snprintf(to + n, cap - n, "%s", n ? "" : "<unreadable>");
			return;
		}
		to[n + part] = '\0';
		if (strlen(to + n) < part)
			return;
		n += part;
	}
}

/* Where a link in the thread's folder of /proc leads; "" where it cannot be read. */
static void read_link(pid_t tid, const char *name, char *to, size_t cap)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/%s", tid, name);
	n = readlink(link, to, cap - 1);
	to[n < 0 ? 0 : n] = '\0';
}

static void read_fd(pid_t tid, uint64_t fd, char *to, size_t cap)
{
	char name[32];

	snprintf(name, sizeof(name), "fd/%d", (int)fd);
	read_link(tid, name, to, cap);
}

static void name_fd(const struct entry *e, uint64_t fd, struct key *k)
{
	char path[PATH_MAX];

	read_fd(e->tid, fd, path, sizeof(path));
	mask_path(path[0] ? path : "<not open>", k->name, sizeof(k->name));
}

/* A path argument, from the folder `dir` where it is relative. */
static bool name_path(const struct entry *e, uint64_t dir, uint64_t at, struct key *k)
{
	char path[PATH_MAX], whole[2 * PATH_MAX];
	size_t n;

	read_text(e->tid, at, path, sizeof(path));
	if (path[0] == '/' || path[0] == '<') {
		mask_path(path, k->name, sizeof(k->name));
		return true;
	}
	if (!path[0])
		return false;
	if ((int)dir == AT_FDCWD)
		read_link(e->tid, "cwd", whole, PATH_MAX);
	else
		read_fd(e->tid, dir, whole, PATH_MAX);
	n = strlen(whole);
	snprintf(whole + n, sizeof(whole) - n, "/%s", path);
	mask_path(whole, k->name, sizeof(k->name));
	return true;
}

/* ---- files ---- */

static void open_flags(uint64_t flags, struct key *k)
{
	static const char *const modes[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};
	uint64_t more = flags & ~(uint64_t)O_ACCMODE;

	snprintf(k->a, sizeof(k->a), "%s%s", modes[flags & O_ACCMODE], more ? "|" : "");
	if (more)
		words_bits(k->a, sizeof(k->a), words_open, more);
}

static bool on_open(const struct entry *e, struct key *k)
{
	open_flags(e->args[1], k);
	return name_path(e, (uint64_t)AT_FDCWD, e->args[0], k);
}

static bool on_openat(const struct entry *e, struct key *k)
{
	open_flags(e->args[2], k);
	return name_path(e, e->args[0], e->args[1], k);
}

static bool on_openat2(const struct entry *e, struct key *k)
{
	struct open_how how = {};

	if (read_mem(e->tid, e->args[2], &how, sizeof(how)))
		open_flags(how.flags, k);
	return name_path(e, e->args[0], e->args[1], k);
}

static bool on_path(const struct entry *e, struct key *k)
{
	return name_path(e, (uint64_t)AT_FDCWD, e->args[0], k);
}

static bool on_path_at(const struct entry *e, struct key *k)
{
	return name_path(e, e->args[0], e->args[1], k);
}

static bool on_connect(const struct entry *e, struct key *k)
{
	struct sockaddr_un a = {};
	size_t n = e->args[2] < sizeof(a) ? (size_t)e->args[2] : sizeof(a);

	if (n < sizeof(a.sun_family) || !read_mem(e->tid, e->args[1], &a, n))
		return false;
	words_one(k->a, sizeof(k->a), words_family, a.sun_family);
	if (a.sun_family != AF_UNIX) {
		k->group = DETAILS;
		return true;
	}
	a.sun_path[sizeof(a.sun_path) - 1] = '\0';
	if (a.sun_path[0])
		mask_path(a.sun_path, k->name, sizeof(k->name));
	else
		snprintf(k->name, sizeof(k->name), "<%s>", n > 2 ? "abstract" : "unnamed");
	return true;
}

static bool on_memfd(const struct entry *e, struct key *k)
{
	char name[64];

	read_text(e->tid, e->args[0], name, sizeof(name));
	snprintf(k->name, sizeof(k->name), "memfd:%s", name);
	words_bits(k->a, sizeof(k->a), words_memfd, e->args[1]);
	return true;
}

/* ---- ioctls ---- */

/* NVIDIA's resource manager has two requests for nearly all; what they ask for is in their
 * parameters: a command, or the class of an object. */
static void rm_request(const struct entry *e, struct key *k)
{
	uint64_t at = e->args[2], nr = e->args[1] & 0xff;
	uint32_t p[4];
	size_t n;

	if (!read_mem(e->tid, at, p, sizeof(p)))
		return;
	if (nr == NV_TRANSFER) {
		nr = p[0];
		snprintf(k->b, sizeof(k->b), "transfer 0x%02x of %u bytes", p[0], p[1]);
		memcpy(&at, &p[2], sizeof(at));
		if (!read_mem(e->tid, at, p, sizeof(p)))
			return;
	}
	n = strlen(k->b);
	if (nr == NV_CONTROL)
		snprintf(k->b + n, sizeof(k->b) - n, "%scmd 0x%08x", n ? " " : "", p[2]);
	else if (nr == NV_ALLOC)
		snprintf(k->b + n, sizeof(k->b) - n, "%sclass 0x%04x", n ? " " : "", p[3]);
}

static bool on_ioctl(const struct entry *e, struct key *k)
{
	name_fd(e, e->args[0], k);
	snprintf(k->a, sizeof(k->a), "0x%08x", (uint32_t)e->args[1]);
	if (!strncmp(k->name, "/dev/nvidia", 11) && (e->args[1] >> 8 & 0xff) == NV_TYPE)
		rm_request(e, k);
	return true;
}

/* ---- maps ---- */

static void prot(uint64_t value, struct key *k)
{
	if (value == PROT_NONE)
		snprintf(k->a, sizeof(k->a), "PROT_NONE");
	else
		words_bits(k->a, sizeof(k->a), words_prot, value);
}

static bool on_mmap(const struct entry *e, struct key *k)
{
	if (e->args[3] & MAP_ANONYMOUS)
		snprintf(k->name, sizeof(k->name), "anonymous");
	else
		name_fd(e, e->args[4], k);
	prot(e->args[2], k);
	words_bits(k->b, sizeof(k->b), words_map, e->args[3]);
	return true;
}

static bool on_mprotect(const struct entry *e, struct key *k)
{
	prot(e->args[2], k);
	return true;
}

/* ---- details ---- */

static void signal_name(int sig, char *out, size_t cap)
{
	const char *name = sigabbrev_np(sig);

	if (name)
		snprintf(out, cap, "SIG%s", name);
	else if (sig >= 32)
		snprintf(out, cap, "SIGRTMIN+%d", sig - 32);
	else
		snprintf(out, cap, "%d", sig);
}

static void clone_flags(uint64_t flags, uint64_t exit_signal, struct key *k)
{
	words_bits(k->a, sizeof(k->a), words_clone, flags);
	signal_name((int)exit_signal, k->b, sizeof(k->b));
}

static bool on_clone(const struct entry *e, struct key *k)
{
	clone_flags(e->args[0] & ~(uint64_t)0xff, e->args[0] & 0xff, k);
	return true;
}

static bool on_clone3(const struct entry *e, struct key *k)
{
	struct clone_args a = {};

	if (!read_mem(e->tid, e->args[0], &a, CLONE_ARGS_SIZE_VER0))
		return false;
	clone_flags(a.flags, a.exit_signal, k);
	return true;
}

static bool on_fcntl(const struct entry *e, struct key *k)
{
	words_one(k->a, sizeof(k->a), words_fcntl, e->args[1]);
	return true;
}

static bool on_prctl(const struct entry *e, struct key *k)
{
	words_one(k->a, sizeof(k->a), words_prctl, e->args[0]);
	return true;
}

static bool on_madvise(const struct entry *e, struct key *k)
{
	words_one(k->a, sizeof(k->a), words_madvise, e->args[2]);
	return true;
}

static bool on_futex(const struct entry *e, struct key *k)
{
	words_one(k->a, sizeof(k->a), words_futex, e->args[1] & 0x7f);
	if (e->args[1] & 0x80)
		snprintf(k->b, sizeof(k->b), "private");
	return true;
}

static bool on_socket(const struct entry *e, struct key *k)
{
	words_one(k->a, sizeof(k->a), words_family, e->args[0]);
	words_one(k->b, sizeof(k->b), words_socket, e->args[1] & 0xf);
	return true;
}

static bool on_number(const struct entry *e, struct key *k)
{
	snprintf(k->a, sizeof(k->a), "%" PRIu64, e->args[0]);
	return true;
}

static bool on_rlimit(const struct entry *e, struct key *k)
{
	words_one(k->a, sizeof(k->a), words_rlimit, e->args[0]);
	return true;
}

static bool on_prlimit(const struct entry *e, struct key *k)
{
	words_one(k->a, sizeof(k->a), words_rlimit, e->args[1]);
	snprintf(k->b, sizeof(k->b), e->args[2] ? "set" : "get");
	return true;
}

static void on_signal(const struct entry *e, struct key *k, uint64_t sig)
{
	pid_t to = (pid_t)e->args[0];

	signal_name((int)sig, k->a, sizeof(k->a));
	snprintf(k->b, sizeof(k->b), to == e->pid || to == e->tid ? "to itself" : "to another");
}

/* kill, tkill, rt_sigqueueinfo */
static bool on_kill(const struct entry *e, struct key *k)
{
	on_signal(e, k, e->args[1]);
	return true;
}

/* tgkill, rt_tgsigqueueinfo */
static bool on_tgkill(const struct entry *e, struct key *k)
{
	on_signal(e, k, e->args[2]);
	return true;
}

/* ---- which is which ---- */

static const struct {
	bool (*tell)(const struct entry *e, struct key *k);
	enum group group;
} told[] = {
	[SYS_open] = {on_open, FILES},           [SYS_openat] = {on_openat, FILES},
	[SYS_openat2] = {on_openat2, FILES},     [SYS_creat] = {on_path, FILES},
	[SYS_stat] = {on_path, FILES},           [SYS_lstat] = {on_path, FILES},
	[SYS_newfstatat] = {on_path_at, FILES},  [SYS_statx] = {on_path_at, FILES},
	[SYS_statfs] = {on_path, FILES},         [SYS_access] = {on_path, FILES},
	[SYS_faccessat] = {on_path_at, FILES},   [SYS_faccessat2] = {on_path_at, FILES},
	[SYS_readlink] = {on_path, FILES},       [SYS_readlinkat] = {on_path_at, FILES},
	[SYS_execve] = {on_path, FILES},         [SYS_execveat] = {on_path_at, FILES},
	[SYS_unlink] = {on_path, FILES},         [SYS_unlinkat] = {on_path_at, FILES},
	[SYS_rename] = {on_path, FILES},         [SYS_renameat] = {on_path_at, FILES},
	[SYS_renameat2] = {on_path_at, FILES},   [SYS_mkdir] = {on_path, FILES},
	[SYS_mkdirat] = {on_path_at, FILES},     [SYS_rmdir] = {on_path, FILES},
	[SYS_mknod] = {on_path, FILES},          [SYS_mknodat] = {on_path_at, FILES},
	[SYS_chmod] = {on_path, FILES},          [SYS_fchmodat] = {on_path_at, FILES},
	[SYS_chown] = {on_path, FILES},          [SYS_truncate] = {on_path, FILES},
	[SYS_chdir] = {on_path, FILES},          [SYS_chroot] = {on_path, FILES},
	[SYS_getxattr] = {on_path, FILES},       [SYS_connect] = {on_connect, FILES},
	[SYS_bind] = {on_connect, FILES},        [SYS_memfd_create] = {on_memfd, FILES},
	[SYS_ioctl] = {on_ioctl, IOCTLS},        [SYS_mmap] = {on_mmap, MAPS},
	[SYS_mprotect] = {on_mprotect, MAPS},    [SYS_clone] = {on_clone, DETAILS},
	[SYS_clone3] = {on_clone3, DETAILS},     [SYS_fcntl] = {on_fcntl, DETAILS},
	[SYS_prctl] = {on_prctl, DETAILS},       [SYS_madvise] = {on_madvise, DETAILS},
	[SYS_futex] = {on_futex, DETAILS},       [SYS_socket] = {on_socket, DETAILS},
	[SYS_socketpair] = {on_socket, DETAILS}, [SYS_arch_prctl] = {on_number, DETAILS},
	[SYS_seccomp] = {on_number, DETAILS},    [SYS_bpf] = {on_number, DETAILS},
	[SYS_setrlimit] = {on_rlimit, DETAILS},  [SYS_getrlimit] = {on_rlimit, DETAILS},
	[SYS_prlimit64] = {on_prlimit, DETAILS}, [SYS_kill] = {on_kill, DETAILS},
	[SYS_tkill] = {on_kill, DETAILS},        [SYS_rt_sigqueueinfo] = {on_kill, DETAILS},
	[SYS_tgkill] = {on_tgkill, DETAILS},     [SYS_rt_tgsigqueueinfo] = {on_tgkill, DETAILS},
};

bool calls_key(const struct entry *e, struct key *k)
{
	if (e->nr >= sizeof(told) / sizeof(told[0]) || !told[e->nr].tell)
		return false;
	memset(k, 0, sizeof(*k));
	k->group = told[e->nr].group;
	snprintf(k->call, sizeof(k->call), "%s", call_name(e->nr));
	if (!told[e->nr].tell(e, k))
		return false;
	/* Names are any bytes, or cut in the middle of a character; JSON is neither. */
	for (char *c = k->name; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return true;
}
