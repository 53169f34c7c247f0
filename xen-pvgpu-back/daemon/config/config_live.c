/* SPDX-License-Identifier: MIT */
/* Settings of pools, groups and vGPUs' pools that arrive as text while pvgpud runs. */
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/config/config_value.h"

#define BLANKS " \t\n"

static const struct key pool_key = {.name = "pool", .kind = POOL};

int config_vgpu_pool(struct config_vgpu *v, const char *text, char error[CONFIG_ERROR])
{
	char want[160];

	if (!text[0]) {
		v->pool[0] = v->group[0] = '\0';
		return 0;
	}
	if (config_value_set(NULL, &pool_key, v->pool, text, want, sizeof(want)) == 0)
		return 0;
	snprintf(error, CONFIG_ERROR, "pool is '%s': %s", text, want);
	return -1;
}

static const struct config_pool *pool_of(const struct config *c, const char *name)
{
	for (unsigned int i = 0; i < c->pool_n; i++)
		if (!strcmp(c->pools[i].name, name))
			return &c->pools[i];
	return NULL;
}

/* Sessions that began in another mode leave traces. */
static bool is_confidential(const struct config_pool *p, const char *mode)
{
	return p &&
	       (p->mode == POOL_CONFIDENTIAL || !strcmp(mode, config_mode_name(POOL_CONFIDENTIAL)));
}

/* "KEY=VALUE" of "pool NAME" or "group NAME"; p: the pool, or NULL. */
static int set_one(struct config *c, const struct config_pool *p, const char *section, char *word,
		   char *error)
{
	char *value = strchr(word, '=');

	if (!value) {
		snprintf(error, CONFIG_ERROR, "%s: %s: must be KEY=VALUE", section, word);
		return -1;
	}
	*value++ = '\0';
	/* Workers and their memory are on the current device. */
	if (!strcmp(word, "device")) {
		snprintf(error, CONFIG_ERROR,
			 "%s: device can be set in pvgpud.conf only, which is read at start",
			 section);
		return -1;
	}
	if (!strcmp(word, "mode") && is_confidential(p, value)) {
		snprintf(error, CONFIG_ERROR,
			 "%s: mode can become, or cease to be, confidential in pvgpud.conf only, "
			 "which is read at start",
			 section);
		return -1;
	}
	return config_key(c, section, word, value, "", error);
}

static int set_all(struct config *c, const char *kind, char *text, char *error)
{
	char section[80], *rest, *word = strtok_r(text, BLANKS, &rest);
	const struct config_pool *p = NULL;

	if (!word)
		return 0;
	if (!strcmp(kind, "pool"))
		p = pool_of(c, word);
	if (!strcmp(kind, "pool") && !p) {
		snprintf(error, CONFIG_ERROR,
			 "pool %s: no such pool; pools are defined in pvgpud.conf", word);
		return -1;
	}
	snprintf(section, sizeof(section), "%s %.70s", kind, word);
	if (config_section(c, section, "", error) < 0)
		return -1;
	while ((word = strtok_r(NULL, BLANKS, &rest)))
		if (set_one(c, p, section, word, error) < 0)
			return -1;
	return 0;
}

int config_live(struct config *c, const char *kind, const char *text, char error[CONFIG_ERROR])
{
	char *copy = strdup(text), *next;
	int r = 0;

	if (!copy) {
		snprintf(error, CONFIG_ERROR, "out of memory");
		return -1;
	}
	for (char *s = copy; s && !r; s = next) {
		next = strchr(s, ';');
		if (next)
			*next++ = '\0';
		r = set_all(c, kind, s, error);
	}
	free(copy);
	if (!r)
		r = config_check_pools(c, error);
	return r < 0 ? r : config_check_groups(c, error);
}
