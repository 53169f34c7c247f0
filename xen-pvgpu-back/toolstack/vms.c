/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/toolstack/vms.h"
#include "xen-pvgpu-back/toolstack/ini_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char suffix[] = ".conf";

struct reading {
	struct vm_conf *c;
	FILE *f;
	unsigned int line;
	bool failed;
	char *err;
};

static int complain(struct reading *r, const char *what)
{
	snprintf(r->err, VMS_ERROR, "%s:%u: %s", r->c->path, r->line, what);
	r->failed = true;
	return 0;
}

struct vgpu_spec *vm_conf_vgpu(struct vm_conf *c, uint32_t id)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->vgpus[i].id == id)
			return &c->vgpus[i];
	return NULL;
}

struct vgpu_spec *vm_conf_add(struct vm_conf *c, uint32_t id)
{
	struct vgpu_spec *more =
		c->n < VMS_VGPUS ? reallocarray(c->vgpus, c->n + 1, sizeof(*more)) : NULL;

	if (!more)
		return NULL;
	c->vgpus = more;
	more += c->n++;
	*more = (struct vgpu_spec){.id = id};
	return more;
}

/* The vGPU of a section "vgpu N", made when it is new; NULL: complained. */
static struct vgpu_spec *of_section(struct reading *r, const char *section)
{
	const char *s = section + strcspn(section, " \t");
	struct vgpu_spec *w;
	char *end;
	unsigned long id;

	s += strspn(s, " \t");
	id = strtoul(s, &end, 10);
	if (*s < '0' || *s > '9' || *end || id > PVGPU_DEVID_MAX) {
		complain(r, "must be [vgpu N], N the vGPU's number from 0");
		return NULL;
	}
	w = vm_conf_vgpu(r->c, (uint32_t)id);
	if (!w)
		w = vm_conf_add(r->c, (uint32_t)id);
	if (!w)
		complain(r, "too many vGPUs");
	return w;
}

static int set_vm(struct reading *r, const char *name, const char *value)
{
	struct pvgpu_uuid u;

	if (!strcmp(name, "name")) {
		if (strlen(value) >= sizeof(r->c->name))
			return complain(r, "name: too long");
		strcpy(r->c->name, value);
		return 1;
	}
	if (strcmp(name, "uuid") != 0)
		return complain(r, "[vm] has name and uuid, nothing else");
	if (pvgpu_backend_uuid_parse(value, strlen(value), &u, NULL) < 0)
		return complain(r, "uuid: must be 32 hexadecimal digits in groups of 8-4-4-4-12");
	pvgpu_backend_uuid_format(&u, r->c->uuid, sizeof(r->c->uuid), NULL);
	return 1;
}

static int on_value(void *arg, const char *section, const char *name, const char *value)
{
	struct reading *r = arg;
	char why[VGPU_SPEC_ERROR];
	struct vgpu_spec *w;

	if (r->failed)
		return 0;
	if (!strcmp(section, "vm"))
		return set_vm(r, name, value);
	if (strncmp(section, "vgpu", 4) != 0 || !strchr(" \t", section[4]))
		return complain(r, "there are the sections [vm] and [vgpu N], nothing else");
	w = of_section(r, section);
	if (!w)
		return 0;
	return vgpu_spec_set(w, name, value, why) == 0 ? 1 : complain(r, why);
}

/* inih's handler gets no line numbers and no sections without keys. A section [vgpu N] without keys
 * is a vGPU, too. */
static char *next_line(char *buf, int cap, void *arg)
{
	struct reading *r = arg;
	char section[64], *end;
	size_t n;

	if (r->failed || !fgets(buf, cap, r->f))
		return NULL;
	r->line++;
	n = strlen(buf);
	if (n && buf[n - 1] != '\n' && !feof(r->f)) {
		complain(r, "the line is too long");
		return NULL;
	}
	n = strspn(buf, " \t");
	memmove(buf, buf + n, strlen(buf + n) + 1);
	end = strchr(buf, ']');
	if (strncmp(buf, "[vgpu", 5) == 0 && end && end - buf < (long)sizeof(section)) {
		n = r->c->n;
		snprintf(section, sizeof(section), "%.*s", (int)(end - buf - 1), buf + 1);
		if (!of_section(r, section))
			return NULL;
		if (r->c->n == n) {
			complain(r,
				 "this vGPU is there already: put its settings into one section");
			return NULL;
		}
	}
	return buf;
}

/* A file without [vm] is for the VM that it is named after. */
static void name_by_file(struct vm_conf *c)
{
	const char *base = strrchr(c->path, '/');
	struct pvgpu_uuid u;
	size_t n;

	base = base ? base + 1 : c->path;
	n = strlen(base);
	if (c->name[0] || c->uuid[0] || n < sizeof(suffix))
		return;
	n -= sizeof(suffix) - 1;
	if (pvgpu_backend_uuid_parse(base, n, &u, NULL) == 0)
		pvgpu_backend_uuid_format(&u, c->uuid, sizeof(c->uuid), NULL);
	else
		snprintf(c->name, sizeof(c->name), "%.*s", (int)n, base);
}

int vm_conf_read(struct vm_conf *c, const char *path, char err[VMS_ERROR])
{
	struct reading r = {.c = c, .err = err};
	int line;

	*c = (struct vm_conf){0};
	if ((size_t)snprintf(c->path, sizeof(c->path), "%s", path) >= sizeof(c->path))
		return -ENAMETOOLONG;
	r.f = fopen(path, "re");
	if (!r.f) {
		int e = errno;

		snprintf(err, VMS_ERROR, "%s: %s", path, strerror(e));
		return -e;
	}
	line = ini_parse_stream(next_line, &r, on_value, &r);
	fclose(r.f);
	if (line && !r.failed) {
		r.line = (unsigned int)line;
		complain(&r, "neither [section] nor key = value");
	}
	if (r.failed) {
		vm_conf_free(c);
		return -EINVAL;
	}
	name_by_file(c);
	return 0;
}

int vm_conf_of_xapi(struct vm_conf *c, const char *dir, const char *uuid, char err[VMS_ERROR])
{
	char path[VMS_PATH];

	if (!uuid[0])
		return -ENOENT;
	snprintf(path, sizeof(path), "%.300s/%s%s", dir, uuid, suffix);
	return vm_conf_read(c, path, err);
}

void vm_conf_free(struct vm_conf *c)
{
	free(c->vgpus);
	*c = (struct vm_conf){0};
}

static void print_vgpu(FILE *f, const struct vgpu_spec *w)
{
	char uuid[PVGPU_UUID_TEXT], policy[PVGPU_KEY_TEXT], *rest, *word;

	fprintf(f, "\n[vgpu %u]\n", w->id);
	if (w->has_uuid && pvgpu_backend_uuid_format(&w->uuid, uuid, sizeof(uuid), NULL) == 0)
		fprintf(f, "uuid = %s\n", uuid);
	if (w->backend[0])
		fprintf(f, "backend = %s\n", w->backend);
	if (w->profile.len)
		fprintf(f, "%s = %s\n", w->made ? "made-from" : "profile", w->profile.s);
	if (w->tenant[0])
		fprintf(f, "tenant = %s\n", w->tenant);
	if (w->memory)
		fprintf(f, "memory = %" PRIu64 "\n", w->memory);
	if (w->model.len)
		fprintf(f, "model = %s\n", w->model.s);
	if (w->pool.len)
		fprintf(f, "pool = %s\n", w->pool.s);
	strcpy(policy, w->policy);
	for (word = strtok_r(policy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		char *value = strchr(word, '=');

		if (value)
			fprintf(f, "%.*s = %s\n", (int)(value - word), word, value + 1);
	}
}

int vm_conf_write(const struct vm_conf *c, char err[VMS_ERROR])
{
	char temp[VMS_PATH + 8];
	FILE *f = NULL;
	int fd, bad = -1;

	snprintf(temp, sizeof(temp), "%s.XXXXXX", c->path);
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd >= 0 && fchmod(fd, 0644) == 0)
		f = fdopen(fd, "w");
	if (f) {
		fputs("# pvgpu-vms.conf(5); pvgpuctl writes it anew with --persistent\n[vm]\n", f);
		if (c->name[0])
			fprintf(f, "name = %s\n", c->name);
		if (c->uuid[0])
			fprintf(f, "uuid = %s\n", c->uuid);
		for (size_t i = 0; i < c->n; i++)
			print_vgpu(f, &c->vgpus[i]);
		bad = fflush(f) || fsync(fd);
		bad |= fclose(f);
		if (!bad)
			bad = rename(temp, c->path);
	}
	if (!bad)
		return 0;
	bad = errno;
	if (fd >= 0)
		unlink(temp);
	snprintf(err, VMS_ERROR, "%s: %s", c->path, strerror(bad));
	return -bad;
}

static int wanted(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return e->d_name[0] != '.' && n >= sizeof(suffix) &&
	       !strcmp(e->d_name + n - (sizeof(suffix) - 1), suffix);
}

int vms_read(struct vms *v, const char *dir, void (*bad)(void *arg, const char *err), void *arg)
{
	struct dirent **list;
	int n = scandir(dir, &list, wanted, alphasort), faults = 0;

	*v = (struct vms){0};
	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	v->v = calloc(n ? (size_t)n : 1, sizeof(*v->v));
	for (int i = 0; i < n; i++) {
		char path[VMS_PATH], err[VMS_ERROR] = "";

		snprintf(path, sizeof(path), "%.200s/%s", dir, list[i]->d_name);
		if (v->v && vm_conf_read(&v->v[v->n], path, err) == 0) {
			v->n++;
		} else if (v->v) {
			bad(arg, err);
			faults++;
		}
		free(list[i]);
	}
	free(list);
	return v->v ? faults : -ENOMEM;
}

void vms_free(struct vms *v)
{
	for (size_t i = 0; i < v->n; i++)
		vm_conf_free(&v->v[i]);
	free(v->v);
	*v = (struct vms){0};
}

struct vm_conf *vms_find(const struct vms *v, const struct domain *d)
{
	for (size_t i = 0; d->uuid[0] && i < v->n; i++)
		if (!strcmp(v->v[i].uuid, d->uuid))
			return &v->v[i];
	for (size_t i = 0; i < v->n; i++)
		if (domain_named(d, v->v[i].name))
			return &v->v[i];
	return NULL;
}

/* May the name be used as a file name unchanged? */
static bool plain(const char *name)
{
	static const char good[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

	return name[0] && name[0] != '.' && strlen(name) < 100 && !name[strspn(name, good)];
}

/* Makes the folder and the one above it, which a fresh machine lacks, too. */
static int make_folder(const char *dir)
{
	char above[VMS_PATH], *slash;

	snprintf(above, sizeof(above), "%.300s", dir);
	slash = strrchr(above, '/');
	if (slash && slash != above) {
		*slash = '\0';
		mkdir(above, 0755);
	}
	return mkdir(dir, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* A process that reads a file and writes it anew holds the lock. A descriptor, whose closing ends
 * the lock, or a negative errno. */
static int lock_folder(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX) < 0) {
		if (errno == EINTR)
			continue;
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static int new_file(struct vm_conf *c, const char *dir, const struct domain *d, char err[VMS_ERROR])
{
	const char *base = plain(d->name) ? d->name : d->uuid;

	*c = (struct vm_conf){0};
	if (!base[0]) {
		snprintf(err, VMS_ERROR,
			 "domain %u has neither a uuid nor a name to recognise it by", d->domid);
		return -EINVAL;
	}
	snprintf(c->path, sizeof(c->path), "%.300s/%s%s", dir, base, suffix);
	if (access(c->path, F_OK) == 0) {
		snprintf(err, VMS_ERROR, "%s is there already, for another VM", c->path);
		return -EEXIST;
	}
	/* The name is compared with its printable form in xenstore. A name that the file cannot
	 * hold is left out; then the uuid identifies the VM. */
	snprintf(c->name, sizeof(c->name), "%s", strpbrk(d->name, "?;#=[]") ? "" : d->name);
	strcpy(c->uuid, d->uuid);
	return 0;
}

static int keep(const char *dir, const struct domain *d, const struct vgpu_spec *made,
		char err[VMS_ERROR])
{
	struct vms all;
	struct vm_conf *c, fresh = {0};
	struct vgpu_spec *w;
	int r = vms_read(&all, dir, ini_fault_ignore, NULL);

	c = r < 0 ? NULL : vms_find(&all, d);
	r = 0;
	if (!c) {
		c = &fresh;
		r = new_file(c, dir, d, err);
	}
	if (!r) {
		w = vm_conf_vgpu(c, made->id);
		if (!w)
			w = vm_conf_add(c, made->id);
		if (w)
			*w = *made;
		else
			snprintf(err, VMS_ERROR, "%s: too many vGPUs", c->path);
		r = w ? vm_conf_write(c, err) : -ENOSPC;
	}
	vms_free(&all);
	vm_conf_free(&fresh);
	return r;
}

int vms_keep(const char *dir, const struct domain *d, const struct vgpu_spec *made,
	     char err[VMS_ERROR])
{
	int lock, r = make_folder(dir);

	lock = r ? r : lock_folder(dir);
	if (lock < 0) {
		snprintf(err, VMS_ERROR, "%s: %s", dir, strerror(-lock));
		return lock;
	}
	r = keep(dir, d, made, err);
	close(lock);
	return r;
}

static struct vm_conf *by_word(struct vms *all, const char *word)
{
	for (size_t i = 0; i < all->n; i++)
		if (!strcmp(all->v[i].name, word) || !strcasecmp(all->v[i].uuid, word))
			return &all->v[i];
	return NULL;
}

static int forget(const char *dir, const struct domain *d, const char *vm, bool every, uint32_t id,
		  char err[VMS_ERROR])
{
	struct vms all;
	struct vm_conf *c;
	size_t left = 0;
	int r = vms_read(&all, dir, ini_fault_ignore, NULL);

	c = r < 0 ? NULL : d ? vms_find(&all, d) : by_word(&all, vm);
	if (!c || (!every && !vm_conf_vgpu(c, id))) {
		snprintf(err, VMS_ERROR, "%s has no persistent vGPU of '%s' to forget", dir,
			 d && d->name[0] ? d->name : vm);
		vms_free(&all);
		return -ENOENT;
	}
	for (size_t i = 0; i < c->n; i++)
		if (!every && c->vgpus[i].id != id)
			c->vgpus[left++] = c->vgpus[i];
	c->n = left;
	r = 0;
	if (left) {
		r = vm_conf_write(c, err);
	} else if (unlink(c->path) < 0) {
		r = -errno;
		snprintf(err, VMS_ERROR, "%s: %s", c->path, strerror(errno));
	}
	vms_free(&all);
	return r;
}

int vms_forget(const char *dir, const struct domain *d, const char *vm, bool every, uint32_t id,
	       char err[VMS_ERROR])
{
	int lock = lock_folder(dir), r;

	if (lock < 0 && lock != -ENOENT) {
		snprintf(err, VMS_ERROR, "%s: %s", dir, strerror(-lock));
		return lock;
	}
	r = forget(dir, d, vm, every, id, err);
	if (lock >= 0)
		close(lock);
	return r;
}
