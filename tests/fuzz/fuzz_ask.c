/* SPDX-License-Identifier: MIT */
/* FUZZ_DECODES: xen-pvgpu-back/ctl/xen/ask.c xen-pvgpu-back/daemon/xen/xenbus_ask.c */
/* FUZZ_OBJS: xen-pvgpu-back/ctl/xen/ask.c xen-pvgpu-back/toolstack/store.c
 * xen-pvgpu-back/toolstack/domains.c xen-pvgpu-back/daemon/xen/xenbus_ask.c
 * xen-pvgpu-back/daemon/xen/xenbus_store.c xen-pvgpu-back/contract/log.c
 * tests/unit/keys/fake_xenstore.c xenstore-schema/values.c xenstore-schema/records.c
 * gen/pvgpu_keys.c
 */
/* FUZZ_LIBS: -ljansson -lev */
/*
 * The keys request and answer. Input: a byte, then values that end with a NUL, in which an 'N' that
 * comes first stands for the number of the request. With an odd byte they are what a hostile
 * backend domain writes as answers to pvgpuctl, one after the other; with an even one, what stands
 * in the request key when pvgpud looks at it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/keys/fake_xenstore.h"
#include "xen-pvgpu-back/ctl/xen/ask.h"
#include "xen-pvgpu-back/ctl/core/ctl.h"
#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/xen/xenbus_store.h"
#include "xen-pvgpu-back/toolstack/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOST    "/local/domain/5/data/pvgpu"
#define REQUEST HOST "/request"
#define ANSWER  HOST "/answer"
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

/* Both ends have a struct vgpu, so the headers of await.c and xen.c stay out. */
struct host;

struct ctl ctl;
static const char *at, *end; /* what has not been written yet */
static char locks[] = "/tmp/fuzz-ask.XXXXXX";

static void remove_locks(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/pvgpuctl-5.lock", locks);
	unlink(path);
	rmdir(locks);
}

/* ---- the rest of pvgpuctl and pvgpud ---- */

double ctl_answer_s(void)
{
	return 0;
}

int ctl_fail(int status, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (const char *p = text; *p; p++)
		MUST(*p >= ' ' && *p <= '~');
	return status;
}

int host_open(struct host *h)
{
	return EXIT_NOT_THERE;
}

void host_close(struct host *h)
{
}

double await_now(void)
{
	return 1;
}

int xenbus_host_make(struct xenbus *b)
{
	return 0;
}

char *admin_answer(struct daemon *d, const char *line, size_t len)
{
	char *text = malloc(6 * len + 3);

	MUST(text && strnlen(line, len + 1) == len);
	memset(text, 'x', 6 * len);
	strcpy(text + 6 * len, "\x7f\n");
	return text;
}

/* ---- the input ---- */

static bool next(const char *path)
{
	char value[2048];
	const char *request = fake_get(REQUEST);
	size_t n, number = request ? strcspn(request, " ") : 0;

	if (at >= end)
		return false;
	n = strnlen(at, (size_t)(end - at));
	if (n && *at == 'N')
		snprintf(value, sizeof(value), "%.*s%.*s", (int)number, request ? request : "",
			 (int)(n - 1), at + 1);
	else
		snprintf(value, sizeof(value), "%.*s", (int)n, at);
	at += n + 1;
	fake_set(path, value);
	return true;
}

bool await_event(struct store *s, double until)
{
	return next(ANSWER);
}

static void ask(void)
{
	static const char *const types[] = {"pools", "tree", "log", "value"};
	json_t *req = json_pack("{s:s}", "op", "tree"), *answer;
	int status = EXIT_DONE;

	answer = ask_domain(5, req, &status);
	MUST(!answer == (status != EXIT_DONE));
	MUST(!answer || json_is_object(answer));
	for (size_t i = 0; answer && i < sizeof(types) / sizeof(types[0]); i++) {
		char *text = json_dumps(answer, JSON_COMPACT);

		MUST(text);
		for (const char *p = text; *p; p++)
			MUST((unsigned char)*p >= ' ' && *p != 0x7f);
		free(text);
	}
	MUST(!fake_get(REQUEST));
	json_decref(answer);
	json_decref(req);
}

static void serve(void)
{
	static struct daemon d;
	struct xenbus b = {.d = &d, .domid = 5, .host = HOST};
	struct pvgpu_message m;
	struct store s;

	MUST(!store_open(&s));
	b.xs = s.xs;

	xenbus_ask_start(&b);
	do {
		const char *text;

		xenbus_ask(&b);
		text = fake_get(ANSWER);
		MUST(text && !pvgpu_host_answer_parse(text, strlen(text), &m, NULL));
		MUST(m.len <= PVGPU_MESSAGE_MAX && (!m.number || m.page < m.pages));
	} while (next(REQUEST));
	xenbus_ask_stop(&b, false);
	MUST(!fake_get(ANSWER));
	store_close(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool begun;

	if (!size || size > 1 << 15)
		return -1;
	if (!begun) {
		begun = true;
		log_set_level(LOG_LEVEL_ERROR);
		MUST(mkdtemp(locks));
		atexit(remove_locks);
		ask_limits = (struct ask_limits){locks, 100, 100};
	}
	fake_reset();
	fake_domain(0, "Domain-0", "00000000-0000-0000-0000-000000000000");
	fake_domain(5, "gpu", "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90");
	fake_set(HOST, "");
	fake_set(ANSWER, "");
	at = (const char *)data + 1;
	end = (const char *)data + size;
	if (data[0] & 1)
		ask();
	else
		serve();
	fake_reset();
	return 0;
}
