/* SPDX-License-Identifier: MIT */
/* The decisions of xenbus*.c as pure functions. */
#ifndef PVGPU_XENBUS_RULES_H
#define PVGPU_XENBUS_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pvgpu_keys.h"

/* A snapshot of a vGPU. */
struct xenbus_view {
	enum pvgpu_state self, front; /* UNKNOWN: missing */
	bool online;                  /* the toolstack has not asked for a detach */
	bool usable;                  /* the toolstack's keys are valid and it was admitted */
	bool live;                    /* the control ring is connected, or it has workers */
	bool ending;                  /* the connection and the workers are being ended */
	bool gone;                    /* the directory or the domain is gone */
	bool broken;                  /* the frontend broke a protocol, or cannot be connected */
	bool adopt;                   /* found Connected at pvgpud's start, not yet tried */
	bool lost;                    /* tried to adopt, without success */
	bool offer; /* found Closed at pvgpud's start: offer it to a frontend that is Closed */
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

/* Decides the next step. The step after it is decided from a new snapshot. */
struct xenbus_step xenbus_decide(const struct xenbus_view *v);

/* The backend's state, given the one found in xenstore and the one that this pvgpud wrote last,
 * UNKNOWN for a vGPU that is new to it. */
enum pvgpu_state xenbus_own_state(enum pvgpu_state known, enum pvgpu_state found);

/* The name of its struct vgpu: "xen-3-0-9c1b7a52". */
void xenbus_name(uint32_t domid, uint32_t devid, const struct pvgpu_uuid *uuid, char name[40]);

/* Does a change at path concern dir? NULL: no. Otherwise the path below dir, such as "state"; ""
 * for dir itself and directories above it. */
const char *xenbus_below(const char *dir, const char *path);

/* May pvgpud serve guests in this domain? False with the reason: in a PV domain before Linux 5.10 a
 * worker cannot map what pvgpud has opened for it, and mapping by itself would undo its sandbox;
 * there are no pidfds either. The arguments are those of xenbus_features(). */
bool xenbus_can_serve(const char *guest_type, const char *release, char *why, size_t cap);

/* The features of this domain, PVGPU_FEATURES_*, with the reason for the log. guest_type: from
 * /sys/hypervisor/guest_type, NULL without it; release: the kernel's. */
uint64_t xenbus_features(const char *guest_type, const char *release, char *why, size_t cap);

/*
 * The grants and event channels that Xen allows this domain, less an eighth for its disks, its
 * networks and our control rings. frames: its max_maptrack_frames, 0: not known. Numbers that are
 * set already stay.
 */
struct xenbus_limits {
	unsigned int grants, each, most; /* of all vGPUs, guaranteed to one, of one */
	unsigned int channels;
};
void xenbus_limits(struct xenbus_limits *l, uint32_t frames, bool pv, bool dom0);

#endif
