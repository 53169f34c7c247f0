/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/config.h"

#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "xen-pvgpu-back/daemon/log.h"
#include "xen-pvgpu-back/link/local_check.h"

#define VGPUS_MAX  256u
#define ENV_MAX    64u
#define SIZE_LIMIT (1ull << 50)
/*
 * Grants that workers may have mapped. A domain has 1,024 maptrack frames of 256 entries if nobody
 * said otherwise, and a PV domain needs two entries for each grant; an eighth is for others.
 */
#define XEN_GRANTS (1024u * 256u / 2u / 8u * 7u)

enum kind { SIZE, NUMBER, PATH, MODE, LEVEL, XEN, TEXT, ENV };

struct key {
	const char *name;
	enum kind kind;
	size_t offset;
	uint64_t min, max; /* of a number or size; max: room of a text */
};

#define D(field) offsetof(struct config, field)
static const struct key daemon_keys[] = {
	{"run_dir", PATH, D(run_dir), 0, CONFIG_PATH},
	{"libcuda", TEXT, D(libcuda), 0, CONFIG_PATH},
	{"worker", PATH, D(worker), 0, CONFIG_PATH},
	{"device", NUMBER, D(device), 0, 255},
	{"spare_workers", NUMBER, D(spares), 0, 64},
	{"max_sessions", NUMBER, D(max_sessions), 1, 4096},
	{"max_opening", NUMBER, D(max_opening), 1, 1024},
	{"open_timeout_ms", NUMBER, D(open_ms), 10, 600000},
	{"worker_start_timeout_ms", NUMBER, D(start_ms), 100, 600000},
	{"adopt_timeout_ms", NUMBER, D(adopt_ms), 100, 600000},
	{"shutdown_grace_ms", NUMBER, D(shutdown_ms), 0, 3600000},
	{"worker_grace_ms", NUMBER, D(worker_ms), 0, 600000},
	{"lease_wait_ms", NUMBER, D(lease_ms), 0, 600000},
	{"far_end_files", NUMBER, D(far_fds), 0, 65536},
	{"log_level", LEVEL, D(log_level), 0, 0},
	{"xen_max_grants", NUMBER, D(xen_max_grants), 1024, 1u << 30},
	{"xen", XEN, D(xen), 0, 0},
	{"env", ENV, 0, 0, 0},
};
#undef D

#define V(field) offsetof(struct config_vgpu, field)
static const struct key vgpu_keys[] = {
	{"socket", PATH, V(socket), 0, CONFIG_PATH},
	{"memory", SIZE, V(memory), 0, SIZE_LIMIT},
	{"arena_limit", SIZE, V(arena_limit), 4096, 1ull << 40},
	{"device_window", SIZE, V(window), 0, 1ull << 45},
	{"max_sessions", NUMBER, V(max_sessions), 1, 4096},
	{"mode", MODE, V(mode), 0, 0},
	{"owner", TEXT, V(owner), 0, 64},
};
#undef V

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

void config_init(struct config *c)
{
	*c = (struct config){
		.spares = 1,
		.max_sessions = 256,
		.max_opening = 64,
		.open_ms = 2000,
		.start_ms = 60000,
		.adopt_ms = 10000,
		.shutdown_ms = 5000,
		.worker_ms = 3000,
		.lease_ms = 5000,
		.far_fds = 256,
		.log_level = LOG_LEVEL_INFO,
		.xen = CONFIG_XEN_AUTO,
		.xen_max_grants = XEN_GRANTS,
	};
	strcpy(c->run_dir, "/run/pvgpu");
	strcpy(c->libcuda, "libcuda.so.1");
}

void config_free(struct config *c)
{
	for (unsigned int i = 0; i < c->env_n; i++)
		free(c->env[i]);
	free(c->env);
	free(c->vgpus);
	memset(c, 0, sizeof(*c));
}

/* A whole number with nothing after it; 0 or -1. */
static int parse_number(const char *s, int base, uint64_t *out, const char **rest)
{
	char *end;

	if (*s < '0' || *s > '9')
		return -1;
	errno = 0;
	*out = strtoull(s, &end, base);
	*rest = end;
	return errno || end == s ? -1 : 0;
}

static int parse_size(const char *s, uint64_t *out)
{
	static const char units[] = "KMGT";
	const char *rest, *unit;
	uint64_t n;

	if (parse_number(s, 10, &n, &rest) < 0)
		return -1;
	if (*rest) {
		unsigned int shift;

		unit = strchr(units, *rest);
		if (!unit || rest[1])
			return -1;
		shift = 10u * (unsigned int)(unit - units + 1);
		if (n > UINT64_MAX >> shift)
			return -1;
		n <<= shift;
	}
	*out = n;
	return 0;
}

static int set_text(const struct key *k, char *field, const char *value, const char **want)
{
	if (k->kind == PATH && value[0] != '/') {
		*want = "must be an absolute path";
		return -1;
	}
	if (strlen(value) >= k->max) {
		*want = "too long";
		return -1;
	}
	strcpy(field, value);
	return 0;
}

static int add_env(struct config *c, const char *value, const char **want)
{
	const char *eq = strchr(value, '=');
	char **env;

	*want = "must be NAME=VALUE";
	if (!eq || eq == value)
		return -1;
	*want = "too many";
	if (c->env_n == ENV_MAX)
		return -1;
	env = realloc(c->env, (c->env_n + 1) * sizeof(*env));
	if (!env)
		return -1;
	c->env = env;
	env[c->env_n] = strdup(value);
	if (!env[c->env_n])
		return -1;
	c->env_n++;
	return 0;
}

static int set_number(const struct key *k, void *field, const char *value, char *want, size_t cap)
{
	uint64_t n;
	const char *rest;

	if (k->kind == SIZE) {
		snprintf(want, cap,
			 "must be a size from %" PRIu64 " to %" PRIu64 ", such as 512M or 4G",
			 k->min, k->max);
		if (parse_size(value, &n) < 0 || n < k->min || n > k->max)
			return -1;
		*(uint64_t *)field = n;
		return 0;
	}
	if (k->kind == MODE) {
		snprintf(want, cap, "must be file permissions in octal, such as 0660");
		if (parse_number(value, 8, &n, &rest) < 0 || *rest || n > 0777)
			return -1;
	} else {
		snprintf(want, cap, "must be a number from %" PRIu64 " to %" PRIu64, k->min,
			 k->max);
		if (parse_number(value, 10, &n, &rest) < 0 || *rest || n < k->min || n > k->max)
			return -1;
	}
	*(unsigned int *)field = (unsigned int)n;
	return 0;
}

static int parse_xen(const char *s, enum config_xen *out)
{
	static const char *const names[] = {
		[CONFIG_XEN_OFF] = "off", [CONFIG_XEN_ON] = "on", [CONFIG_XEN_AUTO] = "auto"};

	for (unsigned int i = 0; i < COUNT(names); i++) {
		if (strcmp(s, names[i]) != 0)
			continue;
		*out = (enum config_xen)i;
		return 0;
	}
	return -1;
}

/* Set a key of a structure; 0, or -1 with what was wanted. */
static int set_key(struct config *c, const struct key *k, void *base, const char *value, char *want,
		   size_t cap)
{
	void *field = (char *)base + k->offset;
	const char *text = "";
	int r;

	switch (k->kind) {
	case PATH:
	case TEXT:
		r = set_text(k, field, value, &text);
		break;
	case ENV:
		r = add_env(c, value, &text);
		break;
	case LEVEL:
		text = "must be error, warning, info or debug";
		r = log_parse_level(value);
		if (r >= 0)
			*(unsigned int *)field = (unsigned int)r;
		break;
	case XEN:
		text = "must be auto, on or off";
		r = parse_xen(value, field);
		break;
	default:
		return set_number(k, field, value, want, cap);
	}
	snprintf(want, cap, "%s", text);
	return r < 0 ? -1 : 0;
}

static int apply(struct config *c, const struct key *keys, size_t n, void *base,
		 const char *section, const char *name, const char *value, const char *place,
		 char *error)
{
	char want[160];

	for (size_t i = 0; i < n; i++) {
		if (strcmp(keys[i].name, name))
			continue;
		if (set_key(c, &keys[i], base, value, want, sizeof(want)) == 0)
			return 0;
		snprintf(error, CONFIG_ERROR, "%s%.40s = %.80s: %s", place, name, value, want);
		return -1;
	}
	snprintf(error, CONFIG_ERROR, "%s%.40s: no such key in [%.20s]; see pvgpud.conf(5)", place,
		 name, section);
	return -1;
}

static struct config_vgpu *find_vgpu(struct config *c, const char *name)
{
	for (unsigned int i = 0; i < c->vgpu_n; i++)
		if (!strcmp(c->vgpus[i].name, name))
			return &c->vgpus[i];
	return NULL;
}

static struct config_vgpu *add_vgpu(struct config *c, const char *name, const char *place,
				    char *error)
{
	struct config_vgpu *v = find_vgpu(c, name);

	if (v)
		return v;
	if (check_vgpu_name(name) < 0) {
		snprintf(error, CONFIG_ERROR,
			 "%svgpu %.60s: a name is 1 to 39 letters, digits, '-', '_' or '.', and "
			 "begins with a letter, "
			 "digit or '_'",
			 place, name);
		return NULL;
	}
	if (!strncmp(name, CONFIG_XEN_NAME, strlen(CONFIG_XEN_NAME))) {
		snprintf(error, CONFIG_ERROR,
			 "%svgpu %s: names that begin with " CONFIG_XEN_NAME
			 " are those of Xen guests' vGPUs; give it another",
			 place, name);
		return NULL;
	}
	if (c->vgpu_n == VGPUS_MAX) {
		snprintf(error, CONFIG_ERROR, "%svgpu %s: at most %u vGPUs", place, name,
			 VGPUS_MAX);
		return NULL;
	}
	v = realloc(c->vgpus, (c->vgpu_n + 1) * sizeof(*v));
	if (!v) {
		snprintf(error, CONFIG_ERROR, "%sout of memory", place);
		return NULL;
	}
	c->vgpus = v;
	v += c->vgpu_n++;
	*v = (struct config_vgpu){.arena_limit = 8ull << 30, .max_sessions = 64, .mode = 0666};
	strcpy(v->name, name);
	return v;
}

/* inih does not tell its handler the line, so the reader counts. */
struct reading {
	struct config *c;
	FILE *f;
	const char *name;
	unsigned int line;
	bool failed;
	char *error;
};

/*
 * Sections without a key are no event to inih, but they make a vGPU here. Indented lines would
 * continue the value before them: they are taken as lines of their own.
 */
static int look_at_line(struct reading *r, char *buf)
{
	char *s = buf + strspn(buf, " \t"), *end;
	char name[64], place[CONFIG_PATH + 20];
	size_t n;

	if (s != buf)
		memmove(buf, s, strlen(s) + 1);
	end = strchr(buf, ']');
	if (strncmp(buf, "[vgpu ", 6) || !end)
		return 0;
	s = buf + 6 + strspn(buf + 6, " \t");
	n = s < end ? (size_t)(end - s) : 0;
	snprintf(name, sizeof(name), "%.*s", n > 63 ? 63 : (int)n, s);
	snprintf(place, sizeof(place), "%.200s:%u: ", r->name, r->line);
	return add_vgpu(r->c, name, place, r->error) ? 0 : -1;
}

static char *read_line(char *buf, int cap, void *arg)
{
	struct reading *r = arg;
	size_t n;

	if (r->failed || !fgets(buf, cap, r->f))
		return NULL;
	r->line++;
	n = strlen(buf);
	if (n && buf[n - 1] != '\n' && !feof(r->f)) {
		snprintf(r->error, CONFIG_ERROR, "%s:%u: line longer than %d characters", r->name,
			 r->line, cap - 2);
		r->failed = true;
		return NULL;
	}
	if (look_at_line(r, buf) < 0) {
		r->failed = true;
		return NULL;
	}
	return buf;
}

static int on_value(void *arg, const char *section, const char *name, const char *value)
{
	struct reading *r = arg;
	char place[CONFIG_PATH + 20];
	struct config_vgpu *v;
	int err = -1;

	if (r->failed)
		return 0;
	snprintf(place, sizeof(place), "%.200s:%u: ", r->name, r->line);
	if (!strcmp(section, "daemon")) {
		err = apply(r->c, daemon_keys, COUNT(daemon_keys), r->c, section, name, value,
			    place, r->error);
	} else if (!strncmp(section, "vgpu ", 5)) {
		v = add_vgpu(r->c, section + 5 + strspn(section + 5, " \t"), place, r->error);
		if (v)
			err = apply(r->c, vgpu_keys, COUNT(vgpu_keys), v, section, name, value,
				    place, r->error);
	} else {
		snprintf(r->error, CONFIG_ERROR,
			 "%s[%.40s]: no such section; there are [daemon] and [vgpu NAME]", place,
			 section);
	}
	if (err)
		r->failed = true;
	return err == 0;
}

int config_stream(struct config *c, FILE *f, const char *name, char error[CONFIG_ERROR])
{
	struct reading r = {.c = c, .f = f, .name = name, .error = error};
	int line = ini_parse_stream(read_line, &r, on_value, &r);

	if (r.failed)
		return -1;
	if (line) {
		snprintf(error, CONFIG_ERROR, "%s:%d: neither [section] nor key = value", name,
			 line);
		return -1;
	}
	return 0;
}

int config_file(struct config *c, const char *path, char error[CONFIG_ERROR])
{
	FILE *f = fopen(path, "re");
	int r;

	if (!f) {
		snprintf(error, CONFIG_ERROR, "%s: %s; --config FILE names another", path,
			 strerror(errno));
		return -1;
	}
	r = config_stream(c, f, path, error);
	fclose(f);
	return r;
}

/* Split KEY=VALUE in place. */
static char *split(char *s)
{
	char *eq = strchr(s, '=');

	if (eq)
		*eq++ = '\0';
	return eq;
}

int config_set(struct config *c, const char *setting, char error[CONFIG_ERROR])
{
	char buf[1024], *value;

	if (strlen(setting) >= sizeof(buf)) {
		snprintf(error, CONFIG_ERROR, "--set: too long");
		return -1;
	}
	strcpy(buf, setting);
	value = split(buf);
	if (!value) {
		snprintf(error, CONFIG_ERROR, "--set %.80s: must be KEY=VALUE", setting);
		return -1;
	}
	return apply(c, daemon_keys, COUNT(daemon_keys), c, "daemon", buf, value, "--set ", error);
}

int config_vgpu(struct config *c, const char *arg, char error[CONFIG_ERROR])
{
	char buf[1024], *colon, *next;
	struct config_vgpu *v;

	if (strlen(arg) >= sizeof(buf)) {
		snprintf(error, CONFIG_ERROR, "--vgpu: too long");
		return -1;
	}
	strcpy(buf, arg);
	colon = strchr(buf, ':');
	if (colon)
		*colon++ = '\0';
	v = add_vgpu(c, buf, "--", error);
	if (!v)
		return -1;
	for (char *s = colon; s && *s; s = next) {
		char *value;

		next = strchr(s, ',');
		if (next)
			*next++ = '\0';
		value = split(s);
		if (!value) {
			snprintf(error, CONFIG_ERROR, "--vgpu %s: %.60s: must be KEY=VALUE",
				 v->name, s);
			return -1;
		}
		if (apply(c, vgpu_keys, COUNT(vgpu_keys), v, "vgpu", s, value, "--vgpu ", error) <
		    0)
			return -1;
	}
	return 0;
}

int config_finish(struct config *c, char error[CONFIG_ERROR])
{
	const size_t room = sizeof(((struct sockaddr_un *)0)->sun_path);

	if (!c->vgpu_n && c->xen == CONFIG_XEN_OFF) {
		snprintf(error, CONFIG_ERROR,
			 "no vGPU and xen = off: add a [vgpu NAME] section or --vgpu NAME");
		return -1;
	}
	if (strlen(c->run_dir) + sizeof("/admin.sock") > room) {
		snprintf(error, CONFIG_ERROR,
			 "run_dir = %.120s: too long for the names of sockets in it", c->run_dir);
		return -1;
	}
	for (unsigned int i = 0; i < c->vgpu_n; i++) {
		struct config_vgpu *v = &c->vgpus[i];

		if (!v->socket[0])
			snprintf(v->socket, sizeof(v->socket), "%.180s/%s.sock", c->run_dir,
				 v->name);
		if (strlen(v->socket) >= room) {
			snprintf(error, CONFIG_ERROR,
				 "vgpu %s: socket = %.120s: longer than %zu characters", v->name,
				 v->socket, room - 1);
			return -1;
		}
		for (unsigned int j = 0; j < i; j++)
			if (!strcmp(v->socket, c->vgpus[j].socket)) {
				snprintf(error, CONFIG_ERROR,
					 "vgpu %s: socket = %.120s is also vgpu %s's", v->name,
					 v->socket, c->vgpus[j].name);
				return -1;
			}
	}
	return 0;
}
