/* SPDX-License-Identifier: MIT */
/* Parses the text of a value into a field of the configuration. */
#include "xen-pvgpu-back/daemon/config/config_value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/contract/log.h"

#define ENV_MAX  64u
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A number; *rest is the text behind it. 0 or -1. */
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

/* 0, or a size that an operator may mean: none gives less than 1 MiB. */
static int set_size(const struct key *k, uint64_t *field, const char *value, char *want, size_t cap)
{
	const size_t len = strlen(value);
	char hint[PVGPU_SIZE_HINT];
	uint64_t n;

	snprintf(want, cap, "must be a size from 1M to %" PRIu64 "T, such as 512M or 4G, or 0%s",
		 k->max >> 40, pvgpu_size_hint(value, len, hint));
	if (!pvgpu_size_read(value, len, &n) || (n && n < PVGPU_SIZE_LEAST) || n > k->max)
		return -1;
	*field = n;
	return 0;
}

static int set_number(const struct key *k, void *field, const char *value, char *want, size_t cap)
{
	uint64_t n;
	const char *rest;

	if (k->kind == SIZE)
		return set_size(k, field, value, want, cap);
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

static const char *const placements[] = {[PLACE_BREADTH] = "breadth-first",
					 [PLACE_DEPTH] = "depth-first",
					 [PLACE_LOAD] = "least-loaded",
					 [PLACE_POLICIES] = NULL};
static const char *const policies[] = {[SCHED_FAIR] = "fair",
				       [SCHED_EQUAL] = "equal",
				       [SCHED_FIXED] = "fixed",
				       [SCHED_BEST_EFFORT] = "best-effort",
				       [SCHED_POLICIES] = NULL};
static const char *const sandboxes[] = {[CONFIG_SANDBOX_OFF] = "off",
					[CONFIG_SANDBOX_NO_SECCOMP] = "no-seccomp",
					[CONFIG_SANDBOX_FULL] = "full",
					[CONFIG_SANDBOX_FULL + 1] = NULL};
static const char *const sharings[] = {[POOL_SHARED] = "shared",
				       [POOL_EXCLUSIVE] = "exclusive",
				       [POOL_CONFIDENTIAL] = "confidential",
				       [POOL_CONFIDENTIAL + 1] = NULL};

static const char *const sensors[] = {
	[SENSORS_COARSE] = "coarse", [SENSORS_OFF] = "off", [SENSORS_OFF + 1] = NULL};

const char *config_mode_name(unsigned int mode)
{
	return sharings[mode];
}

const char *config_sandbox_name(enum config_sandbox sandbox)
{
	return sandboxes[sandbox];
}

const char *config_policy_name(enum sched_policy policy)
{
	return policies[policy];
}

/* The index of a value among words; -1 with the allowed words in want. */
static int find_word(const char *const words[], const char *value, char *want, size_t cap)
{
	size_t n = 0;

	for (int i = 0; words[i]; i++)
		if (!strcmp(words[i], value))
			return i;
	for (int i = 0; words[i] && n < cap; i++)
		n += (size_t)snprintf(want + n, cap - n, "%s%s",
				      !i             ? "must be "
				      : words[i + 1] ? ", "
						     : " or ",
				      words[i]);
	return -1;
}

static int set_word(const struct key *k, void *field, const char *value, char *want, size_t cap)
{
	const char *const *words = k->kind == PLACEMENT ? placements
				   : k->kind == POLICY  ? policies
				   : k->kind == SANDBOX ? sandboxes
				   : k->kind == SENSORS ? sensors
							: sharings;
	int i = find_word(words, value, want, cap);

	if (i < 0)
		return -1;
	*(unsigned int *)field = (unsigned int)i;
	return 0;
}

/* A number with up to `digits` decimals, times ten to the power of that. Returns the rest of the
 * text, or NULL. */
static const char *parse_decimal(const char *s, unsigned int digits, uint64_t *out)
{
	const char *rest;
	bool point;

	if (parse_number(s, 10, out, &rest) < 0 || *out > UINT32_MAX)
		return NULL;
	point = *rest == '.';
	if (point && (*++rest < '0' || *rest > '9'))
		return NULL;
	for (unsigned int i = 0; i < digits; i++) {
		bool digit = point && *rest >= '0' && *rest <= '9';

		*out = *out * 10 + (digit ? (unsigned int)(*rest - '0') : 0);
		rest += digit;
	}
	return rest;
}

static int set_decimal(const struct key *k, void *field, const char *value, char *want, size_t cap)
{
	bool share = k->kind == SHARE;
	const char *rest;
	uint64_t n;

	if (share)
		snprintf(want, cap, "must be a share from %g%% to %g%%, such as 25%% or 12.5%%",
			 (double)k->min / 1e4, (double)k->max / 1e4);
	else
		snprintf(want, cap, "must be a ratio from %g to %g, such as 1.5",
			 (double)k->min / 1e3, (double)k->max / 1e3);
	rest = parse_decimal(value, share ? 4 : 3, &n);
	if (!rest || strcmp(rest, share ? "%" : "") != 0 || n < k->min || n > k->max)
		return -1;
	*(unsigned int *)field = (unsigned int)n;
	return 0;
}

int config_check_name(const char *name, size_t cap)
{
	size_t n = strlen(name);

	if (!n || n >= cap)
		return -1;
	return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ==
				       n &&
			       name[0] != '-'
		       ? 0
		       : -1;
}

/* The group's name is behind the pool's. */
static int set_pool(char *pool, const char *value, const char **want)
{
	char *group = pool + CONFIG_POOL;
	const char *slash = strchr(value, '/');
	size_t n = slash ? (size_t)(slash - value) : strlen(value);

	*want = "must be POOL, POOL/GROUP or /GROUP: names of letters, digits, '-' or '_', up to "
		"15 "
		"of a pool, up to 39 of a group";
	if (n >= CONFIG_POOL || (slash && config_check_name(slash + 1, CONFIG_GROUP) < 0))
		return -1;
	memset(pool, 0, CONFIG_POOL);
	memset(group, 0, CONFIG_GROUP);
	memcpy(pool, value, n);
	if ((n || !slash) && config_check_name(pool, CONFIG_POOL) < 0)
		return -1;
	if (slash)
		strcpy(group, slash + 1);
	return 0;
}

static int set_uids(const struct key *k, uint32_t *field, const char *value)
{
	const char *rest;
	uint64_t first, last;

	if (parse_number(value, 10, &first, &rest) < 0 || *rest != '-' ||
	    parse_number(rest + 1, 10, &last, &rest) < 0 || *rest)
		return -1;
	if (first < k->min || last > k->max || first >= last || last - first >= 1u << 20)
		return -1;
	field[0] = (uint32_t)first;
	field[1] = (uint32_t)last;
	return 0;
}

static int set_gpu(const struct key *k, char *field, const char *value, const char **want)
{
	static const char uuid[] = "0123456789abcdefABCDEF-/";
	const char *rest;
	uint64_t n;

	*want = "must be a GPU's number from 0 to 255, GPU-<uuid> or MIG-<uuid>, as nvidia-smi -L "
		"has them";
	if (strlen(value) >= k->max)
		return -1;
	if (!strncmp(value, "GPU-", 4) || !strncmp(value, "MIG-", 4)) {
		if (!value[4] || strspn(value + 4, uuid) != strlen(value + 4))
			return -1;
	} else if (parse_number(value, 10, &n, &rest) < 0 || *rest || n > 255 ||
		   (value[0] == '0' && value[1])) {
		return -1;
	}
	strcpy(field, value);
	return 0;
}

static int set_cgroup(const struct key *k, char *field, const char *value)
{
	if ((strcmp(value, "auto") && strcmp(value, "off") && value[0] != '/') ||
	    strlen(value) >= k->max)
		return -1;
	strcpy(field, value);
	return 0;
}

int config_value_set(struct config *c, const struct key *k, void *base, const char *value,
		     char *want, size_t cap)
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
	case PLACEMENT:
	case POLICY:
	case SHARING:
	case SENSORS:
	case SANDBOX:
		return set_word(k, field, value, want, cap);
	case SHARE:
	case RATIO:
		return set_decimal(k, field, value, want, cap);
	case POOL:
		r = set_pool(field, value, &text);
		break;
	case GPU:
		r = set_gpu(k, field, value, &text);
		break;
	case CGROUP:
		text = "must be auto, off or the absolute path of a cgroup's directory";
		r = set_cgroup(k, field, value);
		break;
	case UIDS:
		text = "must be FIRST-LAST, unused users' numbers of 1000 or more, such "
		       "as 1900000000-1900065535";
		r = set_uids(k, field, value);
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
