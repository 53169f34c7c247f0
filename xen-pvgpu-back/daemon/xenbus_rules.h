/* SPDX-License-Identifier: MIT */
/* What xenbus*.c decide, as pure functions. */
#ifndef PVGPU_XENBUS_RULES_H
#define PVGPU_XENBUS_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pvgpu_keys.h"

/* What is known of a vGPU at one moment. */
struct xenbus_view {
	enum pvgpu_state self, front; /* UNKNOWN: not there */
	bool online;                  /* not to be detached, and pvgpud does not stop */
	bool usable;                  /* the toolstack's keys allow to serve it */
	bool live;   /* the control ring is connected, or workers of it are there */
	bool ending; /* they are being ended */
	bool gone;   /* the directory or the domain is */
	bool broken; /* the frontend broke a protocol, or cannot be connected */
	bool adopt;  /* found by a pvgpud that starts, and not tried yet */
	bool lost;   /* tried, without success */
	bool offer;  /* found by a pvgpud that starts: to be offered to a frontend that is Closed */
};

enum xenbus_do {
	XENBUS_WAIT,
	XENBUS_MOVE, /* to a state */
	XENBUS_CONNECT,
	XENBUS_ADOPT,
	XENBUS_DISCONNECT,
	XENBUS_FORGET,
};

struct xenbus_step {
	enum xenbus_do what;
	enum pvgpu_state to;
};

/* The next step; what follows is decided with what it has changed. */
struct xenbus_step xenbus_decide(const struct xenbus_view *v);

/* The own state as a pvgpud takes it that finds it in xenstore; known is what it wrote itself,
 * UNKNOWN for a vGPU that it meets for the first time. */
enum pvgpu_state xenbus_own_state(enum pvgpu_state known, enum pvgpu_state found);

/* The name of its struct vgpu: "xen-3-0-9c1b7a52". */
void xenbus_name(uint32_t domid, uint32_t devid, const struct pvgpu_uuid *uuid, char name[40]);

/*
 * Does a change at path concern what lies in dir? NULL: no. Else what it is below dir: "state";
 * "" when it is dir itself or lies above it.
 */
const char *xenbus_below(const char *dir, const char *path);

/*
 * What this domain can do: PVGPU_FEATURES_*, and why, for the log. guest_type: as the kernel's
 * /sys/hypervisor/guest_type says, NULL if it does not; release: of the kernel.
 */
uint64_t xenbus_features(const char *guest_type, const char *release, char *why, size_t cap);

#endif
