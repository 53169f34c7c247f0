/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "libpvgpu/log/options.h"
#include "xen-pvgpu-back/exporter/exporter.h"

#ifndef PVGPU_VERSION
#define PVGPU_VERSION "0.1.0"
#endif

#define TOKEN_LEAST 16u

static void usage(FILE *f)
{
	fputs("Usage: pvgpu-exporter [option]...\n"
	      "Give pvgpud's statistics to Prometheus (/metrics), to people (/) and to programs "
	      "(/statistics.json).\n\n"
	      "  --listen ADDRESS:PORT  default 127.0.0.1:9835\n"
	      "  --run-dir DIR          of pvgpud (default /run/pvgpu)\n"
	      "  --file FILE            metrics that pvgpuctl stats --metrics writes in dom0, "
	      "in place of pvgpud's\n"
	      "  --token-file FILE      answer clients that send its token alone: Authorization: "
	      "Bearer TOKEN\n"
	      "  --anyone               answer all clients where there are vGPUs of the local "
	      "link, too\n"
	      "  --once                 print the metrics, and exit\n"
	      "  --help, --version\n\n"
	      "Exit status: 0 done, 1 it cannot listen, or with --once: pvgpud does not answer; 2 "
	      "wrong use.\n",
	      f);
}

/* The first line of a file that other users cannot read; NULL: the reason is on stderr. */
static const char *read_token(const char *path)
{
	static char token[256];
	struct stat st;
	FILE *f = fopen(path, "re");
	const char *why = NULL;

	if (!f || fstat(fileno(f), &st) < 0)
		why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		why = "is not a file";
	else if (st.st_mode & S_IRWXO)
		why = "other users can read or change it: chmod o= it";
	else if (!fgets(token, sizeof(token), f))
		why = "is empty";
	if (f)
		fclose(f);
	token[strcspn(token, "\r\n")] = '\0';
	if (!why && strlen(token) < TOKEN_LEAST)
		why = "its first line is shorter than 16 characters";
	if (!why)
		return token;
	fprintf(stderr, "pvgpu-exporter: --token-file %s: %s\n", path, why);
	return NULL;
}

static int once(struct source *s)
{
	struct text t = {0};
	const char *type;
	int up;

	server_answer(s, "/metrics", &t, &type);
	up = !s->why[0] && !t.failed;
	if (up)
		fwrite(t.bytes, 1, t.n, stdout);
	else
		fprintf(stderr, "pvgpu-exporter: %s\n", t.failed ? "out of memory" : s->why);
	text_free(&t);
	return up ? 0 : 1;
}

static int serve(const char *listen, struct source *s)
{
	const struct timespec second = {.tv_sec = 1};
	struct server *server;
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigprocmask(SIG_BLOCK, &stop, NULL); /* before the server's thread is made */
	signal(SIGPIPE, SIG_IGN);
	server = server_start(listen, s);
	if (!server)
		return 1;
	fprintf(stderr, "pvgpu-exporter: listens at %s\n", listen);
	while (sigtimedwait(&stop, NULL, &second) < 0)
		server_look();
	server_stop(server);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"listen", required_argument, NULL, 'l'},
		{"run-dir", required_argument, NULL, 'r'},
		{"file", required_argument, NULL, 'f'},
		{"token-file", required_argument, NULL, 't'},
		{"anyone", no_argument, NULL, 'a'},
		{"once", no_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	struct source s = {.run_dir = "/run/pvgpu"};
	const char *listen = "127.0.0.1:9835";
	int c, status, just_once = 0;

	while ((c = options_next(argc, argv, "h", longs)) != -1) {
		switch (c) {
		case 'l':
			listen = optarg;
			break;
		case 'r':
			s.run_dir = optarg;
			break;
		case 'f':
			s.file = optarg;
			break;
		case 't':
			s.token = read_token(optarg);
			if (!s.token)
				return 1;
			break;
		case 'a':
			s.anyone = true;
			break;
		case 'o':
			just_once = 1;
			break;
		case 'h':
			usage(stdout);
			return 0;
		case 'v':
			puts("pvgpu-exporter " PVGPU_VERSION);
			return 0;
		default:
			return 2;
		}
	}
	if (optind != argc) {
		usage(stderr);
		return 2;
	}
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	status = just_once ? once(&s) : serve(listen, &s);
	source_free(&s);
	return status;
}
