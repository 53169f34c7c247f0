/* SPDX-License-Identifier: MIT */
/* FUZZ_DECODES: xenstore-schema/values.c xenstore-schema/records.c xenstore-schema/validate.c
 * xenstore-schema/dump.c */
/* FUZZ_OBJS: xenstore-schema/values.c xenstore-schema/records.c xenstore-schema/validate.c
 * xenstore-schema/dump.c gen/pvgpu_keys.c */
/*
 * Hostile keys. Input: a byte that chooses a key, then its text; or, with a byte that chooses none,
 * what xenstore-ls -fp printed. What a key takes must come back the same after it was written out
 * and read again.
 */
#include <stdlib.h>
#include <string.h>

#include "xenstore-schema/dump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

/* Reads, writes and reads again: TYPE's functions take its value by pointer, as REF makes it. */
#define ROUND(NAME, TYPE, REF)                                                                     \
	static void round_##NAME(const struct pvgpu_key *k, const char *text, size_t len)          \
	{                                                                                          \
		char buf[PVGPU_KEY_TEXT];                                                          \
		TYPE v, again;                                                                     \
                                                                                                   \
		memset(&v, 0, sizeof(v));                                                          \
		memset(&again, 0, sizeof(again));                                                  \
		MUST(!pvgpu_##NAME##_parse(k, text, len, &v, NULL));                               \
		MUST(!pvgpu_##NAME##_format(k, REF v, buf, sizeof(buf), NULL));                    \
		MUST(strlen(buf) < sizeof(buf));                                                   \
		MUST(!pvgpu_##NAME##_parse(k, buf, strlen(buf), &again, NULL));                    \
		MUST(!memcmp(&v, &again, sizeof(v)));                                              \
	}

ROUND(number, uint64_t, )
ROUND(flags, uint64_t, )
ROUND(range, struct pvgpu_range, &)
ROUND(uuid, struct pvgpu_uuid, &)
ROUND(text, struct pvgpu_text, &)
ROUND(refs, struct pvgpu_refs, &)
ROUND(path, struct pvgpu_ids, &)
ROUND(message, struct pvgpu_message, &)

static void round_record(const struct pvgpu_key *k, const char *text, size_t len)
{
	uint64_t v[PVGPU_FIELDS_MAX] = {0}, again[PVGPU_FIELDS_MAX] = {0};
	char buf[PVGPU_KEY_TEXT];

	MUST(!pvgpu_record_parse(k, text, len, v, NULL));
	MUST(!pvgpu_record_format(k, v, buf, sizeof(buf), NULL));
	MUST(!pvgpu_record_parse(k, buf, strlen(buf), again, NULL));
	MUST(!memcmp(v, again, sizeof(v)));
}

static void round_trip(const struct pvgpu_key *k, const char *text, size_t len)
{
	switch (k->type) {
	case PVGPU_TYPE_RANGE:
		round_range(k, text, len);
		break;
	case PVGPU_TYPE_UUID:
		round_uuid(k, text, len);
		break;
	case PVGPU_TYPE_TEXT:
		round_text(k, text, len);
		break;
	case PVGPU_TYPE_REFS:
		round_refs(k, text, len);
		break;
	case PVGPU_TYPE_PATH:
		round_path(k, text, len);
		break;
	case PVGPU_TYPE_FLAGS:
		round_flags(k, text, len);
		break;
	case PVGPU_TYPE_RECORD:
		round_record(k, text, len);
		break;
	case PVGPU_TYPE_MESSAGE:
		round_message(k, text, len);
		break;
	default:
		round_number(k, text, len);
	}
}

/* text lies in memory of just this size. */
static void one_key(const struct pvgpu_key *k, const char *text, size_t len)
{
	char err[PVGPU_KEY_ERROR];

	memset(err, 'e', sizeof(err));
	if (!pvgpu_key_check(k, text, len, err)) {
		round_trip(k, text, len);
		return;
	}
	MUST(memchr(err, '\0', sizeof(err)));
	for (const char *p = err; *p; p++)
		MUST(*p >= ' ' && *p <= '~');
}

static void count(void *arg, enum pvgpu_severity severity, const char *path, const char *text)
{
	MUST(path[0] == '/' && text[0]);
	++*(size_t *)arg;
}

static void whole_tree(char *text, size_t len)
{
	size_t cap = pvgpu_dump_lines(text, len), line, said = 0;
	struct pvgpu_findings f = {.report = count, .arg = &said};
	struct pvgpu_entry *e = calloc(cap, sizeof(*e));
	const char *why = NULL;
	long n;

	MUST(e);
	n = pvgpu_dump_read(text, len, e, cap, &line, &why);
	if (n < 0) {
		MUST(why && line >= 1 && line <= cap);
	} else {
		pvgpu_keys_validate(e, (size_t)n, &f);
		MUST(said == f.errors + f.warnings);
	}
	free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int key;
	char *text;

	if (!size || size > 1 << 15)
		return -1;
	key = *data++;
	size--;
	text = malloc(size + (key >= PVGPU_KEYS));
	if (size + (key >= PVGPU_KEYS) && !text)
		return -1;
	if (size)
		memcpy(text, data, size);
	if (key < PVGPU_KEYS) {
		one_key(&pvgpu_keys[key], size ? text : "", size);
	} else {
		text[size] = '\0';
		whole_tree(text, size);
	}
	free(text);
	return 0;
}
