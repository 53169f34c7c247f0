/* SPDX-License-Identifier: MIT */
/*
 * The HTTP side. libmicrohttpd reads what clients send; one thread serves them all. Which clients
 * stay is decided in places.c.
 */
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "xen-pvgpu-back/exporter/exporter.h"
#include "xen-pvgpu-back/exporter/places.h"

#define MEMORY  (16u << 10) /* of one connection: no request that is answered is longer */

#define METRICS "text/plain; version=0.0.4; charset=utf-8"

struct server {
	struct MHD_Daemon *mhd;
	struct source *source;
	int fd;
};

static void metrics(struct source *s, struct text *t)
{
	struct text file = {0};
	const int up = (s->file ? source_file(s, &file) : source_look(s)) == 0;

	text_add(t,
		 "# HELP pvgpu_up 1: pvgpud answers; 0: it does not, and there is nothing else\n"
		 "# TYPE pvgpu_up gauge\npvgpu_up %d\n"
		 "# HELP pvgpu_exporter_errors_total snapshots that could not be read\n"
		 "# TYPE pvgpu_exporter_errors_total counter\npvgpu_exporter_errors_total %llu\n",
		 up, (unsigned long long)s->errors);
	if (up && s->file)
		text_add(t, "%s", file.bytes ? file.bytes : "");
	else if (up)
		statistics_metrics(t, &s->now);
	t->failed |= file.failed;
	text_free(&file);
}

unsigned int server_answer(struct source *s, const char *path, struct text *t, const char **type)
{
	*type = "text/plain; charset=utf-8";
	if (!strcmp(path, "/metrics")) {
		*type = METRICS;
		metrics(s, t);
	} else if (s->file) {
		text_add(t, "With --file there is /metrics alone.\n");
		return MHD_HTTP_NOT_FOUND;
	} else if (!strcmp(path, "/")) {
		*type = "text/html; charset=utf-8";
		source_look(s);
		page_make(t, s);
	} else if (!strcmp(path, "/style.css")) {
		*type = "text/css; charset=utf-8";
		text_add(t, "%s", page_style);
	} else if (!strcmp(path, "/statistics.json")) {
		if (source_look(s) < 0) {
			text_add(t, "%s\n", s->why);
			return MHD_HTTP_SERVICE_UNAVAILABLE;
		}
		*type = "application/json";
		statistics_json(t, &s->now, NULL);
	} else {
		text_add(t, "There are /, /metrics and /statistics.json.\n");
		return MHD_HTTP_NOT_FOUND;
	}
	return MHD_HTTP_OK;
}

static enum MHD_Result reply(struct MHD_Connection *c, unsigned int status, struct text *t,
			     const char *type)
{
	static const char *const headers[][2] = {
		{"Content-Security-Policy",
		 "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
		 "frame-ancestors 'none'"},
		{"X-Content-Type-Options", "nosniff"},
		{"Referrer-Policy", "no-referrer"},
		{"Cache-Control", "no-store"},
	};
	struct MHD_Response *r;
	enum MHD_Result done;

	r = MHD_create_response_from_buffer(t->n, t->bytes, MHD_RESPMEM_MUST_FREE);
	if (!r) {
		text_free(t);
		return MHD_NO;
	}
	MHD_add_response_header(r, "Content-Type", type);
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		MHD_add_response_header(r, headers[i][0], headers[i][1]);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, "Allow", "GET, HEAD");
	if (status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
	done = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return done;
}

/* In a time that does not tell how much of it is right. */
static bool is_token(const char *said, const char *token)
{
	const size_t n = strlen(token);
	unsigned char differs = strlen(said) != n;

	for (size_t i = 0; i < n && said[i]; i++)
		differs |= (unsigned char)(said[i] ^ token[i]);
	return !differs;
}

/* MHD_HTTP_OK, or the status of a refusal with its text. */
static unsigned int permit(struct source *s, struct MHD_Connection *c, struct text *t)
{
	static const char bearer[] = "Bearer ";
	const char *said =
		MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);

	if (s->token) {
		if (said && !strncmp(said, bearer, sizeof(bearer) - 1) &&
		    is_token(said + sizeof(bearer) - 1, s->token))
			return MHD_HTTP_OK;
		text_add(t, "The token of --token-file is missing or wrong.\n");
		return MHD_HTTP_UNAUTHORIZED;
	}
	if (s->anyone || s->file)
		return MHD_HTTP_OK;
	source_look(s);
	if (!s->local)
		return MHD_HTTP_OK;
	text_add(t, "There are vGPUs of the local link: each user of this machine could read the "
		    "figures of all. Start pvgpu-exporter with --token-file FILE, or with "
		    "--anyone where its users are one tenant.\n");
	return MHD_HTTP_FORBIDDEN;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_n, void **state)
{
	static char begun;
	struct server *s = arg;
	const char *type = "text/plain; charset=utf-8";
	struct text t = {0};
	unsigned int status;

	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		text_add(&t, "Only GET and HEAD are answered.\n");
		return reply(c, MHD_HTTP_METHOD_NOT_ALLOWED, &t, type);
	}
	/* The first call comes when the header is read, before a body. */
	if (*state != &begun) {
		*state = &begun;
		return MHD_YES;
	}
	if (*upload_n) { /* a body is thrown away */
		*upload_n = 0;
		return MHD_YES;
	}
	status = permit(s->source, c, &t);
	if (status == MHD_HTTP_OK)
		status = server_answer(s->source, url, &t, &type);
	if (t.failed || !t.bytes) {
		text_free(&t);
		return MHD_NO;
	}
	return reply(c, status, &t, type);
}

static void on_connection(void *arg, struct MHD_Connection *c, void **place,
			  enum MHD_ConnectionNotificationCode code)
{
	int fd;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*place)
			place_leave(*place);
		return;
	}
	/* The next answer takes the place of the one before (libmicrohttpd 1.0). */
	fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	*place = place_take(
		fd, MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr,
		clock_ms());
}

static void on_completed(void *arg, struct MHD_Connection *c, void **state,
			 enum MHD_RequestTerminationCode code)
{
	const union MHD_ConnectionInfo *place =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	if (place->socket_context)
		place_answered(place->socket_context, clock_ms());
}

/* ADDRESS:PORT, [ADDRESS]:PORT */
static int listen_at(const char *where)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				       .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	char address[80];
	const char *port = strrchr(where, ':');
	const int on = 1;
	int fd = -1, err = EAI_NONAME;

	if (port && snprintf(address, sizeof(address), "%.*s", (int)(port - where), where) <
			    (int)sizeof(address)) {
		size_t n = strlen(address);
		char *start = address;

		if (n > 1 && address[0] == '[' && address[n - 1] == ']') {
			address[n - 1] = '\0';
			start++;
		}
		err = getaddrinfo(*start ? start : NULL, port + 1, &hints, &found);
	}
	if (err) {
		fprintf(stderr,
			"pvgpu-exporter: --listen %s: %s; say ADDRESS:PORT, such as "
			"127.0.0.1:9835\n",
			where, gai_strerror(err));
		return -1;
	}
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, 64) < 0) {
		fprintf(stderr, "pvgpu-exporter: --listen %s: %s\n", where, strerror(errno));
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	return fd;
}

struct server *server_start(const char *listen, struct source *source)
{
	struct server *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->source = source;
	s->fd = listen_at(listen);
	if (s->fd < 0) {
		free(s);
		return NULL;
	}
	places_init();
	s->mhd = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL, 0, NULL, NULL,
				  on_request, s, MHD_OPTION_LISTEN_SOCKET, s->fd,
				  MHD_OPTION_CONNECTION_LIMIT, PLACES, MHD_OPTION_NOTIFY_CONNECTION,
				  on_connection, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
				  NULL, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY,
				  MHD_OPTION_END);
	if (s->mhd)
		return s;
	fprintf(stderr, "pvgpu-exporter: libmicrohttpd does not start: %s\n", strerror(errno));
	close(s->fd);
	free(s);
	return NULL;
}

void server_look(void)
{
	places_sweep(clock_ms());
}

void server_stop(struct server *s)
{
	MHD_stop_daemon(s->mhd); /* closes the socket */
	free(s);
}
