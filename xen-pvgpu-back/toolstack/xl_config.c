/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/toolstack/xl_config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX_SIZE (1 << 18)
#define WORD          512

static const char suffix[] = ".cfg";

struct parsing {
	struct vm_conf *c;
	const char *at;
	unsigned int line;
	char *err;
};

static int complain(struct parsing *p, const char *what)
{
	snprintf(p->err, VMS_ERROR, "%s:%u: %s", p->c->path, p->line, what);
	return -EINVAL;
}

/* Blanks and comments; with lines: ends of lines, too. */
static void skip(struct parsing *p, bool lines)
{
	for (;; p->at++) {
		if (*p->at == '#')
			p->at += strcspn(p->at, "\n");
		if (*p->at == '\n' && lines)
			p->line++;
		else if (*p->at != ' ' && *p->at != '\t' && *p->at != '\r')
			return;
	}
}

/* A text in quotes, as it stands. */
static int take_text(struct parsing *p, char out[WORD])
{
	char quote = *p->at;
	size_t n;

	if (quote != '"' && quote != '\'')
		return complain(p, "a text in quotes expected");
	n = strcspn(p->at + 1, quote == '"' ? "\"\n" : "'\n");
	if (p->at[1 + n] != quote)
		return complain(p, "the text has no end");
	if (n >= WORD)
		return complain(p, "the text is too long");
	memcpy(out, p->at + 1, n);
	out[n] = '\0';
	p->at += n + 2;
	return 0;
}

static int set_key(struct parsing *p, struct vgpu_spec *w, char *pair, bool *numbered)
{
	char why[VGPU_SPEC_ERROR], *value = strchr(pair, '='), *end;
	unsigned long id;

	if (!value)
		return complain(p, "pvgpu: a vGPU is KEY=VALUE,KEY=VALUE...");
	*value++ = '\0';
	if (!strcmp(pair, "id")) {
		id = strtoul(value, &end, 10);
		if (*value < '0' || *value > '9' || *end || id > PVGPU_DEVID_MAX)
			return complain(p, "pvgpu: id: must be a number from 0");
		w->id = (uint32_t)id;
		*numbered = true;
		return 0;
	}
	return vgpu_spec_set(w, pair, value, why) == 0 ? 0 : complain(p, why);
}

/* The vGPUs are numbered in their order, but for those with an id. */
static int take_vgpu(struct parsing *p, uint32_t *next)
{
	char text[WORD], *rest, *pair;
	struct vgpu_spec w = {0}, *place;
	bool numbered = false;
	int err = take_text(p, text);

	for (pair = strtok_r(text, ",", &rest); pair && !err; pair = strtok_r(NULL, ",", &rest)) {
		pair += strspn(pair, " ");
		err = set_key(p, &w, pair, &numbered);
	}
	if (err)
		return err;
	if (!numbered)
		w.id = *next;
	*next = w.id + 1;
	if (vm_conf_vgpu(p->c, w.id))
		return complain(p, "pvgpu: two vGPUs have the same id");
	place = vm_conf_add(p->c, w.id);
	if (!place)
		return complain(p, "pvgpu: too many vGPUs");
	*place = w;
	return 0;
}

static int take_list(struct parsing *p)
{
	uint32_t next = 0;
	int err = 0;

	if (*p->at != '[')
		return complain(p, "pvgpu: must be [\"KEY=VALUE,...\", ...]");
	p->at++;
	for (skip(p, true); *p->at != ']' && !err; skip(p, true)) {
		err = take_vgpu(p, &next);
		skip(p, true);
		if (!err && *p->at == ',')
			p->at++;
		else if (!err && *p->at != ']')
			err = complain(p, "pvgpu: ',' or ']' expected");
	}
	p->at += *p->at == ']';
	return err;
}

/* Passes over a value of another name: to the end of its line, or of its list. */
static void skip_value(struct parsing *p)
{
	unsigned int depth = 0;

	for (; *p->at && (depth || *p->at != '\n'); p->at++) {
		char text[2] = {*p->at, '\0'};

		if (*p->at == '#') {
			p->at += strcspn(p->at, "\n") - 1;
		} else if (*p->at == '"' || *p->at == '\'') {
			const char *end = p->at + 1 + strcspn(p->at + 1, text);

			for (; p->at < end && *p->at; p->at++)
				p->line += *p->at == '\n';
			if (!*p->at)
				return;
		} else if (*p->at == '\n') {
			p->line++;
		} else {
			depth += *p->at == '[';
			depth -= *p->at == ']' && depth;
		}
	}
}

static int take_identity(struct parsing *p, bool name)
{
	struct pvgpu_uuid u;
	char text[WORD];
	int err = take_text(p, text);

	if (err)
		return err;
	if (name) {
		snprintf(p->c->name, sizeof(p->c->name), "%.*s", DOMAIN_NAME - 1, text);
		return 0;
	}
	if (pvgpu_backend_uuid_parse(text, strlen(text), &u, NULL) == 0)
		pvgpu_backend_uuid_format(&u, p->c->uuid, sizeof(p->c->uuid), NULL);
	return 0;
}

static int take_setting(struct parsing *p)
{
	size_t n = strcspn(p->at, " \t\r\n=#+");
	const char *name = p->at;

	p->at += n;
	skip(p, false);
	if (*p->at == '=') {
		p->at++;
		skip(p, false);
		if (n == 5 && !strncmp(name, "pvgpu", n))
			return take_list(p);
		if (n == 4 && !strncmp(name, "name", n))
			return take_identity(p, true);
		if (n == 4 && !strncmp(name, "uuid", n))
			return take_identity(p, false);
	}
	skip_value(p);
	return 0;
}

static char *read_file(const char *path, int *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = NULL;
	struct stat st;
	ssize_t n = -1;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size < FILE_MAX_SIZE)
		text = calloc(1, (size_t)st.st_size + 1);
	if (text)
		n = read(fd, text, (size_t)st.st_size);
	*err = fd < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	if (n >= 0)
		return text;
	free(text);
	return NULL;
}

int xl_config_read(struct vm_conf *c, const char *path, char err[VMS_ERROR])
{
	struct parsing p = {.c = c, .line = 1, .err = err};
	int r;
	char *text = read_file(path, &r);

	*c = (struct vm_conf){0};
	if (!text)
		snprintf(err, VMS_ERROR, "%s: %s", path, strerror(-r));
	if (!text || !strstr(text, "pvgpu")) {
		free(text);
		return r;
	}
	snprintf(c->path, sizeof(c->path), "%.500s", path);
	c->by_xl = true;
	p.at = text;
	for (skip(&p, true); *p.at && !r; skip(&p, true)) {
		if (*p.at == ';')
			p.at++;
		else
			r = take_setting(&p);
	}
	free(text);
	if (!r && c->n && c->name[0])
		return 1;
	if (!r && c->n)
		r = complain(&p, "pvgpu: the file has no name of the VM");
	vm_conf_free(c);
	return r;
}

static int wanted(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return e->d_name[0] != '.' && n >= sizeof(suffix) &&
	       !strcmp(e->d_name + n - (sizeof(suffix) - 1), suffix);
}

static int add(struct vms *v, const struct vm_conf *c)
{
	struct vm_conf *more = reallocarray(v->v, v->n + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	v->v = more;
	v->v[v->n++] = *c;
	return 0;
}

int xl_configs_add(struct vms *v, const char *dir, void (*bad)(void *arg, const char *err),
		   void *arg)
{
	struct dirent **list;
	int n = scandir(dir, &list, wanted, alphasort), faults = 0, r = 0;

	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		char path[VMS_PATH], err[VMS_ERROR] = "";
		struct vm_conf c;
		int one = 0;

		snprintf(path, sizeof(path), "%.200s/%s", dir, list[i]->d_name);
		if (!r)
			one = xl_config_read(&c, path, err);
		if (one == 1)
			r = add(v, &c);
		if (one < 0) {
			bad(arg, err);
			faults++;
		}
		free(list[i]);
	}
	free(list);
	return r ? r : faults;
}
