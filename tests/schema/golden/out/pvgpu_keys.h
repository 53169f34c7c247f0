/* SPDX-License-Identifier: MIT */
/* Made by xenstore-schema/gen/schema.py from pvgpu.schema; do not edit. */
#ifndef PVGPU_KEYS_H
#define PVGPU_KEYS_H

#include "xenstore-schema/values.h"

/*
 * For each key: pvgpu_TREE_KEY_parse(text, len, &out, err) and pvgpu_TREE_KEY_format(value, buf, cap, err), with the
 * rules of values.h. text NULL: the key is missing. err: NULL, or PVGPU_KEY_ERROR bytes.
 */

#define PVGPU_SCHEMA_VERSION 2

/* State */
enum pvgpu_state {
	PVGPU_STATE_UNKNOWN = 0, /* gone */
	PVGPU_STATE_INITIALISING = 1, /* new */
	PVGPU_STATE_CONNECTED = 4, /* in use */
};
extern const struct pvgpu_names pvgpu_state_names;

/* How it feels */
enum pvgpu_mood {
	PVGPU_MOOD_CALM = 0, /* well */
	PVGPU_MOOD_CROSS = 3, /* not so well */
};
extern const struct pvgpu_names pvgpu_mood_names;

/* What a lamp can do */
#define PVGPU_TRICKS_DIM (1ull << 0) /* less light */
#define PVGPU_TRICKS_BLINK_FAST (1ull << 5) /* on and off */
extern const struct pvgpu_names pvgpu_tricks_names;

enum pvgpu_tree_id {
	PVGPU_TREE_FRONTEND, /* /local/domain/<fe>/device/lamp/<id> */
	PVGPU_TREE_BACKEND, /* /local/domain/<be>/backend/lamp/<fe>/<id> */
	PVGPU_TREE_HOST, /* /local/domain/<be>/data/lamp */
};
#define PVGPU_TREES 3
extern const struct pvgpu_tree pvgpu_trees[PVGPU_TREES];

enum pvgpu_key_id {
	PVGPU_KEY_FRONTEND_STATE,
	PVGPU_KEY_FRONTEND_WIRE,
	PVGPU_KEY_FRONTEND_BACKEND,
	PVGPU_KEY_FRONTEND_BACKEND_ID,
	PVGPU_KEY_BACKEND_FRONTEND,
	PVGPU_KEY_BACKEND_VERSIONS,
	PVGPU_KEY_BACKEND_TRICKS,
	PVGPU_KEY_BACKEND_WATTS,
	PVGPU_KEY_BACKEND_HOURS,
	PVGPU_KEY_BACKEND_PRICE,
	PVGPU_KEY_BACKEND_ON,
	PVGPU_KEY_BACKEND_SERIAL,
	PVGPU_KEY_BACKEND_NAME,
	PVGPU_KEY_BACKEND_MOOD,
	PVGPU_KEY_BACKEND_BILL,
	PVGPU_KEY_HOST_LAMPS,
};
#define PVGPU_KEYS 16
extern const struct pvgpu_key pvgpu_keys[PVGPU_KEYS];

/* frontend/state: 1 (Initialising) or 4 (Connected) */
int pvgpu_frontend_state_parse(const char *text, size_t len, enum pvgpu_state *out, char *err);
int pvgpu_frontend_state_format(enum pvgpu_state v, char *buf, size_t cap, char *err);
/* frontend/wire: 1 to 2 grant references separated by commas, none 0 and none twice */
int pvgpu_frontend_wire_parse(const char *text, size_t len, struct pvgpu_refs *out, char *err);
int pvgpu_frontend_wire_format(const struct pvgpu_refs *v, char *buf, size_t cap, char *err);
/* backend/versions: a version or a range of versions LOW-HIGH, within 1 to 100 */
int pvgpu_backend_versions_parse(const char *text, size_t len, struct pvgpu_range *out, char *err);
int pvgpu_backend_versions_format(const struct pvgpu_range *v, char *buf, size_t cap, char *err);
/* backend/tricks: names separated by commas, none twice */
int pvgpu_backend_tricks_parse(const char *text, size_t len, uint64_t *out, char *err);
int pvgpu_backend_tricks_format(uint64_t v, char *buf, size_t cap, char *err);
/* backend/watts: a number from 5 to 60 */
int pvgpu_backend_watts_parse(const char *text, size_t len, uint32_t *out, char *err);
int pvgpu_backend_watts_format(uint32_t v, char *buf, size_t cap, char *err);
/* backend/hours: a number from 0 to 18446744073709551615 */
int pvgpu_backend_hours_parse(const char *text, size_t len, uint64_t *out, char *err);
int pvgpu_backend_hours_format(uint64_t v, char *buf, size_t cap, char *err);
/* backend/on: 0 or 1 */
int pvgpu_backend_on_parse(const char *text, size_t len, bool *out, char *err);
int pvgpu_backend_on_format(bool v, char *buf, size_t cap, char *err);
/* backend/serial: a UUID of 32 hexadecimal digits in groups of 8-4-4-4-12 */
int pvgpu_backend_serial_parse(const char *text, size_t len, struct pvgpu_uuid *out, char *err);
int pvgpu_backend_serial_format(const struct pvgpu_uuid *v, char *buf, size_t cap, char *err);
/* backend/name: 1 to 10 printable ASCII characters */
int pvgpu_backend_name_parse(const char *text, size_t len, struct pvgpu_text *out, char *err);
int pvgpu_backend_name_format(const struct pvgpu_text *v, char *buf, size_t cap, char *err);
/* backend/mood: calm or cross */
int pvgpu_backend_mood_parse(const char *text, size_t len, enum pvgpu_mood *out, char *err);
int pvgpu_backend_mood_format(enum pvgpu_mood v, char *buf, size_t cap, char *err);

#ifndef __KERNEL__
/* frontend/backend: a path /local/domain/<be>/backend/lamp/<fe>/<id> */
int pvgpu_frontend_backend_parse(const char *text, size_t len, struct pvgpu_ids *out, char *err);
int pvgpu_frontend_backend_format(const struct pvgpu_ids *v, char *buf, size_t cap, char *err);
/* frontend/backend-id: a domain's number, 0 to 32751 */
int pvgpu_frontend_backend_id_parse(const char *text, size_t len, uint32_t *out, char *err);
int pvgpu_frontend_backend_id_format(uint32_t v, char *buf, size_t cap, char *err);
/* backend/frontend: a path /local/domain/<fe>/device/lamp/<id> */
int pvgpu_backend_frontend_parse(const char *text, size_t len, struct pvgpu_ids *out, char *err);
int pvgpu_backend_frontend_format(const struct pvgpu_ids *v, char *buf, size_t cap, char *err);
/* backend/price: bytes or a number with K, M, G or T, 1K to 1G */
int pvgpu_backend_price_parse(const char *text, size_t len, uint64_t *out, char *err);
int pvgpu_backend_price_format(uint64_t v, char *buf, size_t cap, char *err);
/* backend/bill: fields NAME=VALUE separated by single spaces, none twice, 2048 characters at most */
struct pvgpu_backend_bill {
	uint64_t total; /* all of it */
	bool paid; /* has it been paid? */
	uint64_t tax; /* of that */
	uint32_t part; /* of all bills */
	enum pvgpu_mood tone; /* in which it was asked for */
};
int pvgpu_backend_bill_parse(const char *text, size_t len, struct pvgpu_backend_bill *out, char *err);
int pvgpu_backend_bill_format(const struct pvgpu_backend_bill *v, char *buf, size_t cap, char *err);
/* host/lamps: a number from 0 to 4294967295 */
int pvgpu_host_lamps_parse(const char *text, size_t len, uint32_t *out, char *err);
int pvgpu_host_lamps_format(uint32_t v, char *buf, size_t cap, char *err);
#endif

/* May the frontend go from one state to another while the other end is in that state? */
bool pvgpu_frontend_may_move(enum pvgpu_state from, enum pvgpu_state to, enum pvgpu_state other, bool resuming);

#endif
