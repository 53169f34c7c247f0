/* SPDX-License-Identifier: MIT */
/* Made by xenstore-schema/gen/schema.py from pvgpu.schema; do not edit. */
#include "pvgpu_keys.h"

#ifdef __KERNEL__
#define USER(...)
#else
#define USER(...) __VA_ARGS__
#endif

static const struct pvgpu_name state_v[] = {
	{"Unknown", 0},
	{"Initialising", 1},
	{"Connected", 4},
};
const struct pvgpu_names pvgpu_state_names = {state_v, 3, true};

static const struct pvgpu_name mood_v[] = {
	{"calm", 0},
	{"cross", 3},
};
const struct pvgpu_names pvgpu_mood_names = {mood_v, 2, false};

static const struct pvgpu_name tricks_v[] = {
	{"dim", 0},
	{"blink-fast", 5},
};
const struct pvgpu_names pvgpu_tricks_names = {tricks_v, 2, false};

const struct pvgpu_tree pvgpu_trees[PVGPU_TREES] = {
	{.name = "frontend",
	 .path = "/local/domain/<fe>/device/lamp/<id>",
	 .owner = PVGPU_FRONTEND,
	 .per_vgpu = true,
	 USER(.doc = "The lamp as its guest sees it.")},
	{.name = "backend",
	 .path = "/local/domain/<be>/backend/lamp/<fe>/<id>",
	 .owner = PVGPU_BACKEND,
	 .per_vgpu = true,
	 USER(.doc = "The lamp as its backend sees it.")},
	{.name = "host",
	 .path = "/local/domain/<be>/data/lamp",
	 .owner = PVGPU_BACKEND,
	 .per_vgpu = false,
	 USER(.doc = "The electrician.")},
};

#ifndef __KERNEL__
static const struct pvgpu_field backend_bill_fields[] = {
	{.name = "total", .def = "1", .type = PVGPU_TYPE_U64,
	 .min = 1, .max = 0xffffffffffffffffull, .allowed = "a number from 1 to 18446744073709551615",
	 .doc = "all of it", .live = false,
	 .offset = offsetof(struct pvgpu_backend_bill, total), .size = sizeof(uint64_t)},
	{.name = "paid", .def = "0", .type = PVGPU_TYPE_BOOL,
	 .min = 0, .max = 1, .allowed = "0 or 1",
	 .doc = "has it been paid?", .live = false,
	 .offset = offsetof(struct pvgpu_backend_bill, paid), .size = sizeof(bool)},
	{.name = "tax", .def = "2K", .type = PVGPU_TYPE_SIZE,
	 .min = 0, .max = 0x10000000000ull, .allowed = "bytes or a number with K, M, G or T, 0 to 1T",
	 .doc = "of that", .live = false,
	 .offset = offsetof(struct pvgpu_backend_bill, tax), .size = sizeof(uint64_t)},
	{.name = "part", .def = "12.5%", .type = PVGPU_TYPE_SHARE,
	 .min = 0, .max = 1000000, .allowed = "a share of 0% to 100% with at most four decimals, such as 12.5%",
	 .doc = "of all bills", .live = false,
	 .offset = offsetof(struct pvgpu_backend_bill, part), .size = sizeof(uint32_t)},
	{.name = "tone", .def = "calm", .type = PVGPU_TYPE_ENUM,
	 .names = &pvgpu_mood_names,
	 .min = 0, .max = 3, .allowed = "calm or cross",
	 .doc = "in which it was asked for", .live = false,
	 .offset = offsetof(struct pvgpu_backend_bill, tone), .size = sizeof(enum pvgpu_mood)},
};
_Static_assert(sizeof(backend_bill_fields) / sizeof(backend_bill_fields[0]) <= PVGPU_FIELDS_MAX, "fields");

#endif

const struct pvgpu_key pvgpu_keys[PVGPU_KEYS] = {
	[PVGPU_KEY_FRONTEND_STATE] = {
		.tree = &pvgpu_trees[PVGPU_TREE_FRONTEND], .name = "state", .type = PVGPU_TYPE_ENUM, .since = 1,
		.allowed = "1 (Initialising) or 4 (Connected)",
		.names = &pvgpu_state_names,
		.min = 1, .max = 4, .needed = PVGPU_NEEDED_ALWAYS,
		.owner = PVGPU_FRONTEND, .writers = PVGPU_DOMAIN_BIT(PVGPU_TOOLSTACK) | PVGPU_DOMAIN_BIT(PVGPU_FRONTEND), .readers = PVGPU_DOMAIN_BIT(PVGPU_BACKEND),
		USER(.doc = "State.", .example = "4")
	},
	[PVGPU_KEY_FRONTEND_WIRE] = {
		.tree = &pvgpu_trees[PVGPU_TREE_FRONTEND], .name = "wire", .type = PVGPU_TYPE_REFS, .since = 1,
		.allowed = "1 to 2 grant references separated by commas, none 0 and none twice",
		.min = 1, .max = 2, .needed = 1u << PVGPU_STATE_CONNECTED,
		.owner = PVGPU_FRONTEND, .writers = PVGPU_DOMAIN_BIT(PVGPU_FRONTEND), .readers = PVGPU_DOMAIN_BIT(PVGPU_BACKEND),
		USER(.doc = "Grants.", .example = "8,9")
	},
	[PVGPU_KEY_FRONTEND_BACKEND] = {
		.tree = &pvgpu_trees[PVGPU_TREE_FRONTEND], .name = "backend", .type = PVGPU_TYPE_PATH, .since = 1,
		.allowed = "a path /local/domain/<be>/backend/lamp/<fe>/<id>",
		.target = &pvgpu_trees[PVGPU_TREE_BACKEND],
		.min = 0, .max = 0, .needed = PVGPU_NEEDED_ALWAYS,
		.owner = PVGPU_FRONTEND, .writers = PVGPU_DOMAIN_BIT(PVGPU_TOOLSTACK), .readers = PVGPU_DOMAIN_BIT(PVGPU_BACKEND),
		USER(.doc = "The other end.", .example = "/local/domain/0/backend/lamp/3/1")
	},
	[PVGPU_KEY_FRONTEND_BACKEND_ID] = {
		.tree = &pvgpu_trees[PVGPU_TREE_FRONTEND], .name = "backend-id", .type = PVGPU_TYPE_DOMID, .since = 1,
		.allowed = "a domain's number, 0 to 32751",
		.min = 0, .max = 32751, .needed = PVGPU_NEEDED_ALWAYS,
		.owner = PVGPU_FRONTEND, .writers = PVGPU_DOMAIN_BIT(PVGPU_TOOLSTACK), .readers = PVGPU_DOMAIN_BIT(PVGPU_BACKEND),
		USER(.doc = "The other domain.", .example = "0")
	},
	[PVGPU_KEY_BACKEND_FRONTEND] = {
		.tree = &pvgpu_trees[PVGPU_TREE_BACKEND], .name = "frontend", .type = PVGPU_TYPE_PATH, .since = 1,
		.allowed = "a path /local/domain/<fe>/device/lamp/<id>",
		.target = &pvgpu_trees[PVGPU_TREE_FRONTEND],
		.min = 0, .max = 0, .needed = PVGPU_NEEDED_ALWAYS,
		.owner = PVGPU_TOOLSTACK, .writers = PVGPU_DOMAIN_BIT(PVGPU_TOOLSTACK), .readers = PVGPU_DOMAIN_BIT(PVGPU_BACKEND) | PVGPU_DOMAIN_BIT(PVGPU_FRONTEND),
		USER(.doc = "The other end.", .example = "/local/domain/3/device/lamp/1")
	},
	[PVGPU_KEY_BACKEND_VERSIONS] = {
		.tree = &pvgpu_trees[PVGPU_TREE_BACKEND], .name = "versions", .type = PVGPU_TYPE_RANGE, .since = 1,
		.allowed = "a version or a range of versions LOW-HIGH, within 1 to 100",
		.min = 1, .max = 100, .needed = 0,
		.owner = PVGPU_BACKEND, .writers = PVGPU_DOMAIN_BIT(PVGPU_BACKEND), .readers = PVGPU_DOMAIN_BIT(PVGPU_FRONTEND),
		USER(.doc = "Versions.", .example = "1-3")
	},
	[PVGPU_KEY_BACKEND_TRICKS] = {
		.tree = &pvgpu_trees[PVGPU_TREE_BACKEND], .name = "tricks", .type = PVGPU_TYPE_FLAGS, .since = 1,
		.allowed = "names separated by commas, none twice",
		.def = "",
		.names = &pvgpu_tricks_names,
		.min = 0, .max = 0, .needed = 0,
		.owner = PVGPU_BACKEND, .writers = PVGPU_DOMAIN_BIT(PVGPU_BACKEND), .readers = PVGPU_DOMAIN_BIT(PVGPU_FRONTEND),
		USER(.doc = "Tricks.", .example = "dim")
	},
	[PVGPU_KEY_BACKEND_WATTS] = {
		.tree = &pvgpu_trees[PVGPU_TREE_BACKEND], .name = "watts", .type = PVGPU_TYPE_U32, .since = 1,
		.allowed = "a number from 5 to 60",
		.def = "40",
		.min = 5, .max = 60, .needed = 0,
		.owner = PVGPU_TOOLSTACK, .writers = PVGPU_DOMAIN_BIT(PVGPU_TOOLSTACK), .readers = PVGPU_DOMAIN_BIT(PVGPU_BACKEND) | PVGPU_DOMAIN_BIT(PVGPU_FRONTEND),
		USER(.doc = "Power.", .example = "60")
	},
	[PVGPU_KEY_BACKEND_HOURS] = {
		.tree = &pvgpu_trees[PVGPU_TREE_BACKEND], .name = "hours", .type = PVGPU_TYPE_U64, .since = 2,
		.allowed = "a number from 0 to 18446744073709551615",
		.min = 0, .max = 0xffffffffffffffffull, .needed = 0,
		.owner = PVGPU_BACKEND, .writers = PVGPU_DOMAIN_BIT(PVGPU_BACKEND), .readers = PVGPU_DOMAIN_BIT(PVGPU_FRONTEND),
		USER(.doc = "How long it has burnt.", .example = "18446744073709551615")
	},
	[PVGPU_KEY_BACKEND_PRICE] = {
		.tree = &pvgpu_trees[PVGPU_TREE_BACKEND], .name = "price", .type = PVGPU_TYPE_SIZE, .since = 2,
		.allowed = "bytes or a number with K, M, G or T, 1K to 1G",
		.def = "64M",
		.min = 1024, .max = 1073741824, .needed = 0,
		.owner = PVGPU_TOOLSTACK, .writers = PVGPU_DOMAIN_BIT(PVGPU_TOOLSTACK), .readers = PVGPU_DOMAIN_BIT(PVGPU_BACKEND) | PVGPU_DOMAIN_BIT(PVGPU_FRONTEND),
		USER(.doc = "Paid in bytes.", .example = "1G")
	},
	[PVGPU_KEY_BACKEND_ON] = {
		.tree = &pvgpu_trees[PVGPU_TREE_BACKEND], .name = "on", .type = PVGPU_TYPE_BOOL, .since = 1,
		.allowed = "0 or 1",
		.def = "0",
		.min = 0, .max = 1, .needed = 0,
		.owner = PVGPU_TOOLSTACK, .writers = PVGPU_DOMAIN_BIT(PVGPU_TOOLSTACK), .readers = PVGPU_DOMAIN_BIT(PVGPU_BACKEND) | PVGPU_DOMAIN_BIT(PVGPU_FRONTEND),
		USER(.doc = "Is it on?", .example = "1")
	},
	[PVGPU_KEY_BACKEND_SERIAL] = {
		.tree = &pvgpu_trees[PVGPU_TREE_BACKEND], .name = "serial", .type = PVGPU_TYPE_UUID, .since = 1,
		.allowed = "a UUID of 32 hexadecimal digits in groups of 8-4-4-4-12",
		.min = 0, .max = 0, .needed = PVGPU_NEEDED_ALWAYS,
		.owner = PVGPU_TOOLSTACK, .writers = PVGPU_DOMAIN_BIT(PVGPU_TOOLSTACK), .readers = PVGPU_DOMAIN_BIT(PVGPU_BACKEND) | PVGPU_DOMAIN_BIT(PVGPU_FRONTEND),
		USER(.doc = "Who it is.", .example = "00000000-0000-0000-0000-00000000000F")
	},
	[PVGPU_KEY_BACKEND_NAME] = {
		.tree = &pvgpu_trees[PVGPU_TREE_BACKEND], .name = "name", .type = PVGPU_TYPE_TEXT, .since = 1,
		.allowed = "1 to 10 printable ASCII characters",
		.min = 1, .max = 10, .needed = 0,
		.owner = PVGPU_TOOLSTACK, .writers = PVGPU_DOMAIN_BIT(PVGPU_TOOLSTACK), .readers = PVGPU_DOMAIN_BIT(PVGPU_BACKEND) | PVGPU_DOMAIN_BIT(PVGPU_FRONTEND),
		USER(.doc = "What it is called.", .example = "Lux")
	},
	[PVGPU_KEY_BACKEND_MOOD] = {
		.tree = &pvgpu_trees[PVGPU_TREE_BACKEND], .name = "mood", .type = PVGPU_TYPE_ENUM, .since = 2,
		.allowed = "calm or cross",
		.def = "calm",
		.names = &pvgpu_mood_names,
		.min = 0, .max = 3, .needed = 0,
		.owner = PVGPU_BACKEND, .writers = PVGPU_DOMAIN_BIT(PVGPU_BACKEND), .readers = PVGPU_DOMAIN_BIT(PVGPU_FRONTEND),
		USER(.doc = "How it feels.", .example = "cross")
	},
	[PVGPU_KEY_BACKEND_BILL] = {
		.tree = &pvgpu_trees[PVGPU_TREE_BACKEND], .name = "bill", .type = PVGPU_TYPE_RECORD, .since = 1,
		.allowed = "fields NAME=VALUE separated by single spaces, none twice, 2048 characters at most",
		.def = "total=1",
		.min = 0, .max = 0, .needed = 0,
		.owner = PVGPU_BACKEND, .writers = PVGPU_DOMAIN_BIT(PVGPU_BACKEND), .readers = PVGPU_DOMAIN_BIT(PVGPU_FRONTEND),
		USER(.fields = backend_bill_fields, .nfields = 5,)
		USER(.doc = "What it cost.", .example = "total=3 paid=1 part=0.25%")
	},
	[PVGPU_KEY_HOST_LAMPS] = {
		.tree = &pvgpu_trees[PVGPU_TREE_HOST], .name = "lamps", .type = PVGPU_TYPE_U32, .since = 1,
		.allowed = "a number from 0 to 4294967295",
		.min = 0, .max = 0xffffffffull, .needed = 0,
		.owner = PVGPU_BACKEND, .writers = PVGPU_DOMAIN_BIT(PVGPU_BACKEND), .readers = 0,
		USER(.doc = "How many.", .example = "3")
	},
};

int pvgpu_frontend_state_parse(const char *text, size_t len, enum pvgpu_state *out, char *err)
{
	uint64_t v;
	int ret = pvgpu_number_parse(&pvgpu_keys[PVGPU_KEY_FRONTEND_STATE], text, len, &v, err);

	if (!ret)
		*out = (enum pvgpu_state)v;
	return ret;
}

int pvgpu_frontend_state_format(enum pvgpu_state v, char *buf, size_t cap, char *err)
{
	return pvgpu_number_format(&pvgpu_keys[PVGPU_KEY_FRONTEND_STATE], v, buf, cap, err);
}

int pvgpu_frontend_wire_parse(const char *text, size_t len, struct pvgpu_refs *out, char *err)
{
	return pvgpu_refs_parse(&pvgpu_keys[PVGPU_KEY_FRONTEND_WIRE], text, len, out, err);
}

int pvgpu_frontend_wire_format(const struct pvgpu_refs *v, char *buf, size_t cap, char *err)
{
	return pvgpu_refs_format(&pvgpu_keys[PVGPU_KEY_FRONTEND_WIRE], v, buf, cap, err);
}

int pvgpu_backend_versions_parse(const char *text, size_t len, struct pvgpu_range *out, char *err)
{
	return pvgpu_range_parse(&pvgpu_keys[PVGPU_KEY_BACKEND_VERSIONS], text, len, out, err);
}

int pvgpu_backend_versions_format(const struct pvgpu_range *v, char *buf, size_t cap, char *err)
{
	return pvgpu_range_format(&pvgpu_keys[PVGPU_KEY_BACKEND_VERSIONS], v, buf, cap, err);
}

int pvgpu_backend_tricks_parse(const char *text, size_t len, uint64_t *out, char *err)
{
	return pvgpu_flags_parse(&pvgpu_keys[PVGPU_KEY_BACKEND_TRICKS], text, len, out, err);
}

int pvgpu_backend_tricks_format(uint64_t v, char *buf, size_t cap, char *err)
{
	return pvgpu_flags_format(&pvgpu_keys[PVGPU_KEY_BACKEND_TRICKS], v, buf, cap, err);
}

int pvgpu_backend_watts_parse(const char *text, size_t len, uint32_t *out, char *err)
{
	uint64_t v;
	int ret = pvgpu_number_parse(&pvgpu_keys[PVGPU_KEY_BACKEND_WATTS], text, len, &v, err);

	if (!ret)
		*out = (uint32_t)v;
	return ret;
}

int pvgpu_backend_watts_format(uint32_t v, char *buf, size_t cap, char *err)
{
	return pvgpu_number_format(&pvgpu_keys[PVGPU_KEY_BACKEND_WATTS], v, buf, cap, err);
}

int pvgpu_backend_hours_parse(const char *text, size_t len, uint64_t *out, char *err)
{
	uint64_t v;
	int ret = pvgpu_number_parse(&pvgpu_keys[PVGPU_KEY_BACKEND_HOURS], text, len, &v, err);

	if (!ret)
		*out = (uint64_t)v;
	return ret;
}

int pvgpu_backend_hours_format(uint64_t v, char *buf, size_t cap, char *err)
{
	return pvgpu_number_format(&pvgpu_keys[PVGPU_KEY_BACKEND_HOURS], v, buf, cap, err);
}

int pvgpu_backend_on_parse(const char *text, size_t len, bool *out, char *err)
{
	uint64_t v;
	int ret = pvgpu_number_parse(&pvgpu_keys[PVGPU_KEY_BACKEND_ON], text, len, &v, err);

	if (!ret)
		*out = (bool)v;
	return ret;
}

int pvgpu_backend_on_format(bool v, char *buf, size_t cap, char *err)
{
	return pvgpu_number_format(&pvgpu_keys[PVGPU_KEY_BACKEND_ON], v, buf, cap, err);
}

int pvgpu_backend_serial_parse(const char *text, size_t len, struct pvgpu_uuid *out, char *err)
{
	return pvgpu_uuid_parse(&pvgpu_keys[PVGPU_KEY_BACKEND_SERIAL], text, len, out, err);
}

int pvgpu_backend_serial_format(const struct pvgpu_uuid *v, char *buf, size_t cap, char *err)
{
	return pvgpu_uuid_format(&pvgpu_keys[PVGPU_KEY_BACKEND_SERIAL], v, buf, cap, err);
}

int pvgpu_backend_name_parse(const char *text, size_t len, struct pvgpu_text *out, char *err)
{
	return pvgpu_text_parse(&pvgpu_keys[PVGPU_KEY_BACKEND_NAME], text, len, out, err);
}

int pvgpu_backend_name_format(const struct pvgpu_text *v, char *buf, size_t cap, char *err)
{
	return pvgpu_text_format(&pvgpu_keys[PVGPU_KEY_BACKEND_NAME], v, buf, cap, err);
}

int pvgpu_backend_mood_parse(const char *text, size_t len, enum pvgpu_mood *out, char *err)
{
	uint64_t v;
	int ret = pvgpu_number_parse(&pvgpu_keys[PVGPU_KEY_BACKEND_MOOD], text, len, &v, err);

	if (!ret)
		*out = (enum pvgpu_mood)v;
	return ret;
}

int pvgpu_backend_mood_format(enum pvgpu_mood v, char *buf, size_t cap, char *err)
{
	return pvgpu_number_format(&pvgpu_keys[PVGPU_KEY_BACKEND_MOOD], v, buf, cap, err);
}

#ifndef __KERNEL__
int pvgpu_frontend_backend_parse(const char *text, size_t len, struct pvgpu_ids *out, char *err)
{
	return pvgpu_path_parse(&pvgpu_keys[PVGPU_KEY_FRONTEND_BACKEND], text, len, out, err);
}

int pvgpu_frontend_backend_format(const struct pvgpu_ids *v, char *buf, size_t cap, char *err)
{
	return pvgpu_path_format(&pvgpu_keys[PVGPU_KEY_FRONTEND_BACKEND], v, buf, cap, err);
}

int pvgpu_frontend_backend_id_parse(const char *text, size_t len, uint32_t *out, char *err)
{
	uint64_t v;
	int ret = pvgpu_number_parse(&pvgpu_keys[PVGPU_KEY_FRONTEND_BACKEND_ID], text, len, &v, err);

	if (!ret)
		*out = (uint32_t)v;
	return ret;
}

int pvgpu_frontend_backend_id_format(uint32_t v, char *buf, size_t cap, char *err)
{
	return pvgpu_number_format(&pvgpu_keys[PVGPU_KEY_FRONTEND_BACKEND_ID], v, buf, cap, err);
}

int pvgpu_backend_frontend_parse(const char *text, size_t len, struct pvgpu_ids *out, char *err)
{
	return pvgpu_path_parse(&pvgpu_keys[PVGPU_KEY_BACKEND_FRONTEND], text, len, out, err);
}

int pvgpu_backend_frontend_format(const struct pvgpu_ids *v, char *buf, size_t cap, char *err)
{
	return pvgpu_path_format(&pvgpu_keys[PVGPU_KEY_BACKEND_FRONTEND], v, buf, cap, err);
}

int pvgpu_backend_price_parse(const char *text, size_t len, uint64_t *out, char *err)
{
	uint64_t v;
	int ret = pvgpu_number_parse(&pvgpu_keys[PVGPU_KEY_BACKEND_PRICE], text, len, &v, err);

	if (!ret)
		*out = (uint64_t)v;
	return ret;
}

int pvgpu_backend_price_format(uint64_t v, char *buf, size_t cap, char *err)
{
	return pvgpu_number_format(&pvgpu_keys[PVGPU_KEY_BACKEND_PRICE], v, buf, cap, err);
}

int pvgpu_backend_bill_parse(const char *text, size_t len, struct pvgpu_backend_bill *out, char *err)
{
	uint64_t v[5];
	int ret = pvgpu_record_parse(&pvgpu_keys[PVGPU_KEY_BACKEND_BILL], text, len, v, err);

	for (uint32_t i = 0; !ret && i < 5; i++)
		pvgpu_field_put(&backend_bill_fields[i], out, v[i]);
	return ret;
}

int pvgpu_backend_bill_format(const struct pvgpu_backend_bill *v, char *buf, size_t cap, char *err)
{
	uint64_t values[5];

	for (uint32_t i = 0; i < 5; i++)
		values[i] = pvgpu_field_get(&backend_bill_fields[i], v);
	return pvgpu_record_format(&pvgpu_keys[PVGPU_KEY_BACKEND_BILL], values, buf, cap, err);
}

int pvgpu_host_lamps_parse(const char *text, size_t len, uint32_t *out, char *err)
{
	uint64_t v;
	int ret = pvgpu_number_parse(&pvgpu_keys[PVGPU_KEY_HOST_LAMPS], text, len, &v, err);

	if (!ret)
		*out = (uint32_t)v;
	return ret;
}

int pvgpu_host_lamps_format(uint32_t v, char *buf, size_t cap, char *err)
{
	return pvgpu_number_format(&pvgpu_keys[PVGPU_KEY_HOST_LAMPS], v, buf, cap, err);
}

#endif

static const struct pvgpu_move frontend_moves[] = {
	{PVGPU_STATE_UNKNOWN, PVGPU_STATE_INITIALISING, false, 0x7},
	{PVGPU_STATE_INITIALISING, PVGPU_STATE_CONNECTED, false, 1u << PVGPU_STATE_CONNECTED},
	{PVGPU_STATE_CONNECTED, PVGPU_STATE_INITIALISING, false, 1u << PVGPU_STATE_UNKNOWN | 1u << PVGPU_STATE_INITIALISING},
	{PVGPU_STATE_CONNECTED, PVGPU_STATE_INITIALISING, true, 0x7},
	{PVGPU_STATE_INITIALISING, PVGPU_STATE_UNKNOWN, false, 0x7},
	{PVGPU_STATE_CONNECTED, PVGPU_STATE_UNKNOWN, false, 0x7},
};

bool pvgpu_frontend_may_move(enum pvgpu_state from, enum pvgpu_state to, enum pvgpu_state other, bool resuming)
{
	return pvgpu_may_move(frontend_moves, sizeof(frontend_moves) / sizeof(frontend_moves[0]), from, to, other, resuming);
}
