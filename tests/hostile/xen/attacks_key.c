/* SPDX-License-Identifier: MIT */
/* Keys of the frontend's directory: missing, huge, of a wrong type, too many, deleted; references
 * and ports of the control ring that pvgpud cannot use. */
#include "tests/hostile/xen/attack.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HUGE  1900  /* xenstored lets an entry of a guest have 2,048 bytes */
#define NODES 20000 /* more than xenstored lets a guest have */

static void key_instead(struct front *f)
{
	front_offer_with(f, (enum pvgpu_key_id)attack->arg, attack->text);
	guest_acts++;
}

static void key_huge(struct front *f)
{
	static char text[HUGE + 1];

	memset(text, '1', HUGE);
	front_offer_with(f, (enum pvgpu_key_id)attack->arg, text);
}

static void key_binary(struct front *f)
{
	front_offer_with(f, (enum pvgpu_key_id)attack->arg, "\x01\x02\xff\x1b[2J");
}

/* As many keys as xenstored allows, while the vGPU is in use. */
static void many_keys(struct front *f)
{
	char path[160];
	int r = 0;

	for (unsigned int i = 0; i < NODES && !r; i++) {
		snprintf(path, sizeof(path), "%s/many/%u", f->front_dir, i);
		r = store_write(0, path, "x", 1);
		guest_acts++;
	}
	WANT(r < 0, "a guest can have %u keys", NODES);
	attack_scene("neighbour");
	snprintf(path, sizeof(path), "%s/many", f->front_dir);
	WANT(store_remove(0, path) == 0, "the keys cannot be removed");
}

/* All keys of the directory go while it is connected. */
static void deleted(struct front *f)
{
	static const enum pvgpu_key_id keys[] = {
		PVGPU_KEY_FRONTEND_BACKEND,         PVGPU_KEY_FRONTEND_BACKEND_ID,
		PVGPU_KEY_FRONTEND_STATE,           PVGPU_KEY_FRONTEND_FEATURES,
		PVGPU_KEY_FRONTEND_RING_REF,        PVGPU_KEY_FRONTEND_EVENT_CHANNEL,
		PVGPU_KEY_FRONTEND_PROTOCOL_VERSION};
	char path[160], old[2][160];

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		front_key(f, keys[i], path);
		if (i < 2)
			store_read(path, old[i], sizeof(old[i]));
		WANT(store_remove(0, path) == 0, "%s cannot be removed", path);
		guest_acts++;
	}
	front_wait_state(f, STATE_BIT(CLOSING) | STATE_BIT(CLOSED));
	for (size_t i = 0; i < 2; i++)
		front_put_key(f, keys[i], old[i]);
}

/* The state is readable for its owner alone. dom0 reads it all the same; for a driver domain it has
 * gone. */
static void forbidden(struct front *f)
{
	char path[160], perms[64];
	int n = snprintf(perms, sizeof(perms), "n%u", f->self) + 1;

	front_key(f, PVGPU_KEY_FRONTEND_STATE, path);
	WANT(store_permit(path, perms, (size_t)n) == 0, "the permissions cannot be changed");
	front_set_state(f, PVGPU_STATE_CONNECTED);
	if (f->back)
		front_wait_state(f, STATE_BIT(CLOSING) | STATE_BIT(CLOSED));
	attack_scene("neighbour");
	n += snprintf(perms + n, sizeof(perms) - (size_t)n, "r%u", f->back) + 1;
	WANT(store_permit(path, perms, (size_t)n) == 0, "the permissions cannot be restored");
}

/* ---- references and ports of the control ring ---- */

enum { NEVER, REVOKED, FOREIGN, UNWRITABLE };

static void ring_ref(struct front *f)
{
	struct pages p;
	char text[16];

	pages_grant(&p, attack->arg == FOREIGN ? f->other : f->back, 1,
		    attack->arg == UNWRITABLE ? READ_ONLY : 0);
	if (attack->arg == REVOKED)
		pages_end(&p);
	snprintf(text, sizeof(text), "%u", attack->arg == NEVER ? 0x7ffffff0u : p.ref[0]);
	front_offer_with(f, PVGPU_KEY_FRONTEND_RING_REF, text);
	front_wait_state(f, STATE_BIT(CLOSING) | STATE_BIT(CLOSED));
}

static void ring_port(struct front *f)
{
	uint32_t port = port_make(attack->arg == FOREIGN ? f->other : f->back);
	char text[16];

	if (attack->arg == REVOKED)
		port_end(port);
	snprintf(text, sizeof(text), "%u", attack->arg == NEVER ? 4000u : port);
	front_offer_with(f, PVGPU_KEY_FRONTEND_EVENT_CHANNEL, text);
	front_wait_state(f, STATE_BIT(CLOSING) | STATE_BIT(CLOSED));
}

#define KEY(name, key, text, why)                                                                  \
	{                                                                                          \
		name, PREPARED, CLOSES, key_instead, PVGPU_KEY_FRONTEND_##key, text,               \
			"log Closing: frontend/" why                                               \
	}
#define HUGE_KEY(name, key, why)                                                                   \
	{                                                                                          \
		name, PREPARED, CLOSES, key_huge, PVGPU_KEY_FRONTEND_##key, NULL,                  \
			"log Closing: frontend/" why                                               \
	}
#define BINARY(name, key, why)                                                                     \
	{                                                                                          \
		name, PREPARED, CLOSES, key_binary, PVGPU_KEY_FRONTEND_##key, NULL,                \
			"log Closing: frontend/" why                                               \
	}
#define NO_MAP  "log Closing: cannot map the control ring, grant [0-9]+: "
#define NO_BIND "log Closing: cannot bind event channel [0-9]+: "

const struct attack attacks_key[] = {
	KEY("ref_missing", RING_REF, NULL, "ring-ref"),
	KEY("ref_zero", RING_REF, "0", "ring-ref"),
	KEY("ref_empty", RING_REF, "", "ring-ref"),
	KEY("ref_word", RING_REF, "eight", "ring-ref"),
	KEY("ref_negative", RING_REF, "-8", "ring-ref"),
	KEY("ref_twice", RING_REF, "8,8", "ring-ref"),
	KEY("ref_two", RING_REF, "8,9", "ring-ref has 2 references"),
	KEY("ref_five", RING_REF, "8,9,10,11,12", "ring-ref"),
	KEY("ref_wraps", RING_REF, "4294967304", "ring-ref"),
	HUGE_KEY("ref_huge", RING_REF, "ring-ref"),
	BINARY("ref_binary", RING_REF, "ring-ref"),
	KEY("port_missing", EVENT_CHANNEL, NULL, "event-channel"),
	KEY("port_zero", EVENT_CHANNEL, "0", "event-channel"),
	KEY("port_above", EVENT_CHANNEL, "131072", "event-channel"),
	KEY("port_word", EVENT_CHANNEL, "x", "event-channel"),
	HUGE_KEY("port_huge", EVENT_CHANNEL, "event-channel"),
	BINARY("port_binary", EVENT_CHANNEL, "event-channel"),
	KEY("version_missing", PROTOCOL_VERSION, NULL, "protocol-version"),
	KEY("version_zero", PROTOCOL_VERSION, "0", "protocol-version"),
	KEY("version_above", PROTOCOL_VERSION, "65535", "protocol-version is 65535"),
	KEY("version_word", PROTOCOL_VERSION, "one", "protocol-version"),
	HUGE_KEY("version_huge", PROTOCOL_VERSION, "protocol-version"),
	KEY("features_twice", FEATURES, "arena-grow,arena-grow", "features"),
	HUGE_KEY("features_huge", FEATURES, "features"),
	BINARY("features_binary", FEATURES, "features"),
	{"keys_many", CONNECTED, LIVES, many_keys, 0, NULL, NULL},
	{"keys_deleted", SETTLED, CLOSES, deleted, 0, NULL, "log : Closing$"},
	{"keys_forbidden", CONNECTED, HIDES, forbidden, 0, NULL, NULL},
	{"ref_never", PREPARED, CLOSES, ring_ref, NEVER, NULL, NO_MAP},
	{"ref_revoked", PREPARED, CLOSES, ring_ref, REVOKED, NULL, NO_MAP},
	{"ref_foreign", PREPARED, CLOSES, ring_ref, FOREIGN, NULL, NO_MAP},
	{"ref_read_only", PREPARED, CLOSES, ring_ref, UNWRITABLE, NULL, NO_MAP},
	{"port_never", PREPARED, CLOSES, ring_port, NEVER, NULL, NO_BIND},
	{"port_revoked", PREPARED, CLOSES, ring_port, REVOKED, NULL, NO_BIND},
	{"port_foreign", PREPARED, CLOSES, ring_port, FOREIGN, NULL, NO_BIND},
	{0}};
