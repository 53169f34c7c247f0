// SPDX-License-Identifier: GPL-2.0 OR MIT
/* The vGPU's keys in xenstore, by the accessors that are generated from their description. */
#include <linux/err.h>
#include <linux/slab.h>

#include "compat.h"
#include "pvgpu_front.h"

/*
 * A key's text: *text is NULL where there is none. -EAGAIN: it cannot be read now, for example for
 * lack of memory.
 */
static int pvgpu_store_read_key(const char *dir, const char *name, char **text, unsigned int *len)
{
	char *t = xenbus_read(XBT_NIL, dir, name, len);

	*text = NULL;
	if (!IS_ERR_OR_NULL(t)) {
		*text = t;
		return 0;
	}
	*len = 0;
	switch (PTR_ERR(t)) {
	case -ENOENT:
	case -EACCES:
	case -EINVAL: /* xenstored refuses the directory's name */
		return 0;
	}
	return -EAGAIN;
}

int pvgpu_read_state(struct pvgpu_vgpu *v, bool own, enum pvgpu_state *out)
{
	const char *dir = own ? v->xdev->nodename : v->xdev->otherend;
	unsigned int len = 0;
	char *text = NULL;
	int ret;

	*out = PVGPU_STATE_UNKNOWN;
	if (!dir)
		return 0;
	ret = pvgpu_store_read_key(dir, "state", &text, &len);
	/* A text that is no state leaves UNKNOWN. */
	if (text && own)
		pvgpu_frontend_state_parse(text, len, out, NULL);
	else if (text)
		pvgpu_backend_state_parse(text, len, out, NULL);
	kfree(text);
	return ret;
}

bool pvgpu_read_online(struct pvgpu_vgpu *v)
{
	bool online = false;
	unsigned int len;
	char *text;

	if (!v->xdev->otherend)
		return false;
	if (!pvgpu_store_read_key(v->xdev->otherend, "online", &text, &len) && text)
		pvgpu_backend_online_parse(text, len, &online, NULL);
	kfree(text);
	return online;
}

/* ---- the backend's keys ---- */

static int pvgpu_store_parse_uuid(struct pvgpu_identity *id, const char *text, unsigned int len,
				  char *err)
{
	struct pvgpu_uuid uuid;
	int ret = pvgpu_backend_uuid_parse(text, len, &uuid, err);

	return ret ? ret : pvgpu_backend_uuid_format(&uuid, id->uuid, sizeof(id->uuid), err);
}

static int pvgpu_store_parse_model(struct pvgpu_identity *id, const char *text, unsigned int len,
				   char *err)
{
	struct pvgpu_text model = {.len = 0};
	/* Without the key the model is the GPU's own, which libcuda asks the worker for. */
	int ret = text ? pvgpu_backend_model_parse(text, len, &model, err) : 0;

	strscpy(id->model, model.s, sizeof(id->model));
	return ret;
}

static int pvgpu_store_parse_memory(struct pvgpu_identity *id, const char *text, unsigned int len,
				    char *err)
{
	return pvgpu_backend_memory_parse(text, len, &id->memory, err);
}

static int pvgpu_store_parse_features(struct pvgpu_identity *id, const char *text, unsigned int len,
				      char *err)
{
	return pvgpu_backend_features_parse(text, len, &id->features, err);
}

static int pvgpu_store_parse_version(struct pvgpu_identity *id, const char *text, unsigned int len,
				     char *err)
{
	const struct pvgpu_range ours = {PVGPU_VERSION_LOW, PVGPU_VERSION_HIGH};
	struct pvgpu_range theirs;
	int ret = pvgpu_backend_protocol_version_parse(text, len, &theirs, err);

	if (ret)
		return ret;
	id->version = pvgpu_range_common(ours, theirs);
	if (id->version)
		return 0;
	snprintf(err, PVGPU_KEY_ERROR,
		 "backend/protocol-version is %u-%u: this pvgpu.ko speaks %u-%u; install one of "
		 "the backend's version",
		 theirs.low, theirs.high, ours.low, ours.high);
	return -EPROTONOSUPPORT;
}

static const struct {
	const char *name;
	int (*parse)(struct pvgpu_identity *id, const char *text, unsigned int len, char *err);
} backend_keys[] = {
	{"uuid", pvgpu_store_parse_uuid},
	{"model", pvgpu_store_parse_model},
	{"memory", pvgpu_store_parse_memory},
	{"features", pvgpu_store_parse_features},
	{"protocol-version", pvgpu_store_parse_version},
};

int pvgpu_read_backend(struct pvgpu_vgpu *v, struct pvgpu_identity *out, char *err)
{
	unsigned int i, len;
	char *text;
	int ret = 0;

	memset(out, 0, sizeof(*out));
	for (i = 0; !ret && i < ARRAY_SIZE(backend_keys); i++) {
		ret = pvgpu_store_read_key(v->xdev->otherend, backend_keys[i].name, &text, &len);
		if (!ret)
			ret = backend_keys[i].parse(out, text, len, err);
		kfree(text);
	}
	return ret;
}

/* The number in a word NAME=NUMBER of that name; else it stays as it is. */
static int pvgpu_store_take(const char *word, const char *name, u64 *out)
{
	size_t n = strlen(name);

	if (strncmp(word, name, n) || word[n] != '=')
		return 0;
	return kstrtou64(word + n + 1, 10, out);
}

/* Under usage_lock. A vGPU that has had no session has no statistics. */
static int pvgpu_store_ask_usage(struct pvgpu_vgpu *v)
{
	struct pvgpu_usage u = {0};
	unsigned int len;
	char *text, *at, *word;
	int ret;

	ret = pvgpu_store_read_key(v->xdev->otherend, "statistics", &text, &len);
	at = text;
	while (!ret && at) {
		word = strsep(&at, " ");
		ret = pvgpu_store_take(word, "memory-used", &u.memory);
		if (!ret)
			ret = pvgpu_store_take(word, "sessions", &u.sessions);
		if (!ret)
			ret = pvgpu_store_take(word, "gpu-time", &u.gpu_us);
	}
	kfree(text);
	if (!ret)
		v->usage = u;
	return ret;
}

int pvgpu_read_usage(struct pvgpu_vgpu *v, struct pvgpu_usage *out)
{
	int ret = mutex_lock_interruptible(&v->usage_lock);

	if (ret)
		return ret;
	if (!v->usage_until || time_after_eq(jiffies, v->usage_until)) {
		ret = v->xdev->otherend ? pvgpu_store_ask_usage(v) : -ENODEV;
		if (!ret)
			v->usage_until = (jiffies + PVGPU_USAGE_FOR) | 1;
	}
	*out = v->usage;
	mutex_unlock(&v->usage_lock);
	return ret;
}

/* Under usage_lock. Behind the statistics a backend describes the GPU. */
static int pvgpu_store_ask_gpu(struct pvgpu_vgpu *v)
{
	unsigned int len;
	char *text;
	int ret = pvgpu_store_read_key(v->xdev->otherend, "statistics", &text, &len);

	if (!ret)
		pvgpu_printable(v->gpu, sizeof(v->gpu), text, text ? len : 0);
	kfree(text);
	return ret;
}

int pvgpu_read_gpu(struct pvgpu_vgpu *v, char *buf)
{
	int ret = mutex_lock_interruptible(&v->usage_lock);

	if (ret)
		return ret;
	if (!v->gpu_until || time_after_eq(jiffies, v->gpu_until)) {
		ret = v->xdev->otherend ? pvgpu_store_ask_gpu(v) : -ENODEV;
		if (!ret)
			v->gpu_until = (jiffies + PVGPU_USAGE_FOR) | 1;
	}
	if (!ret)
		ret = pvgpu_sysfs_emit(buf, "%s\n", v->gpu);
	mutex_unlock(&v->usage_lock);
	return ret;
}

/* ---- the frontend's keys ---- */

static int pvgpu_store_put_keys(struct xenbus_transaction t, const char *dir, u32 ref, u32 port,
				const struct pvgpu_identity *id)
{
	const struct pvgpu_refs refs = {.n = 1, .ref = {ref}};
	char text[64];
	int ret, state;

	/* Without it the toolstack has removed the directory: it must not come back. */
	if (xenbus_scanf(t, dir, "state", "%d", &state) != 1 || state != XenbusStateInitialising)
		return -ESTALE;
	ret = pvgpu_frontend_ring_ref_format(&refs, text, sizeof(text), NULL);
	if (!ret)
		ret = xenbus_write(t, dir, "ring-ref", text);
	if (!ret)
		ret = pvgpu_frontend_event_channel_format(port, text, sizeof(text), NULL);
	if (!ret)
		ret = xenbus_write(t, dir, "event-channel", text);
	if (!ret)
		ret = pvgpu_frontend_protocol_version_format(id->version, text, sizeof(text), NULL);
	if (!ret)
		ret = xenbus_write(t, dir, "protocol-version", text);
	if (!ret)
		ret = pvgpu_frontend_features_format(id->features, text, sizeof(text), NULL);
	if (!ret)
		ret = xenbus_write(t, dir, "features", text);
	if (!ret)
		ret = xenbus_printf(t, dir, "state", "%d", XenbusStateInitialised);
	return ret;
}

int pvgpu_write_frontend(struct pvgpu_vgpu *v, u32 ref, u32 port, const struct pvgpu_identity *id)
{
	struct xenbus_transaction t;
	unsigned int tries = 0;
	int ret, end;

	/* A toolstack that writes to the same keys without end must not keep this thread. */
	do {
		ret = xenbus_transaction_start(&t);
		if (ret)
			return ret;
		ret = pvgpu_store_put_keys(t, v->xdev->nodename, ref, port, id);
		end = xenbus_transaction_end(t, ret != 0);
	} while (!ret && end == -EAGAIN && ++tries < 100);
	if (!ret && !end)
		v->xdev->state = XenbusStateInitialised;
	return ret ? ret : end;
}

bool pvgpu_plugged(struct pvgpu_vgpu *v)
{
	struct pvgpu_ids ids;
	unsigned int len;
	bool there = false;
	char *text, *state;

	if (pvgpu_store_read_key(v->xdev->nodename, "backend", &text, &len) || !text)
		return false;
	if (!pvgpu_frontend_backend_parse(text, len, &ids, NULL) &&
	    !pvgpu_store_read_key(text, "state", &state, &len)) {
		there = state != NULL;
		kfree(state);
	}
	kfree(text);
	return there;
}
