/* SPDX-License-Identifier: MIT */
/*
 * The types that xenstore keys have: from text to value and back.
 *
 * Every text may be hostile: it has a length, may hold any byte, and is read at most up to the
 * longest text of its type. Nothing is allocated. A function that can fail returns 0, -EINVAL for a
 * value that the key does not allow, -ENOENT for a missing key without a default, or -ENOSPC for a
 * buffer that is too small. Then err, unless it is NULL, names the key, the value and the allowed
 * values. On failure outputs are unchanged.
 *
 * Used by pvgpu.ko, too: integers and string walking only. Records are for user space only.
 */
#ifndef PVGPU_VALUES_H
#define PVGPU_VALUES_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

#define PVGPU_KEY_ERROR   240  /* bytes of an error's text */
#define PVGPU_KEY_TEXT    2049 /* bytes of the longest value with its NUL */
#define PVGPU_REFS_MAX    8
#define PVGPU_TEXT_MAX    127
#define PVGPU_FIELDS_MAX  40
#define PVGPU_DOMID_MAX   0x7fef
#define PVGPU_DEVID_MAX   65535
#define PVGPU_UUID_TEXT   37
#define PVGPU_MESSAGE_MAX 1900 /* bytes of a page; 2,048 is all that a node of a guest may have */

enum pvgpu_key_type {
	PVGPU_TYPE_U32,
	PVGPU_TYPE_U64,
	PVGPU_TYPE_SIZE, /* bytes; K, M, G and T are understood, plain bytes are written */
	PVGPU_TYPE_BOOL,
	PVGPU_TYPE_DOMID,
	PVGPU_TYPE_RANGE, /* of versions */
	PVGPU_TYPE_UUID,
	PVGPU_TYPE_TEXT,
	PVGPU_TYPE_REFS, /* grant references */
	PVGPU_TYPE_PATH, /* of a vGPU's directory */
	PVGPU_TYPE_ENUM,
	PVGPU_TYPE_FLAGS,
	PVGPU_TYPE_RECORD,
	PVGPU_TYPE_SHARE,   /* of a record's field: "12.5%", in parts per million */
	PVGPU_TYPE_MESSAGE, /* a page of a request or of its answer */
};

/* The owners and writers of keys. */
enum pvgpu_domain { PVGPU_TOOLSTACK, PVGPU_FRONTEND, PVGPU_BACKEND };
#define PVGPU_DOMAIN_BIT(domain) (1u << (domain))

struct pvgpu_name {
	const char *name;
	uint32_t number; /* of a flag: its bit's */
};

struct pvgpu_names {
	const struct pvgpu_name *v;
	uint32_t n;
	bool as_number; /* an enumeration that is written as its number */
};

struct pvgpu_tree {
	const char *name;
	const char *path; /* with <fe>, <be> and <id> */
	uint8_t owner;    /* enum pvgpu_domain */
	bool per_vgpu;
#ifndef __KERNEL__
	const char *doc;
#endif
};

struct pvgpu_field {
	const char *name;
	const char *def;
	const char *allowed;             /* after "must be" */
	const struct pvgpu_names *names; /* of an enumeration */
	const char *doc;
	uint64_t min, max;
	uint16_t offset; /* in the record's structure */
	uint8_t size;    /* bytes there */
	uint8_t type;
	bool live; /* set only on a vGPU that exists, not when one is attached */
	bool zero; /* 0 is allowed, too, below min */
};

#define PVGPU_NEEDED_ALWAYS 0xffffffffu

struct pvgpu_key {
	const struct pvgpu_tree *tree;
	const char *name;
	const char *allowed;             /* after "must be" */
	const char *def;                 /* when it is missing; NULL: none */
	const struct pvgpu_names *names; /* of an enumeration or flag set */
	const struct pvgpu_tree *target; /* of a path */
	uint64_t min, max;               /* of the number, or of the length of a text or list */
	uint32_t needed; /* bit for each state of its own end in which it must be there */
	uint16_t since;
	uint8_t type;             /* enum pvgpu_key_type */
	uint8_t owner;            /* enum pvgpu_domain */
	uint8_t writers, readers; /* PVGPU_DOMAIN_BIT */
	bool zero;                /* 0 is allowed, too, below min */
#ifndef __KERNEL__
	const struct pvgpu_field *fields;
	uint32_t nfields;
	const char *doc, *example;
#endif
};

struct pvgpu_range {
	uint32_t low, high;
};

struct pvgpu_uuid {
	uint8_t b[16];
};

struct pvgpu_refs {
	uint32_t n;
	uint32_t ref[PVGPU_REFS_MAX];
};

struct pvgpu_text {
	uint32_t len;
	char s[PVGPU_TEXT_MAX + 1];
};

#ifndef __KERNEL__
/* "NUMBER PAGE/PAGES TEXT"; without text at all: number 0. */
struct pvgpu_message {
	uint64_t number;      /* of the request, which its answer repeats */
	uint32_t page, pages; /* of the answer, from 0 on; pages is 0 in a request */
	uint32_t len;
	char s[PVGPU_MESSAGE_MAX + 1]; /* NUL-terminated */
};
#endif

/* The numbers <fe>, <be> and <id> of a path; 0 where a tree's path does not have one. */
struct pvgpu_ids {
	uint32_t fe, be, id;
};

/* One move of a state machine. */
struct pvgpu_move {
	uint8_t from, to;
	bool resume;   /* only after the guest was restored or migrated */
	uint16_t when; /* bit for each state of the other end in which it may be made */
};

/* Bytes of a size, with K, M, G or T behind its number or without: all settings are read by this.
 */
bool pvgpu_size_read(const char *text, size_t len, uint64_t *out);
/* A size that was given without its unit: "; did you mean 8G?" for 8, else "". */
#define PVGPU_SIZE_LEAST (1u << 20) /* no setting is smaller, unless it is 0 */
#define PVGPU_SIZE_HINT  48
const char *pvgpu_size_hint(const char *text, size_t len, char buf[PVGPU_SIZE_HINT]);
/* The value of a number, size, bool, domid or enumeration. */
int pvgpu_number_parse(const struct pvgpu_key *k, const char *text, size_t len, uint64_t *out,
		       char *err);
/* Unknown names are ignored. */
int pvgpu_flags_parse(const struct pvgpu_key *k, const char *text, size_t len, uint64_t *out,
		      char *err);
int pvgpu_range_parse(const struct pvgpu_key *k, const char *text, size_t len,
		      struct pvgpu_range *out, char *err);
int pvgpu_uuid_parse(const struct pvgpu_key *k, const char *text, size_t len,
		     struct pvgpu_uuid *out, char *err);
int pvgpu_text_parse(const struct pvgpu_key *k, const char *text, size_t len,
		     struct pvgpu_text *out, char *err);
int pvgpu_refs_parse(const struct pvgpu_key *k, const char *text, size_t len,
		     struct pvgpu_refs *out, char *err);
int pvgpu_path_parse(const struct pvgpu_key *k, const char *text, size_t len, struct pvgpu_ids *out,
		     char *err);

/* Write the text, NUL-terminated, of a value that the key allows. */
int pvgpu_number_format(const struct pvgpu_key *k, uint64_t v, char *buf, size_t cap, char *err);
int pvgpu_flags_format(const struct pvgpu_key *k, uint64_t v, char *buf, size_t cap, char *err);
int pvgpu_range_format(const struct pvgpu_key *k, const struct pvgpu_range *v, char *buf,
		       size_t cap, char *err);
int pvgpu_uuid_format(const struct pvgpu_key *k, const struct pvgpu_uuid *v, char *buf, size_t cap,
		      char *err);
int pvgpu_text_format(const struct pvgpu_key *k, const struct pvgpu_text *v, char *buf, size_t cap,
		      char *err);
int pvgpu_refs_format(const struct pvgpu_key *k, const struct pvgpu_refs *v, char *buf, size_t cap,
		      char *err);
int pvgpu_path_format(const struct pvgpu_key *k, const struct pvgpu_ids *v, char *buf, size_t cap,
		      char *err);

/* The highest version in both; 0: none. */
uint32_t pvgpu_range_common(struct pvgpu_range a, struct pvgpu_range b);
/* Any bytes as a text: cut at the maximum length, with '?' for unprintable bytes. */
void pvgpu_text_set(struct pvgpu_text *t, const char *s, size_t len);
/* NULL if there is no such value. */
const char *pvgpu_name_of(const struct pvgpu_names *names, uint64_t number);

/* A tree's directory, then "/" and name unless that is NULL. */
int pvgpu_tree_path(const struct pvgpu_tree *t, const struct pvgpu_ids *ids, const char *name,
		    char *buf, size_t cap);
/* The length of this tree's directory at the begin of text, with its numbers in *ids; 0: none. */
size_t pvgpu_tree_match(const struct pvgpu_tree *t, const char *text, size_t len,
			struct pvgpu_ids *ids);

bool pvgpu_may_move(const struct pvgpu_move *moves, size_t n, unsigned int from, unsigned int to,
		    unsigned int other, bool resuming);

#ifndef __KERNEL__
/* One value for each field, its default where the text has none. Unknown fields are ignored. */
int pvgpu_record_parse(const struct pvgpu_key *k, const char *text, size_t len, uint64_t *out,
		       char *err);
int pvgpu_record_format(const struct pvgpu_key *k, const uint64_t *v, char *buf, size_t cap,
			char *err);
/* Do the fields go together: none min-X above its max-X? 0, or -EINVAL. */
int pvgpu_record_agrees(const struct pvgpu_key *k, const uint64_t *v, char *err);
/* A field of the record's structure, as a number. */
uint64_t pvgpu_field_get(const struct pvgpu_field *f, const void *record);
void pvgpu_field_put(const struct pvgpu_field *f, void *record, uint64_t v);
/* The field of a record; names may have '_' for '-', as configuration files write them. NULL: none.
 */
const struct pvgpu_field *pvgpu_field_find(const struct pvgpu_key *k, const char *name);
/* One field's value as it stands behind its "name=". */
int pvgpu_field_parse(const struct pvgpu_key *k, const struct pvgpu_field *f, const char *text,
		      size_t len, uint64_t *out, char *err);
int pvgpu_field_format(const struct pvgpu_key *k, const struct pvgpu_field *f, uint64_t v,
		       char *buf, size_t cap, char *err);
int pvgpu_message_parse(const struct pvgpu_key *k, const char *text, size_t len,
			struct pvgpu_message *out, char *err);
int pvgpu_message_format(const struct pvgpu_key *k, const struct pvgpu_message *v, char *buf,
			 size_t cap, char *err);
/* Check a text against any type of key. */
int pvgpu_key_check(const struct pvgpu_key *k, const char *text, size_t len, char *err);
/* Permissions as the toolstack sets them: "n3,r0". */
int pvgpu_key_perms(const struct pvgpu_key *k, const struct pvgpu_ids *ids, char *buf, size_t cap);
#endif

#endif
