/* SPDX-License-Identifier: MIT */
/*
 * data/pvgpu/request and answer: dom0's pvgpuctl asks this pvgpud as it would at the admin socket.
 *
 * Only dom0 can write a request. One with a new number is done once, and its whole answer kept; the
 * same number again asks for another page of that answer. A request that was there before this
 * pvgpud is refused: the former one may have done it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/xen/xenbus_store.h"

#define REQUEST "request"
#define ANSWER  "answer"

static void forget(struct xenbus *b)
{
	free(b->ask.text);
	b->ask.text = NULL;
	b->ask.len = b->ask.pages = 0;
}

/* False: there is none that can be read. */
static bool read_request(struct xenbus *b, struct pvgpu_message *m)
{
	char err[PVGPU_KEY_ERROR], *text;
	size_t len;
	int r = xenbus_read(b, b->host, REQUEST, &text, &len);

	*m = (struct pvgpu_message){0};
	if (r)
		return r == -ENOENT;
	r = pvgpu_host_request_parse(text, len, m, err);
	if (r)
		log_debug("xenstore: %s", err);
	free(text);
	return !r;
}

static void write_answer(struct xenbus *b, const struct pvgpu_message *m)
{
	char text[PVGPU_KEY_TEXT];
	const struct xenbus_write w = {ANSWER, text};
	int err = pvgpu_host_answer_format(m, text, sizeof(text), NULL);

	if (!err)
		err = xenbus_put(b, b->host, "", &w, 1);
	if (err)
		log_debug("xenstore: %s/" ANSWER ": %s", b->host, strerror(-err));
}

/* Only printable characters may stand in the key; JSON has the others as escapes, but for DEL. */
static void keep(struct xenbus *b, char *text)
{
	forget(b);
	b->ask.len = strcspn(text, "\n");
	b->ask.text = text;
	for (size_t i = 0; i < b->ask.len; i++)
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
	b->ask.pages = (uint32_t)((b->ask.len + PVGPU_MESSAGE_MAX - 1) / PVGPU_MESSAGE_MAX);
}

/* NULL: out of memory. */
static char *refusal(const char *error, const char *reason)
{
	char *text;

	return asprintf(&text, "{\"ok\":false,\"error\":\"%s\",\"reason\":\"%s\"}", error, reason) <
			       0
		       ? NULL
		       : text;
}

static void serve(struct xenbus *b, const struct pvgpu_message *m)
{
	char *text;

	forget(b);
	b->ask.number = m->number;
	b->d->asks = (struct asks){.dom0 = true};
	text = admin_answer(b->d, m->s, m->len);
	if (text && strlen(text) > (size_t)XENBUS_ANSWER_PAGES * PVGPU_MESSAGE_MAX) {
		free(text);
		text = refusal("EFBIG", "the answer is too long: ask for a part of it");
	}
	if (text)
		keep(b, text);
}

static void write_page(struct xenbus *b, uint32_t page)
{
	struct pvgpu_message out = {.number = b->ask.number, .page = page, .pages = b->ask.pages};
	const size_t at = (size_t)page * PVGPU_MESSAGE_MAX;

	if (page >= b->ask.pages)
		return;
	out.len = b->ask.len - at < PVGPU_MESSAGE_MAX ? (uint32_t)(b->ask.len - at)
						      : PVGPU_MESSAGE_MAX;
	memcpy(out.s, b->ask.text + at, out.len);
	write_answer(b, &out);
}

void xenbus_ask(struct xenbus *b)
{
	struct pvgpu_message m;

	b->asked = false;
	if (!read_request(b, &m))
		return;
	if (!m.number) {
		if (b->ask.number)
			write_answer(b, &m);
		b->ask.number = 0;
		forget(b);
		return;
	}
	if (m.number != b->ask.number)
		serve(b, &m);
	write_page(b, m.page);
}

void xenbus_ask_start(struct xenbus *b)
{
	static const struct pvgpu_message none;
	struct pvgpu_message m;
	char *text;
	int err = xenbus_host_make(b);

	if (err)
		log_warning("xenstore: %s: %s: pvgpuctl in dom0 cannot ask this pvgpud", b->host,
			    strerror(-err));
	write_answer(b, &none);
	if (!read_request(b, &m) || !m.number)
		return;
	text = refusal("EAGAIN", "pvgpud was started after this was asked: look whether it was "
				 "done, and ask again");
	b->ask.number = m.number;
	if (text)
		keep(b, text);
	write_page(b, 0);
}

void xenbus_ask_stop(struct xenbus *b, bool leave)
{
	const struct xenbus_write w = {ANSWER, NULL};

	if (!leave)
		xenbus_put(b, b->host, "", &w, 1);
	forget(b);
}
