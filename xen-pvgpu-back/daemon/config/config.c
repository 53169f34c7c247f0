/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/config/config_value.h"
#include "xen-pvgpu-back/contract/log.h"
#include "xen-pvgpu-back/contract/local_check.h"
#include "xenstore-schema/nearest.h"

#define VGPUS_MAX  4096u
#define POOLS_MAX  64u
#define GROUPS_MAX 1024u
#define SIZE_LIMIT (1ull << 50)
/* Far from users, from systemd's, from those of containers and of other device models. */
#define WORKER_UIDS 1900000000u

#define D(field)    offsetof(struct config, field)
static const struct key daemon_keys[] = {
	{"run_dir", PATH, D(run_dir), 0, CONFIG_PATH},
	{"libcuda", TEXT, D(libcuda), 0, CONFIG_PATH},
	{"libcublas", TEXT, D(libcublas), 0, CONFIG_PATH},
	{"libcublaslt", TEXT, D(libcublaslt), 0, CONFIG_PATH},
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
	{"far_end_files", NUMBER, D(far_fds), 0, 65536},
	{"watchdog_grace_ms", NUMBER, D(watchdog_grace_ms), 0, 60000},
	{"quarantine_faults", NUMBER, D(quarantine_faults), 0, 64},
	{"quarantine_window_s", NUMBER, D(quarantine_window_s), 1, 86400},
	{"quarantine_time_s", NUMBER, D(quarantine_time_s), 1, 86400},
	{"quarantine_kernel_faults", NUMBER, D(quarantine_kernel_faults), 0, 1},
	{"canary_limit_ms", NUMBER, D(canary_limit_ms), 10, 600000},
	{"canary_pause_ms", NUMBER, D(canary_pause_ms), 0, 60000},
	{"canary_tries", NUMBER, D(canary_tries), 1, 100},
	{"canary_every_s", NUMBER, D(canary_every_s), 0, 86400},
	{"gpu_reset", PATH, D(gpu_reset), 0, CONFIG_PATH},
	{"gpu_reset_timeout_s", NUMBER, D(gpu_reset_s), 1, 3600},
	{"libnvml", TEXT, D(libnvml), 0, CONFIG_PATH},
	{"health", PATH, D(health), 0, CONFIG_PATH},
	{"health_user", TEXT, D(health_user), 0, 64},
	{"statistics_group", TEXT, D(statistics_group), 0, 64},
	{"health_period_ms", NUMBER, D(health_period_ms), 10, 10000},
	{"health_timeout_ms", NUMBER, D(health_silent_ms), 500, 600000},
	{"context_charge", SIZE, D(context_charge), 0, SIZE_LIMIT >> 1},
	{"context_memory", SIZE, D(context_memory), 0, SIZE_LIMIT},
	{"log_level", LEVEL, D(log_level), 0, 0},
	{"log_syslog", NUMBER, D(log_syslog), 0, 1},
	{"xen_max_grants", NUMBER, D(xen_max_grants), 0, 1u << 30},
	{"xen_vgpu_grants", NUMBER, D(xen_vgpu_grants), 0, 1u << 30},
	{"xen_vgpu_max_grants", NUMBER, D(xen_vgpu_max_grants), 0, 1u << 30},
	{"xen_max_channels", NUMBER, D(xen_max_channels), 0, 131071},
	{"xen", XEN, D(xen), 0, 0},
	{"sandbox", SANDBOX, D(sandbox), 0, 0},
	{"worker_uids", UIDS, D(worker_uids), 1000, INT32_MAX},
	{"sandbox_files", TEXT, D(sandbox_files), 0, CONFIG_LIST},
	{"sandbox_preload", TEXT, D(sandbox_preload), 0, CONFIG_LIST},
	{"sandbox_allow_open", TEXT, D(sandbox_allow_open), 0, CONFIG_LIST},
	{"cgroup", CGROUP, D(cgroup), 0, CONFIG_PATH},
	{"worker_memory", SIZE, D(worker_memory), 0, SIZE_LIMIT},
	{"vgpu_memory", SIZE, D(vgpu_memory), 0, SIZE_LIMIT},
	{"park_idle_ms", NUMBER, D(park_idle_ms), 0, 3600000},
	{"worker_pids", NUMBER, D(worker_pids), 64, 4096},
	{"numa", NUMBER, D(numa), 0, 1},
	{"exact_use", NUMBER, D(exact_use), 0, 1},
	{"allow_no_ecc", NUMBER, D(allow_no_ecc), 0, 1},
	{"allow_no_scrub", NUMBER, D(allow_no_scrub), 0, 1},
	{"test_allow_hmm", NUMBER, D(test_allow_hmm), 0, 1},
	{"test_judge_observes", NUMBER, D(test_judge_observes), 0, 1},
	{"placement", PLACEMENT, D(placement), 0, 0},
	{"env", ENV, 0, 0, 0},
};
#undef D

#define P(field) offsetof(struct config_pool, field)
static const struct key pool_keys[] = {
	{"device", GPU, P(device), 0, CONFIG_GPU},
	{"policy", POLICY, P(policy), 0, 0},
	{"mode", SHARING, P(mode), 0, 0},
	{"gpu_sensors", SENSORS, P(gpu_sensors), 0, 0},
	{"slice_ms", NUMBER, P(slice_ms), 0, 30},
	{"credit_ms", NUMBER, P(credit_ms), 0, 1000},
	{"starvation_ms", NUMBER, P(starvation_ms), 0, 60000},
	{"overcommit", RATIO, P(overcommit), 100, 100000},
	{"park_memory", SIZE, P(park_memory), 0, SIZE_LIMIT},
	{"park_share", SHARE, P(park_ppm), 10000, 500000},
};
#undef P

#define G(field) offsetof(struct config_group, field)
static const struct key group_keys[] = {
	{"weight", NUMBER, G(weight), 1, 10000},
	{"min_share", SHARE, G(min_ppm), 0, SCHED_PPM},
	{"max_share", SHARE, G(max_ppm), 0, SCHED_PPM},
	{"rate_commands", NUMBER, G(commands_per_s), 0, 1000000000},
	{"rate_bytes", SIZE, G(bytes_per_s), 0, SIZE_LIMIT},
};
#undef G

#define V(field) offsetof(struct config_vgpu, field)
static const struct key vgpu_keys[] = {
	{"socket", PATH, V(socket), 0, CONFIG_PATH},
	{"memory", SIZE, V(memory), 0, SIZE_LIMIT},
	{"mode", MODE, V(mode), 0, 0},
	{"owner", TEXT, V(owner), 0, 64},
	{"pool", POOL, V(pool), 0, 0},
};
#undef V
/* The further keys of a vGPU are the fields of xenstore's `policy`. */
static const struct pvgpu_key *const policy_key = &pvgpu_keys[PVGPU_KEY_BACKEND_POLICY];

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

void config_init(struct config *c)
{
	*c = (struct config){
		.spares = 1,
		.numa = 1,
		.max_sessions = 1024,
		.max_opening = 256,
		.open_ms = 2000,
		.start_ms = 60000,
		.adopt_ms = 10000,
		.shutdown_ms = 5000,
		.park_idle_ms = 10000,
		.worker_ms = 3000,
		.far_fds = 256,
		.watchdog_grace_ms = 500,
		.quarantine_faults = 3,
		.quarantine_window_s = 600,
		.quarantine_time_s = 600,
		.canary_limit_ms = 10000,
		.canary_pause_ms = 200,
		.canary_tries = 3,
		.canary_every_s = 60,
		.gpu_reset_s = 180,
		.health_period_ms = 100,
		.health_silent_ms = 10000,
		.context_memory = 1ull << 30,
		.log_level = LOG_LEVEL_INFO,
		.xen = CONFIG_XEN_AUTO,
		.sandbox = CONFIG_SANDBOX_FULL,
		.worker_uids = {WORKER_UIDS, WORKER_UIDS + 65535},
		.worker_pids = 1024,
	};
	strcpy(c->run_dir, "/run/pvgpu");
	strcpy(c->libcuda, "libcuda.so.1");
	strcpy(c->libnvml, "libnvidia-ml.so.1");
	strcpy(c->health_user, "nobody");
	strcpy(c->statistics_group, "pvgpu-statistics");
	strcpy(c->cgroup, "auto");
	strcpy(c->sandbox_files, "/dev/nvidiactl,/dev/nvidia-uvm,/dev/nvidia[0-9]*,"
				 "/dev/nvidia-caps/nvidia-cap[0-9]*");
	/* It compiles PTX; libcuda loads it for the first module. */
	strcpy(c->sandbox_preload, "-libnvidia-ptxjitcompiler.so.1");
}

void config_free(struct config *c)
{
	for (unsigned int i = 0; i < c->env_n; i++)
		free(c->env[i]);
	free(c->env);
	free(c->pools);
	free(c->groups);
	free(c->vgpus);
	memset(c, 0, sizeof(*c));
}

/* Keys in xenstore have '-' where pvgpud.conf has '_': both spellings are accepted. */
static bool same_key(const char *key, const char *name)
{
	while (*key && (*key == *name || (*key == '_' && *name == '-'))) {
		key++;
		name++;
	}
	return *key == *name;
}

static int no_value(const char *place, const char *name, const char *value, const char *want,
		    char *error)
{
	snprintf(error, CONFIG_ERROR, "%s%s = %s: %s", place, name, value, want);
	return -1;
}

/* Sets a field of the policy. */
static int apply_policy(struct config_vgpu *v, const struct pvgpu_field *f, const char *name,
			const char *value, const char *place, char *error)
{
	char want[160], hint[PVGPU_SIZE_HINT];
	uint64_t n;

	if (pvgpu_field_parse(policy_key, f, value, strlen(value), &n, NULL) == 0) {
		pvgpu_field_put(f, &v->policy, n);
		return 0;
	}
	snprintf(want, sizeof(want), "must be %s%s", f->allowed,
		 f->type == PVGPU_TYPE_SIZE ? pvgpu_size_hint(value, strlen(value), hint) : "");
	return no_value(place, name, value, want, error);
}

static int no_key(const struct key *keys, size_t n, const char *section, const char *name,
		  const char *place, char *error)
{
	struct pvgpu_nearest near = {.word = name};

	for (size_t i = 0; i < n; i++)
		pvgpu_nearest_try(&near, keys[i].name);
	for (uint32_t i = 0; keys == vgpu_keys && i < policy_key->nfields; i++)
		pvgpu_nearest_try(&near, policy_key->fields[i].name);
	snprintf(error, CONFIG_ERROR, "%s%s: no such key in [%s]%s%s%s; see pvgpud.conf(5)", place,
		 name, section, near.name ? ": did you mean " : "", near.name ? near.name : "",
		 near.name ? "?" : "");
	return -1;
}

static int apply(struct config *c, const struct key *keys, size_t n, void *base,
		 const char *section, const char *name, const char *value, const char *place,
		 char *error)
{
	const struct pvgpu_field *f;
	char want[160];

	for (size_t i = 0; i < n; i++) {
		if (!same_key(keys[i].name, name))
			continue;
		if (config_value_set(c, &keys[i], base, value, want, sizeof(want)) == 0)
			return 0;
		return no_value(place, name, value, want, error);
	}
	f = keys == vgpu_keys ? pvgpu_field_find(policy_key, name) : NULL;
	if (f)
		return apply_policy(base, f, name, value, place, error);
	return no_key(keys, n, section, name, place, error);
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
			 "%svgpu %s: a name is 1 to 39 letters, digits, '-', '_' or '.', and "
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
	*v = (struct config_vgpu){.mode = 0666};
	pvgpu_backend_policy_parse("", 0, &v->policy, NULL); /* sets each field's default */
	strcpy(v->name, name);
	return v;
}

/* Adds a zeroed element of `size` to an array of *n; NULL: at the maximum, or out of memory. */
static void *grow(void **all, unsigned int *n, unsigned int max, size_t size)
{
	char *a = *n < max ? realloc(*all, (*n + 1) * size) : NULL;

	if (!a)
		return NULL;
	*all = a;
	return memset(a + (*n)++ * size, 0, size);
}

static int bad_name(const char *what, const char *name, size_t cap, const char *place, char *error)
{
	if (config_check_name(name, cap) == 0)
		return 0;
	snprintf(error, CONFIG_ERROR,
		 "%s%s %s: a name is 1 to %zu letters, digits, '-' or '_', and does not begin "
		 "with '-'",
		 place, what, name, cap - 1);
	return -1;
}

struct config_pool *config_pool(struct config *c, const char *name, const char *place, char *error)
{
	struct config_pool *p;

	for (unsigned int i = 0; i < c->pool_n; i++)
		if (!strcmp(c->pools[i].name, name))
			return &c->pools[i];
	if (bad_name("pool", name, CONFIG_POOL, place, error) < 0)
		return NULL;
	p = grow((void **)&c->pools, &c->pool_n, POOLS_MAX, sizeof(*p));
	if (!p) {
		snprintf(error, CONFIG_ERROR, "%spool %s: at most %u pools", place, name,
			 POOLS_MAX);
		return NULL;
	}
	p->overcommit = 1000;
	p->park_ppm = CONFIG_PARK_PPM;
	strcpy(p->name, name);
	return p;
}

static struct config_group *add_group(struct config *c, const char *name, const char *place,
				      char *error)
{
	struct config_group *g;

	for (unsigned int i = 0; i < c->group_n; i++)
		if (!strcmp(c->groups[i].name, name))
			return &c->groups[i];
	if (bad_name("group", name, CONFIG_GROUP, place, error) < 0)
		return NULL;
	g = grow((void **)&c->groups, &c->group_n, GROUPS_MAX, sizeof(*g));
	if (!g) {
		snprintf(error, CONFIG_ERROR, "%sgroup %s: at most %u groups", place, name,
			 GROUPS_MAX);
		return NULL;
	}
	g->weight = 100;
	strcpy(g->name, name);
	return g;
}

/* NAME in a section "KIND NAME"; NULL: the section is of another kind. */
static const char *name_in(const char *section, const char *kind)
{
	size_t n = strlen(kind);

	if (strncmp(section, kind, n) != 0 || section[n] != ' ')
		return NULL;
	return section + n + strspn(section + n, " \t");
}

/* The object that a section describes, made if it is new, with its table of keys; NULL with an
 * error. */
static void *thing(struct config *c, const char *section, const char *place, char *error,
		   const struct key **keys, size_t *n)
{
	const char *name;

	*keys = daemon_keys;
	*n = COUNT(daemon_keys);
	if (!strcmp(section, "daemon"))
		return c;
	*keys = vgpu_keys;
	*n = COUNT(vgpu_keys);
	name = name_in(section, "vgpu");
	if (name)
		return add_vgpu(c, name, place, error);
	*keys = pool_keys;
	*n = COUNT(pool_keys);
	name = name_in(section, "pool");
	if (name)
		return config_pool(c, name, place, error);
	*keys = group_keys;
	*n = COUNT(group_keys);
	name = name_in(section, "group");
	if (name)
		return add_group(c, name, place, error);
	snprintf(error, CONFIG_ERROR,
		 "%s[%s]: no such section; there are [daemon], [pool NAME], [group NAME] and "
		 "[vgpu NAME]",
		 place, section);
	return NULL;
}

const struct key *config_keys(const char *kind, size_t *n)
{
	if (!strcmp(kind, "pool"))
		return *n = COUNT(pool_keys), pool_keys;
	if (!strcmp(kind, "group"))
		return *n = COUNT(group_keys), group_keys;
	if (!strcmp(kind, "vgpu"))
		return *n = COUNT(vgpu_keys), vgpu_keys;
	return *n = COUNT(daemon_keys), daemon_keys;
}

int config_section(struct config *c, const char *section, const char *place, char *error)
{
	const struct key *keys;
	size_t n;

	return thing(c, section, place, error, &keys, &n) ? 0 : -1;
}

int config_key(struct config *c, const char *section, const char *name, const char *value,
	       const char *place, char *error)
{
	const struct key *keys;
	size_t n;
	void *base = thing(c, section, place, error, &keys, &n);

	return base ? apply(c, keys, n, base, section, name, value, place, error) : -1;
}

/* Splits KEY=VALUE in place and returns VALUE. */
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
		snprintf(error, CONFIG_ERROR, "--set %s: must be KEY=VALUE", setting);
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
			snprintf(error, CONFIG_ERROR, "--vgpu %s: %s: must be KEY=VALUE", v->name,
				 s);
			return -1;
		}
		if (apply(c, vgpu_keys, COUNT(vgpu_keys), v, "vgpu", s, value, "--vgpu ", error) <
		    0)
			return -1;
	}
	return 0;
}

int config_vgpu_key(struct config *c, struct config_vgpu *v, const char *key, const char *value,
		    char error[CONFIG_ERROR])
{
	return apply(c, vgpu_keys, COUNT(vgpu_keys), v, "vgpu", key, value, "", error);
}
