/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/xen/xenbus_rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Xen's defaults: maptrack frames of a domain, of 4 KiB, in which a mapping has 16 bytes, and in a
 * PV domain two of those; xl's limit of event channels, and Linux' without the FIFO ABI in dom0. */
#define FRAMES        1024u
#define FRAME_ENTRIES 256u
#define CHANNELS      1024u
#define CHANNELS_DOM0 4096u
/* As many have a guaranteed part: in a PV domain with Xen's defaults 597 grants, enough for a ring
 * (321) and 1 MiB. */
#define VGPUS 192u

static struct xenbus_step act(enum xenbus_do what)
{
	return (struct xenbus_step){what, PVGPU_STATE_UNKNOWN};
}

static struct xenbus_step move(enum pvgpu_state to)
{
	return (struct xenbus_step){XENBUS_MOVE, to};
}

static struct xenbus_step connected(const struct xenbus_view *v)
{
	bool up = v->front == PVGPU_STATE_INITIALISED || v->front == PVGPU_STATE_CONNECTED;
	bool anew = v->front == PVGPU_STATE_INITIALISING;

	if (!v->online || v->broken || (!up && !anew))
		return move(PVGPU_STATE_CLOSING);
	if (up && v->adopt && v->usable)
		return act(XENBUS_ADOPT);
	if (up && v->live && !v->lost)
		return act(XENBUS_WAIT);
	if (v->live)
		return act(XENBUS_DISCONNECT);
	/* A frontend that is not Connected yet does not return to InitWait with the backend. */
	if (v->front == PVGPU_STATE_INITIALISED)
		return move(PVGPU_STATE_CLOSING);
	return move(PVGPU_STATE_INITWAIT);
}

static struct xenbus_step closed(const struct xenbus_view *v)
{
	if (!v->online || !v->usable)
		return act(XENBUS_WAIT);
	if (v->front == PVGPU_STATE_INITIALISING || (v->offer && v->front == PVGPU_STATE_CLOSED))
		return move(PVGPU_STATE_INITWAIT);
	return act(XENBUS_WAIT);
}

struct xenbus_step xenbus_decide(const struct xenbus_view *v)
{
	if (v->ending)
		return act(XENBUS_WAIT);
	if (v->gone)
		return act(v->live ? XENBUS_DISCONNECT : XENBUS_FORGET);
	if (v->self == PVGPU_STATE_CONNECTED)
		return connected(v);
	/* A connection in another state is left over from an earlier one. */
	if (v->live)
		return act(XENBUS_DISCONNECT);
	switch (v->self) {
	case PVGPU_STATE_INITIALISING:
		return move(v->online && v->usable ? PVGPU_STATE_INITWAIT : PVGPU_STATE_CLOSED);
	case PVGPU_STATE_INITWAIT:
		if (!v->online || !v->usable || v->broken)
			return move(PVGPU_STATE_CLOSING);
		return act(v->front == PVGPU_STATE_INITIALISED ? XENBUS_CONNECT : XENBUS_WAIT);
	case PVGPU_STATE_CLOSING:
		return move(PVGPU_STATE_CLOSED);
	case PVGPU_STATE_CLOSED:
		return closed(v);
	default:
		return act(XENBUS_WAIT);
	}
}

enum pvgpu_state xenbus_own_state(enum pvgpu_state known, enum pvgpu_state found)
{
	if (found == known || found == PVGPU_STATE_CLOSING)
		return found;
	if (known == PVGPU_STATE_UNKNOWN &&
	    (found == PVGPU_STATE_INITWAIT || found == PVGPU_STATE_CONNECTED ||
	     found == PVGPU_STATE_CLOSED))
		return found;
	/* The toolstack made it anew before its removal was noticed, or it is not a backend's
	 * state. */
	return PVGPU_STATE_INITIALISING;
}

void xenbus_name(uint32_t domid, uint32_t devid, const struct pvgpu_uuid *uuid, char name[40])
{
	snprintf(name, 40, "xen-%" PRIu32 "-%" PRIu32 "-%02x%02x%02x%02x", domid, devid, uuid->b[0],
		 uuid->b[1], uuid->b[2], uuid->b[3]);
}

/* The rest of path below dir; NULL if it is neither dir nor below it. */
static const char *rest(const char *dir, const char *path)
{
	size_t n = strlen(dir);

	if (strncmp(dir, path, n) != 0 || (path[n] && path[n] != '/'))
		return NULL;
	return path[n] ? path + n + 1 : path + n;
}

const char *xenbus_below(const char *dir, const char *path)
{
	return rest(path, dir) ? "" : rest(dir, path);
}

void xenbus_limits(struct xenbus_limits *l, uint32_t frames, bool pv, bool dom0)
{
	const uint64_t entries = (uint64_t)(frames ? frames : FRAMES) * FRAME_ENTRIES;
	const uint64_t grants = (pv ? entries / 2 : entries) / 8 * 7;

	if (!l->grants)
		l->grants = grants < UINT32_MAX ? (unsigned int)grants : UINT32_MAX;
	if (!l->each)
		l->each = l->grants / VGPUS;
	if (!l->most)
		l->most = l->grants / 2;
	if (!l->channels)
		l->channels = (dom0 ? CHANNELS_DOM0 : CHANNELS) / 8 * 7;
}

static bool new_enough(const char *release)
{
	unsigned int major = 0, minor = 0;

	return sscanf(release, "%u.%u", &major, &minor) == 2 &&
	       (major > 5 || (major == 5 && minor >= 10));
}

static bool auto_translated(const char *guest_type)
{
	return guest_type && (!strcmp(guest_type, "HVM") || !strcmp(guest_type, "PVH"));
}

bool xenbus_can_serve(const char *guest_type, const char *release, char *why, size_t cap)
{
	if (new_enough(release) || auto_translated(guest_type))
		return true;
	snprintf(why, cap,
		 "a PV domain with Linux %.32s cannot serve guests, 5.10 is needed: put the GPU "
		 "into "
		 "a driver domain (docs/xen-link.md, \"A driver domain\"); this domain then needs "
		 "pvgpuctl and pvgpu-attachd only",
		 release);
	return false;
}

uint64_t xenbus_features(const char *guest_type, const char *release, char *why, size_t cap)
{
	if (!new_enough(release)) {
		snprintf(why, cap, "no zero-copy, no arena-grow: Linux %.32s, 5.10 is needed",
			 release);
		return 0;
	}
	if (!auto_translated(guest_type)) {
		snprintf(why, cap, "arena-grow, no zero-copy: %s",
			 guest_type && !strcmp(guest_type, "PV")
				 ? "a PV domain's kernel cannot pin what it has mapped"
				 : "not known to be an HVM or PVH domain");
		return PVGPU_FEATURES_ARENA_GROW;
	}
	snprintf(why, cap, "arena-grow, zero-copy: this is an %s domain", guest_type);
	return PVGPU_FEATURES_ARENA_GROW | PVGPU_FEATURES_ZERO_COPY;
}
