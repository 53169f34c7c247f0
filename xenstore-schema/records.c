/* SPDX-License-Identifier: MIT */
/* Records, messages, permissions and other functions that the kernel does not need. */
#include <errno.h>
#include <string.h>

#include "xenstore-schema/say.h"
#include "xenstore-schema/values.h"

#define NAME_LEN   31
#define VALUE_LEN  63
#define RECORD_LEN (PVGPU_KEY_TEXT - 1)
#define WORDS_MAX  (RECORD_LEN / 4 + 1) /* "a=1 " */

#define PERCENT    10000u /* parts per million */

static int refuse(const struct pvgpu_key *k, const char *text, size_t len, char *err)
{
	struct say s = {err, PVGPU_KEY_ERROR, 0};

	if (!err)
		return -EINVAL;
	say_str(&s, k->tree->name);
	say_char(&s, '/');
	say_str(&s, k->name);
	say_char(&s, ' ');
	say_quoted(&s, text, len);
	say_str(&s, ": must be ");
	say_str(&s, k->allowed);
	say_end(&s);
	return -EINVAL;
}

/* Structures are read and written by size: uint64_t, uint32_t, enumerations, bool. */
uint64_t pvgpu_field_get(const struct pvgpu_field *f, const void *record)
{
	const char *at = (const char *)record + f->offset;
	uint64_t v = 0;
	uint32_t word;

	if (f->size == sizeof(v)) {
		memcpy(&v, at, sizeof(v));
	} else if (f->size == sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		v = word;
	} else {
		v = *(const bool *)at;
	}
	return v;
}

void pvgpu_field_put(const struct pvgpu_field *f, void *record, uint64_t v)
{
	char *at = (char *)record + f->offset;
	uint32_t word = (uint32_t)v;

	if (f->size == sizeof(v))
		memcpy(at, &v, sizeof(v));
	else if (f->size == sizeof(word))
		memcpy(at, &word, sizeof(word));
	else
		*(bool *)at = v;
}

static bool same_name(const char *key, const char *name)
{
	while (*key && (*key == *name || (*key == '-' && *name == '_'))) {
		key++;
		name++;
	}
	return *key == *name;
}

const struct pvgpu_field *pvgpu_field_find(const struct pvgpu_key *k, const char *name)
{
	for (uint32_t i = 0; i < k->nfields; i++)
		if (same_name(k->fields[i].name, name))
			return &k->fields[i];
	return NULL;
}

/* A field is parsed as a key of its own, named "policy weight" in errors. */
static struct pvgpu_key field_key(const struct pvgpu_key *k, const struct pvgpu_field *f,
				  char name[64])
{
	struct say s = {name, 64, 0};

	say_str(&s, k->name);
	say_char(&s, ' ');
	say_str(&s, f->name);
	say_end(&s);
	return (struct pvgpu_key){.tree = k->tree,
				  .name = name,
				  .allowed = f->allowed,
				  .names = f->names,
				  .min = f->min,
				  .max = f->max,
				  .type = f->type,
				  .zero = f->zero};
}

/* "25%", "12.5%": up to four decimals. */
static bool read_share(const char *text, size_t len, uint64_t *out)
{
	uint64_t v = 0, unit = PERCENT;
	size_t i = 0;

	for (; i < len && i < 4 && text[i] >= '0' && text[i] <= '9'; i++)
		v = v * 10 + (uint64_t)(text[i] - '0');
	if (!i || i > 3 || (i > 1 && text[0] == '0'))
		return false;
	v *= PERCENT;
	if (i < len && text[i] == '.') {
		for (i++; i < len && unit > 1 && text[i] >= '0' && text[i] <= '9'; i++) {
			unit /= 10;
			v += unit * (uint64_t)(text[i] - '0');
		}
		if (unit == PERCENT)
			return false;
	}
	if (i + 1 != len || text[i] != '%')
		return false;
	*out = v;
	return true;
}

static void say_share(struct say *s, uint64_t v)
{
	say_u64(s, v / PERCENT);
	v %= PERCENT;
	if (v)
		say_char(s, '.');
	for (uint64_t unit = PERCENT / 10; v; unit /= 10) {
		say_char(s, (char)('0' + v / unit));
		v %= unit;
	}
	say_char(s, '%');
}

int pvgpu_field_parse(const struct pvgpu_key *k, const struct pvgpu_field *f, const char *text,
		      size_t len, uint64_t *out, char *err)
{
	char name[64];
	struct pvgpu_key of = field_key(k, f, name);

	if (f->type != PVGPU_TYPE_SHARE)
		return pvgpu_number_parse(&of, text, len, out, err);
	return read_share(text, len, out) && *out >= f->min && *out <= f->max
		       ? 0
		       : refuse(&of, text, len, err);
}

int pvgpu_field_format(const struct pvgpu_key *k, const struct pvgpu_field *f, uint64_t v,
		       char *buf, size_t cap, char *err)
{
	struct say s = {buf, cap, 0};
	char name[64];
	struct pvgpu_key of = field_key(k, f, name);

	if (f->type != PVGPU_TYPE_SHARE)
		return pvgpu_number_format(&of, v, buf, cap, err);
	say_share(&s, v);
	if (v < f->min || v > f->max)
		return refuse(&of, buf, s.len < cap ? s.len : cap - 1, err);
	return say_end(&s) ? 0 : -ENOSPC;
}

/* One word NAME=VALUE: the length of its name, 0 if it is none. */
static size_t word_name(const char *word, size_t len)
{
	const char *equals = memchr(word, '=', len);
	size_t n = equals ? (size_t)(equals - word) : 0;

	if (!n || n > NAME_LEN || word[0] < 'a' || word[0] > 'z' || len - n - 1 < 1 ||
	    len - n - 1 > VALUE_LEN)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (!((word[i] >= 'a' && word[i] <= 'z') || (word[i] >= '0' && word[i] <= '9') ||
		      word[i] == '-'))
			return 0;
	for (size_t i = n + 1; i < len; i++)
		if (word[i] <= ' ' || word[i] > '~')
			return 0;
	return n;
}

/* Where the words of a record start and how long their names are. */
struct words {
	const char *at[WORDS_MAX];
	size_t name[WORDS_MAX], len[WORDS_MAX], n;
};

static bool split(struct words *w, const char *text, size_t len)
{
	size_t at = 0;

	w->n = 0;
	if (len > RECORD_LEN)
		return false;
	while (len) {
		const char *space = memchr(text + at, ' ', len - at);
		size_t n = space ? (size_t)(space - text) - at : len - at,
		       name = word_name(text + at, n);

		if (!name || w->n == WORDS_MAX)
			return false;
		for (size_t i = 0; i < w->n; i++)
			if (w->name[i] == name && !memcmp(w->at[i], text + at, name))
				return false;
		w->at[w->n] = text + at;
		w->name[w->n] = name;
		w->len[w->n++] = n;
		at += n;
		if (at == len)
			break;
		at++;
	}
	return true;
}

int pvgpu_record_parse(const struct pvgpu_key *k, const char *text, size_t len, uint64_t *out,
		       char *err)
{
	uint64_t v[PVGPU_FIELDS_MAX];
	struct words w;

	if (!text) {
		text = k->def ? k->def : "";
		len = strlen(text);
	}
	if (!split(&w, text, len))
		return refuse(k, text, len, err);
	for (uint32_t i = 0; i < k->nfields; i++) {
		const struct pvgpu_field *f = &k->fields[i];
		const char *value = f->def;
		size_t n = strlen(f->def), name = strlen(f->name);

		for (size_t j = 0; j < w.n; j++) {
			if (w.name[j] != name || memcmp(w.at[j], f->name, name) != 0)
				continue;
			value = w.at[j] + name + 1;
			n = w.len[j] - name - 1;
		}
		if (pvgpu_field_parse(k, f, value, n, &v[i], err))
			return -EINVAL;
	}
	memcpy(out, v, k->nfields * sizeof(v[0]));
	return 0;
}

int pvgpu_record_agrees(const struct pvgpu_key *k, const uint64_t *v, char *err)
{
	for (uint32_t i = 0; i < k->nfields; i++) {
		char most[NAME_LEN + 1] = "max-", value[2][40];
		struct say s = {err, PVGPU_KEY_ERROR, 0};
		const struct pvgpu_field *max;

		if (strncmp(k->fields[i].name, "min-", 4) != 0)
			continue;
		strcpy(most + 4, k->fields[i].name + 4);
		max = pvgpu_field_find(k, most);
		if (!max || v[i] <= v[max - k->fields])
			continue;
		if (!err)
			return -EINVAL;
		pvgpu_field_format(k, &k->fields[i], v[i], value[0], sizeof(value[0]), NULL);
		pvgpu_field_format(k, max, v[max - k->fields], value[1], sizeof(value[1]), NULL);
		say_str(&s, k->fields[i].name);
		say_char(&s, ' ');
		say_str(&s, value[0]);
		say_str(&s, " is above ");
		say_str(&s, max->name);
		say_char(&s, ' ');
		say_str(&s, value[1]);
		say_str(&s, ": lower the one or raise the other");
		say_end(&s);
		return -EINVAL;
	}
	return 0;
}

/* Every field is written, so that a reader with other defaults reads the same. */
int pvgpu_record_format(const struct pvgpu_key *k, const uint64_t *v, char *buf, size_t cap,
			char *err)
{
	struct say s = {buf, cap, 0};

	for (uint32_t i = 0; i < k->nfields; i++) {
		char text[40];
		int ret = pvgpu_field_format(k, &k->fields[i], v[i], text, sizeof(text), err);

		if (ret)
			return ret;
		if (i)
			say_char(&s, ' ');
		say_str(&s, k->fields[i].name);
		say_char(&s, '=');
		say_str(&s, text);
	}
	if (say_end(&s))
		return 0;
	if (err) {
		struct say e = {err, PVGPU_KEY_ERROR, 0};

		say_str(&e, k->name);
		say_str(&e, ": needs a buffer of ");
		say_u64(&e, s.len + 1);
		say_str(&e, " bytes");
		say_end(&e);
	}
	return -ENOSPC;
}

/* ---- messages ---- */

/* A number in its only spelling and the character behind it; NULL: there is none. */
static const char *take_number(const char *at, const char *end, uint64_t max, char behind,
			       uint64_t *out)
{
	const char *from = at;
	uint64_t v = 0;

	for (; at < end && *at >= '0' && *at <= '9'; at++) {
		const uint64_t digit = (uint64_t)(*at - '0');

		if (digit > max || v > (max - digit) / 10)
			return NULL;
		v = v * 10 + digit;
	}
	if (at == from || (*from == '0' && at - from > 1) || at == end || *at != behind)
		return NULL;
	*out = v;
	return at + 1;
}

static bool read_message(const struct pvgpu_key *k, const char *text, size_t len,
			 struct pvgpu_message *m)
{
	const char *end = text + len;
	uint64_t number, page, pages;

	*m = (struct pvgpu_message){0};
	if (!len)
		return true;
	text = take_number(text, end, UINT64_MAX, ' ', &number);
	text = text ? take_number(text, end, UINT32_MAX, '/', &page) : NULL;
	text = text ? take_number(text, end, UINT32_MAX, ' ', &pages) : NULL;
	if (!text || !number || (size_t)(end - text) > k->max || (pages && page >= pages))
		return false;
	for (const char *p = text; p < end; p++)
		if (*p < ' ' || *p > '~')
			return false;
	m->number = number;
	m->page = (uint32_t)page;
	m->pages = (uint32_t)pages;
	m->len = (uint32_t)(end - text);
	memcpy(m->s, text, m->len);
	return true;
}

int pvgpu_message_parse(const struct pvgpu_key *k, const char *text, size_t len,
			struct pvgpu_message *out, char *err)
{
	struct pvgpu_message m;

	if (!text) {
		text = k->def ? k->def : "";
		len = strlen(text);
	}
	if (!read_message(k, text, len, &m))
		return refuse(k, text, len, err);
	*out = m;
	return 0;
}

int pvgpu_message_format(const struct pvgpu_key *k, const struct pvgpu_message *v, char *buf,
			 size_t cap, char *err)
{
	struct say s = {buf, cap, 0};
	struct pvgpu_message again;

	if (v->len > k->max || strnlen(v->s, v->len + 1) != v->len)
		return refuse(k, "", 0, err);
	if (v->number) {
		say_u64(&s, v->number);
		say_char(&s, ' ');
		say_u64(&s, v->page);
		say_char(&s, '/');
		say_u64(&s, v->pages);
		say_char(&s, ' ');
		say_str(&s, v->s);
	}
	if (!say_end(&s))
		return -ENOSPC;
	return read_message(k, buf, s.len, &again) ? 0 : refuse(k, buf, s.len, err);
}

int pvgpu_key_check(const struct pvgpu_key *k, const char *text, size_t len, char *err)
{
	union {
		uint64_t number, record[PVGPU_FIELDS_MAX];
		struct pvgpu_range range;
		struct pvgpu_uuid uuid;
		struct pvgpu_text text;
		struct pvgpu_refs refs;
		struct pvgpu_ids ids;
		struct pvgpu_message message;
	} v;

	switch ((enum pvgpu_key_type)k->type) {
	case PVGPU_TYPE_RANGE:
		return pvgpu_range_parse(k, text, len, &v.range, err);
	case PVGPU_TYPE_UUID:
		return pvgpu_uuid_parse(k, text, len, &v.uuid, err);
	case PVGPU_TYPE_TEXT:
		return pvgpu_text_parse(k, text, len, &v.text, err);
	case PVGPU_TYPE_REFS:
		return pvgpu_refs_parse(k, text, len, &v.refs, err);
	case PVGPU_TYPE_PATH:
		return pvgpu_path_parse(k, text, len, &v.ids, err);
	case PVGPU_TYPE_FLAGS:
		return pvgpu_flags_parse(k, text, len, &v.number, err);
	case PVGPU_TYPE_RECORD:
		return pvgpu_record_parse(k, text, len, v.record, err);
	case PVGPU_TYPE_MESSAGE:
		return pvgpu_message_parse(k, text, len, &v.message, err);
	case PVGPU_TYPE_U32:
	case PVGPU_TYPE_U64:
	case PVGPU_TYPE_SIZE:
	case PVGPU_TYPE_BOOL:
	case PVGPU_TYPE_DOMID:
	case PVGPU_TYPE_ENUM:
	case PVGPU_TYPE_SHARE: /* only a field has this type, no key */
		break;
	}
	return pvgpu_number_parse(k, text, len, &v.number, err);
}

static uint32_t domid_of(unsigned int domain, const struct pvgpu_ids *ids)
{
	return domain == PVGPU_FRONTEND ? ids->fe : domain == PVGPU_BACKEND ? ids->be : 0;
}

int pvgpu_key_perms(const struct pvgpu_key *k, const struct pvgpu_ids *ids, char *buf, size_t cap)
{
	uint32_t owner = domid_of(k->owner, ids), last = owner;
	struct say s = {buf, cap, 0};

	say_char(&s, 'n');
	say_u64(&s, owner);
	for (unsigned int d = PVGPU_BACKEND; d >= PVGPU_FRONTEND; d--) {
		uint32_t id = domid_of(d, ids);

		if (!(k->readers & PVGPU_DOMAIN_BIT(d)) || id == owner || id == last)
			continue;
		say_str(&s, ",r");
		say_u64(&s, id);
		last = id;
	}
	return say_end(&s) ? 0 : -ENOSPC;
}
