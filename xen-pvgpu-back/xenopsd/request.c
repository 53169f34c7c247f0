/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/xenopsd/request.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CMDLINE 4096 /* bytes of a process's command line that are looked at */
#define FIELDS  5    /* of --device: physical device, type, virtual device, uuid, more */

static int wrong(char err[REQUEST_ERROR], const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static int wrong(char err[REQUEST_ERROR], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, REQUEST_ERROR, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

const char *request_value(const char *word, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(word, name, n) && word[n] == '=' ? word + n + 1 : NULL;
}

static int take_domain(struct request *r, const char *text, char err[REQUEST_ERROR])
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *end || end == text || text[0] == '-' || !n || n > PVGPU_DOMID_MAX)
		return wrong(err, "--domain=%s: must be a domain's number, 1 to %d", text,
			     PVGPU_DOMID_MAX);
	r->domid = (uint32_t)n;
	return 0;
}

/* The last field is xapi's extra_args, which may have commas. */
static size_t split(char *text, char *field[FIELDS])
{
	size_t n = 0;

	while (n < FIELDS) {
		field[n++] = text;
		text = n < FIELDS ? strchr(text, ',') : NULL;
		if (!text)
			break;
		*text++ = '\0';
	}
	return n;
}

static int take_device(struct request *r, const char *text, char err[REQUEST_ERROR])
{
	char copy[512], *field[FIELDS], why[PVGPU_KEY_ERROR];
	struct device *d = &r->v[r->n];
	size_t n;

	if (r->n == REQUEST_DEVICES)
		return wrong(err, "--device=%s: more than %u devices", text, REQUEST_DEVICES);
	if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
		return wrong(err, "--device=%.64s...: too long", text);
	n = split(copy, field);
	if (n < 4)
		return wrong(err, "--device=%s: must be DEVICE,TYPE,VIRTUAL-DEVICE,UUID", text);
	if (!field[1][0] || strlen(field[1]) >= sizeof(d->profile) || strchr(field[1], '/'))
		return wrong(err,
			     "--device=%s: the type '%s' is none of pvgpu's, whose ids are names "
			     "of profiles: run pvgpuctl xapi types --write on this host",
			     text, field[1]);
	if (pvgpu_backend_uuid_parse(field[3], strlen(field[3]), &d->uuid, why) != 0)
		return wrong(err, "--device=%s: %s", text, why);
	if (n == FIELDS && field[4][0])
		return wrong(err,
			     "--device=%s: pvgpu has no extra arguments: put settings into the "
			     "profile, and unset VGPU.extra_args",
			     text);
	strcpy(d->profile, field[1]);
	r->n++;
	return 0;
}

int request_word(struct request *r, const char *word, char err[REQUEST_ERROR])
{
	const char *value = request_value(word, "--domain");

	if (value)
		return take_domain(r, value, err);
	value = request_value(word, "--device");
	if (value)
		return take_device(r, value, err);
	/* --vcpus, --suspend, --noconsole, --resume, and what later versions add. */
	if (word[0] == '-' && word[1] == '-')
		return 0;
	return wrong(err, "%s: there are options only; try --help", word);
}

int request_whole(const struct request *r, char err[REQUEST_ERROR])
{
	if (!r->domid)
		return wrong(err, "--domain=N is missing; try --help");
	if (!r->n)
		return wrong(err, "--device=DEVICE,TYPE,VIRTUAL-DEVICE,UUID is missing");
	return 0;
}

bool request_is_served_by(uint32_t pid, const char *program, uint32_t domid)
{
	char path[64], line[CMDLINE], domain[32];
	bool named = !program, ours = false;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	line[n < 0 ? 0 : n] = '\0';
	snprintf(domain, sizeof(domain), "--domain=%u", domid);
	for (const char *w = line; n > 0 && w < line + n; w += strlen(w) + 1) {
		named = named || !strcmp(w, program);
		ours = ours || !strcmp(w, domain);
	}
	return named && ours;
}
