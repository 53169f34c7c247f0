/* SPDX-License-Identifier: MIT */
/* This backend domain's features, and data/pvgpu for the toolstack. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <xenstore.h>

#include "pvgpu_wire.h"
#include "xen-pvgpu-back/daemon/guard/account.h"
#include "xen-pvgpu-back/daemon/guard/canary.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"
#include "xen-pvgpu-back/daemon/xen/xenbus_rules.h"
#include "xen-pvgpu-back/daemon/xen/xenbus_store.h"

#define GUEST_TYPE  "/sys/hypervisor/guest_type"

#define HEALTH_TEXT XENBUS_HOST_TEXT /* bytes of the key with its NUL */

/* A domain's own data directory exists in a guest, but not always in dom0. */
#define ANCHOR "domid"

enum { VERSION, PROTOCOL, MODEL, MEMORY, MEMORY_FREE, DRIVER, HEALTH, OWN_KEYS };
static const char *const own_keys[OWN_KEYS] = {"version",    "protocol-version", "model",
					       "gpu-memory", "gpu-memory-free",  "driver-version",
					       "health"};
_Static_assert(OWN_KEYS == XENBUS_HOST_KEYS, "struct xenbus keeps the texts of all");

/* XAPI's toolstack has it in a domain's platform keys; Xen itself does not tell. */
static uint32_t maptrack_frames(struct xenbus *b)
{
	unsigned int len;
	char *text = xs_read(b->xs, XBT_NULL, "platform/max_maptrack_frames", &len), *end;
	unsigned long n = text ? strtoul(text, &end, 10) : 0;

	if (text && (*end || n > UINT32_MAX))
		n = 0;
	free(text);
	return (uint32_t)n;
}

static void find_limits(struct xenbus *b, bool pv)
{
	struct config *c = &b->d->cfg;
	struct xenbus_limits l = {.grants = c->xen_max_grants,
				  .each = c->xen_vgpu_grants,
				  .most = c->xen_vgpu_max_grants,
				  .channels = c->xen_max_channels};
	const uint32_t frames = maptrack_frames(b);

	xenbus_limits(&l, frames, pv, !b->domid);
	c->xen_max_grants = l.grants;
	c->xen_vgpu_grants = l.each;
	c->xen_vgpu_max_grants = l.most;
	c->xen_max_channels = l.channels;
	log_info("xen: %u grants for all vGPUs (max_maptrack_frames %s), of which each is sure of "
		 "%u and has at most %u; %u event channels",
		 l.grants, frames ? "as in platform" : "not known", l.each, l.most, l.channels);
}

/* NULL: the kernel does not say. */
static const char *guest_type(char type[16])
{
	int fd = open(GUEST_TYPE, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, type, 15);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return NULL;
	type[n] = '\0';
	type[strcspn(type, "\n")] = '\0';
	return type;
}

int xenbus_host_fits(void)
{
	char type[16], why[256];
	struct utsname u;

	uname(&u);
	if (xenbus_can_serve(guest_type(type), u.release, why, sizeof(why)))
		return 0;
	log_error("xen: %s; xen = off in [daemon] serves the local link without Xen", why);
	return -EOPNOTSUPP;
}

void xenbus_host_find(struct xenbus *b)
{
	char text[16], why[160];
	const char *type = guest_type(text);
	struct utsname u;

	uname(&u);
	b->features = xenbus_features(type, u.release, why, sizeof(why));
	b->d->xen_zero_copy = b->features & PVGPU_FEATURES_ZERO_COPY;
	log_info("xen: backend domain %" PRIu32 ", %s", b->domid, why);
	find_limits(b, !type || !strcmp(type, "PV"));
}

/* The memory of all pools whose GPU is known. */
static uint64_t all_memory(const struct daemon *d)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < d->pool_n; i++)
		n += d->pools[i]->device_memory;
	return n;
}

static uint64_t free_memory(const struct daemon *d)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < d->pool_n; i++)
		n += pool_free(d->pools[i]);
	return n;
}

/* The first pool whose GPU a worker has reported; NULL: none. */
static const struct pool *known_pool(const struct daemon *d)
{
	for (unsigned int i = 0; i < d->pool_n; i++)
		if (d->pools[i]->device_memory)
			return d->pools[i];
	return NULL;
}

/* Readable by its owner only. */
int xenbus_host_make(struct xenbus *b)
{
	struct xs_permissions p = {.id = b->domid, .perms = XS_PERM_NONE};

	if (xenbus_exists(b, b->host))
		return 0;
	if (!xs_mkdir(b->xs, XBT_NULL, b->host))
		return -errno;
	return xs_set_permissions(b->xs, XBT_NULL, b->host, &p, 1) ? 0 : -errno;
}

/* "NAME ok; NAME unhealthy: why; NAME no worker starts: why; accounting off: why", cut to the
 * length of the key. */
static void health(const struct daemon *d, char out[HEALTH_TEXT])
{
	char one[CANARY_WHY + 16];
	size_t at = 0;

	out[0] = '\0';
	for (unsigned int i = 0; i < d->pool_n && at < HEALTH_TEXT; i++) {
		canary_health(d->pools[i], one, sizeof(one));
		at += (size_t)snprintf(out + at, HEALTH_TEXT - at, "%s%s %s", i ? "; " : "",
				       d->pools[i]->cfg.name, one);
	}
	if (at < HEALTH_TEXT && !strncmp(health_state(d), "off", 3))
		snprintf(out + at, HEALTH_TEXT - at, "; accounting %s", health_state(d));
}

/* The texts of all keys; an empty text: the key is left out. */
static void describe(const struct daemon *d, const struct pool *p,
		     char texts[OWN_KEYS][XENBUS_HOST_TEXT])
{
	struct pvgpu_range versions = {1, PVGPU_PROTOCOL_VERSION};
	struct pvgpu_text model;

	pvgpu_text_set(&model, p->model, strlen(p->model));
	snprintf(texts[VERSION], XENBUS_HOST_TEXT, "%s", PVGPU_VERSION);
	pvgpu_host_protocol_version_format(&versions, texts[PROTOCOL], XENBUS_HOST_TEXT, NULL);
	snprintf(texts[MODEL], XENBUS_HOST_TEXT, "%.63s", model.s);
	pvgpu_host_gpu_memory_format(all_memory(d), texts[MEMORY], XENBUS_HOST_TEXT, NULL);
	pvgpu_host_gpu_memory_free_format(free_memory(d), texts[MEMORY_FREE], XENBUS_HOST_TEXT,
					  NULL);
	pvgpu_host_driver_version_format((uint32_t)p->driver_version, texts[DRIVER],
					 XENBUS_HOST_TEXT, NULL);
	health(d, texts[HEALTH]);
}

/* The GPUs' keys before the host's own: the version is written last, and a reader that sees it
 * finds the rest. */
static int write_changes(struct xenbus *b, char texts[OWN_KEYS][XENBUS_HOST_TEXT],
			 struct xenbus_write *w)
{
	unsigned int n = 0;
	int err = b->published ? 0 : xenbus_host_make(b);

	if (!err)
		err = xenbus_gpus_changes(b, w, &n);
	for (int i = OWN_KEYS - 1; i >= 0; i--)
		if (texts[i][0] && (!b->published || strcmp(texts[i], b->host_texts[i]) != 0))
			w[n++] = (struct xenbus_write){own_keys[i], texts[i]};
	if (!err && n)
		err = xenbus_put(b, b->host, "", w, n);
	if (!err)
		xenbus_gpus_written(b);
	return err;
}

/* Writes keys that have changed, and all of them once the GPU is known. */
void xenbus_host_write(struct xenbus *b)
{
	char texts[OWN_KEYS][XENBUS_HOST_TEXT] = {""};
	const struct pool *p = known_pool(b->d);
	struct xenbus_write *w;
	int err = -ENOMEM;

	b->hosted = false;
	if (!p)
		return;
	describe(b->d, p, texts);
	w = calloc(OWN_KEYS + b->d->pool_n * XENBUS_GPU_KEYS, sizeof(*w));
	if (w)
		err = write_changes(b, texts, w);
	free(w);
	if (err)
		log_warning("xenstore: %s: %s", b->host, strerror(-err));
	b->published = !err;
	memcpy(b->host_texts, texts, sizeof(texts));
}

void xenbus_host_remove(struct xenbus *b)
{
	struct xenbus_write w[OWN_KEYS];
	char **names;
	unsigned int n;

	for (unsigned int i = 0; i < OWN_KEYS; i++)
		w[i] = (struct xenbus_write){own_keys[i], NULL};
	xenbus_gpus_remove(b);
	if (xenbus_put(b, b->host, "", w, OWN_KEYS) < 0 || xenbus_list(b, b->host, &names, &n) < 0)
		return;
	free(names);
	if (!n)
		xenbus_remove(b, b->host);
}

static void take_level(struct xenbus *b)
{
	enum pvgpu_log_level level;
	char err[PVGPU_KEY_ERROR];
	char *text;
	size_t len;

	if (xenbus_read(b, b->host, "log-level", &text, &len) < 0)
		return;
	if (pvgpu_host_log_level_parse(text, len, &level, err)) {
		log_warning("xenstore: %s", err);
	} else if ((int)level != (int)log_get_level()) {
		log_set_level((enum log_level)level);
		log_info("xenstore: log-level is %s", log_level_name(log_get_level()));
	}
	free(text);
}

/* Applies the settings of all pools or all groups; without the key those of the configuration. */
static void take_settings(struct xenbus *b, const char *key,
			  int (*set)(struct daemon *d, const char *text, char *error))
{
	char error[CONFIG_ERROR], *text;
	size_t len;
	int err = xenbus_read(b, b->host, key, &text, &len);

	if (err && err != -ENOENT)
		return;
	if (set(b->d, err ? "" : text, error) < 0)
		log_warning("xenstore: %s: nothing changed: %s", key, error);
	free(text);
}

/* "ok" can only come from the toolstack: our own text names the pools. */
static void take_health(struct xenbus *b)
{
	char *text;
	size_t len;

	if (xenbus_read(b, b->host, "health", &text, &len) < 0)
		return;
	for (unsigned int i = 0; !strcmp(text, "ok") && i < b->d->pool_n; i++)
		canary_clear(b->d->pools[i]);
	if (!strcmp(text, "ok")) {
		b->host_texts[HEALTH][0] = '\0';
		b->hosted = true;
	}
	free(text);
}

void xenbus_host_level(struct xenbus *b)
{
	b->leveled = false;
	take_health(b);
	take_level(b);
	take_settings(b, "pools", pool_live);
	take_settings(b, "groups", group_live);
}
