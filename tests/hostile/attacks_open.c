/* SPDX-License-Identifier: MIT */
/* The vGPU's socket, and leaving at every step of the set-up. */
#include "tests/hostile/attack.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONNECTIONS 200

static const struct pvgpu_local_open good = {
	.magic = PVGPU_LOCAL_MAGIC, .version = PVGPU_LOCAL_VERSION, .comm = "attack"};

/* An error or a hang-up must come back. */
static void refused(struct guest *g, int sock, const char *what)
{
	int err = guest_ask(g, sock, NULL);

	WANT(err, "%s: a session came of it", what);
	close(sock);
}

static void garbage(struct guest *g)
{
	static const size_t sizes[] = {
		1, 4, 8, 15, sizeof(good) - 1, sizeof(good), sizeof(good) + 1, 4096, 60000};
	static unsigned char bytes[60000];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int sock = guest_connect(g->path);

		for (size_t j = 0; j < sizes[i]; j++)
			bytes[j] = (unsigned char)attack_random();
		/* A valid request but for the length. */
		if (i % 2 && sizes[i] != sizeof(good))
			memcpy(bytes, &good, sizes[i] < sizeof(good) ? sizes[i] : sizeof(good));
		WANT(send(sock, bytes, sizes[i], MSG_NOSIGNAL) > 0, "cannot send");
		refused(g, sock, "garbage");
	}
}

static void empty(struct guest *g)
{
	int sock = guest_connect(g->path);

	WANT(send(sock, "", 0, MSG_NOSIGNAL) == 0, "cannot send");
	refused(g, sock, "an empty message");
}

static void requests(struct guest *g)
{
	static const struct pvgpu_local_open bad[] = {
		{.magic = 0, .version = PVGPU_LOCAL_VERSION},
		{.magic = PVGPU_LOCAL_MAGIC, .version = 0},
		{.magic = PVGPU_LOCAL_MAGIC, .version = ~0u},
		{.magic = PVGPU_LOCAL_MAGIC, .version = PVGPU_LOCAL_VERSION, .cmd_size = 1},
		{.magic = PVGPU_LOCAL_MAGIC, .version = PVGPU_LOCAL_VERSION, .cmd_size = 32 << 10},
		{.magic = PVGPU_LOCAL_MAGIC, .version = PVGPU_LOCAL_VERSION, .cmd_size = 96 << 10},
		{.magic = PVGPU_LOCAL_MAGIC, .version = PVGPU_LOCAL_VERSION, .cmd_size = 32 << 20},
		{.magic = PVGPU_LOCAL_MAGIC, .version = PVGPU_LOCAL_VERSION, .rep_size = ~0u},
		{.magic = PVGPU_LOCAL_MAGIC, .version = PVGPU_LOCAL_VERSION, .rep_size = 1u << 31},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int sock = guest_connect(g->path);

		WANT(send(sock, &bad[i], sizeof(bad[i]), MSG_NOSIGNAL) > 0, "cannot send");
		refused(g, sock, "a bad request");
	}
}

static void with_fds(struct guest *g)
{
	int fds[100], r;

	/* Refused by the kernel, where it can. */
	for (unsigned int n = 1; n <= 100; n += 33) {
		g->sock = guest_connect(g->path);
		for (unsigned int i = 0; i < n; i++)
			fds[i] = g->ring_fd < 0 ? 0 : g->ring_fd;
		r = guest_send(g, &good, sizeof(good), fds, n);
		WANT(r == 0 || r == -EPERM, "cannot send");
		if (r < 0) {
			close(g->sock);
			continue;
		}
		refused(g, g->sock, "a request with fds");
	}
}

/* A guest's name in the log cannot begin a new line. */
static void name(struct guest *g)
{
	struct pvgpu_local_open ask = good;
	int sock = guest_connect(g->path);

	memset(ask.comm, 'x', sizeof(ask.comm));
	memcpy(ask.comm, "a\npvgpud: forged\n\033[31m", 22);
	WANT(guest_ask(g, sock, &ask) == 0, "no session");
	close(sock);
	guest_hello(g);
}

static void twice(struct guest *g)
{
	for (int i = 0; i < 5; i++) {
		struct guest first = {0}, second = {0};
		int sock = guest_connect(g->path), err;

		send(sock, &good, sizeof(good), MSG_NOSIGNAL);
		send(sock, &good, sizeof(good), MSG_NOSIGNAL);
		err = guest_ask(&first, sock, NULL);
		WANT(err == 0 || err == EPROTO || err == EAGAIN || err == EUSERS,
		     "the request was answered %d", err);
		WANT(guest_ask(&second, sock, NULL), "a second session on one connection");
		WANT(err || first.session, "a session without a number");
		if (!err)
			close(first.sock);
		close(sock);
	}
}

/* More connections than may be opening, all of them silent. */
static void silent(struct guest *g)
{
	int socks[CONNECTIONS];
	unsigned int told = 0;

	for (unsigned int i = 0; i < CONNECTIONS; i++)
		socks[i] = guest_connect(g->path);
	for (unsigned int i = 0; i < CONNECTIONS; i++) {
		told += guest_ask(g, socks[i], NULL) != 0;
		close(socks[i]);
	}
	WANT(told == CONNECTIONS, "%u of %u silent connections were told to go", told, CONNECTIONS);
}

/* The same, repeatedly; meanwhile guests of another vGPU must get their sessions. */
static void hold(struct guest *g)
{
	const char *path = getenv("OTHER_SOCKET");
	uint64_t until = now_ms() + 1000;

	while (now_ms() < until) {
		struct guest other = {.path = path};
		int socks[CONNECTIONS], sock, err;

		for (unsigned int i = 0; i < CONNECTIONS; i++)
			socks[i] = guest_connect(g->path);
		sock = path ? guest_connect(path) : -1;
		err = path ? guest_ask(&other, sock, &good) : 0;
		WANT(!err, "a guest of another vGPU was refused: error %d", err);
		if (path)
			close(sock);
		if (path && !err) {
			guest_hello(&other);
			close(other.sock);
		}
		for (unsigned int i = 0; i < CONNECTIONS; i++)
			close(socks[i]);
	}
}

static void storm(struct guest *g)
{
	for (int i = 0; i < 3000; i++)
		close(guest_connect(g->path));
}

static void ask_and_go(struct guest *g)
{
	for (int i = 0; i < 12; i++) {
		int sock = guest_connect(g->path);

		send(sock, &good, sizeof(good), MSG_NOSIGNAL);
		if (i % 2)
			nap_ms((unsigned int)i);
		close(sock);
	}
}

/* ---- leaving ---- */

static void leave(struct guest *g)
{
	attack_leave();
}

static void die_now(struct guest *g)
{
	raise(SIGKILL);
}

/* Leave while the backend works on a command. */
static void leave_asking(struct guest *g)
{
	switch (attack_arg) {
	case 0:
		POST(g, session_hello, SESSION_HELLO, .version_min = 1, .version_max = 1);
		break;
	case 1:
		POST(g, session_windows, SESSION_WINDOWS, .attempt = 0);
		break;
	case 2:
		POST(g, ctx_primary_retain, CTX_PRIMARY_RETAIN,
		     .ctx = PVGPU_HANDLE(PVGPU_H_CTX, 0, 0, 0));
		break;
	default:
		POST(g, module_load, MODULE_LOAD, .ctx = g->ctx, .image = g->arena_base,
		     .image_len = CHUNK_SIZE, .module = PVGPU_HANDLE(PVGPU_H_MODULE, 0, 0, 7));
		break;
	}
	raise(SIGKILL);
}

/* Close the socket only, or unmap the ring only; the process lives on. */
static void hang_up(struct guest *g)
{
	if (attack_arg)
		shutdown(g->sock, SHUT_WR);
	else
		close(g->sock);
	nap_ms(300);
	attack_leave();
}

/* A guest that stops in the middle of a record, with all that it holds, disturbs no other. */
static void stopped(struct guest *g)
{
	pid_t child = fork();
	int status;

	if (!child) {
		guest_open(g);
		guest_hello(g);
		pvgpu_store_release(&g->page->cmd_prod.v, g->prod + 16);
		raise(SIGSTOP);
		_exit(0);
	}
	WANT(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status),
	     "the child did not stop");
	for (int i = 0; i < 3; i++) {
		struct guest other = {.path = g->path};

		guest_open(&other);
		guest_hello(&other);
		close(other.sock);
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
}

/* No attack: a session can be opened, and works. */
static void probe(struct guest *g)
{
	WANT(CALL(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = g->ctx) == 0,
	     "a new session does not work");
}

const struct attack attacks_open[] = {
	{"probe", KERNELS, LIVES, probe, 0},
	{"open_garbage", NOTHING, NONE, garbage, 0},
	{"open_empty", NOTHING, NONE, empty, 0},
	{"open_bad_requests", NOTHING, NONE, requests, 0},
	{"open_with_fds", NOTHING, NONE, with_fds, 0},
	{"open_forged_name", NOTHING, LIVES, name, 0},
	{"open_twice", NOTHING, NONE, twice, 0},
	{"open_silent", NOTHING, NONE, silent, 0},
	{"open_hold", NOTHING, NONE, hold, 0},
	{"open_storm", NOTHING, NONE, storm, 0},
	{"open_ask_and_go", NOTHING, NONE, ask_and_go, 0},
	{"leave_opened", OPENED, LEAVES, leave, 0},
	{"leave_hello", SAID_HELLO, LEAVES, leave, 0},
	{"leave_settled", SETTLED, LEAVES, leave, 0},
	{"leave_context", CONTEXT, LEAVES, leave, 0},
	{"leave_memory", MEMORY, LEAVES, leave, 0},
	{"killed_opened", OPENED, LEAVES, die_now, 0},
	{"killed_kernels", KERNELS, LEAVES, die_now, 0},
	{"leave_asking_hello", OPENED, LEAVES, leave_asking, 0},
	{"leave_asking_windows", SAID_HELLO, LEAVES, leave_asking, 1},
	{"leave_asking_context", SETTLED, LEAVES, leave_asking, 2},
	{"leave_asking_module", MEMORY, LEAVES, leave_asking, 3},
	{"hang_up", CONTEXT, LEAVES, hang_up, 0},
	{"hang_up_half", CONTEXT, LEAVES, hang_up, 1},
	{"stopped", NOTHING, NONE, stopped, 0},
	{0},
};
