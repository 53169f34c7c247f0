/* SPDX-License-Identifier: MIT */
#include "xenstore-schema/values.h"

#ifdef __KERNEL__
#include <linux/errno.h>
#include <linux/string.h>
#else
#include <errno.h>
#include <string.h>
#endif

#include "xenstore-schema/say.h"

#define NAME_MAX_LEN 31 /* of a flag or field */
#define NAMES_MAX    32 /* in a flag set's text */

static void say_key(struct say *s, const struct pvgpu_key *k)
{
	say_str(s, k->tree->name);
	say_char(s, '/');
	say_str(s, k->name);
}

static int refuse(const struct pvgpu_key *k, const char *text, size_t len, char *err)
{
	struct say s = {err, PVGPU_KEY_ERROR, 0};
	char hint[PVGPU_SIZE_HINT];

	if (!err)
		return -EINVAL;
	say_key(&s, k);
	say_char(&s, ' ');
	say_quoted(&s, text, len);
	say_str(&s, ": must be ");
	say_str(&s, k->allowed);
	if (k->type == PVGPU_TYPE_SIZE)
		say_str(&s, pvgpu_size_hint(text, len, hint));
	say_end(&s);
	return -EINVAL;
}

/* The error for a value that cannot be written. */
static int refuse_value(const struct pvgpu_key *k, uint64_t v, char *err)
{
	char text[24];
	struct say s = {text, sizeof(text), 0};

	say_u64(&s, v);
	say_end(&s);
	return refuse(k, text, s.len, err);
}

static int finish(const struct pvgpu_key *k, struct say *s, char *err)
{
	struct say e = {err, PVGPU_KEY_ERROR, 0};

	if (say_end(s))
		return 0;
	if (err) {
		say_key(&e, k);
		say_str(&e, ": needs a buffer of ");
		say_u64(&e, s->len + 1);
		say_str(&e, " bytes");
		say_end(&e);
	}
	return -ENOSPC;
}

/* The text to read: the key's, or its default when it is missing. */
static int present(const struct pvgpu_key *k, const char **text, size_t *len, char *err)
{
	struct say s = {err, PVGPU_KEY_ERROR, 0};

	if (*text)
		return 0;
	if (k->def) {
		*text = k->def;
		*len = strlen(k->def);
		return 0;
	}
	if (err) {
		say_key(&s, k);
		say_str(&s, ": is missing; must be ");
		say_str(&s, k->allowed);
		say_end(&s);
	}
	return -ENOENT;
}

/* ---- numbers ---- */

/* The decimal number that text begins with, in its only spelling: its length, 0 for none or too
 * large a one. */
static size_t take_number(const char *text, size_t len, uint64_t *out)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < len && text[i] >= '0' && text[i] <= '9'; i++) {
		unsigned int digit = (unsigned int)(text[i] - '0');

		/* UINT64_MAX is 18446744073709551615. */
		if (v > 1844674407370955161ull || (v == 1844674407370955161ull && digit > 5))
			return 0;
		v = v * 10 + digit;
		if (i == 1 && text[0] == '0')
			return 0;
	}
	if (i)
		*out = v;
	return i;
}

static bool read_number(const char *text, size_t len, uint64_t *out)
{
	return len && take_number(text, len, out) == len;
}

bool pvgpu_size_read(const char *text, size_t len, uint64_t *out)
{
	static const char units[] = "KMGT";
	unsigned int shift = 0, i;
	uint64_t v;

	for (i = 0; len && i < 4; i++)
		if (text[len - 1] == units[i])
			shift = 10 * (i + 1);
	if (!read_number(text, shift ? len - 1 : len, &v) || v > ~0ull >> shift)
		return false;
	*out = v << shift;
	return true;
}

/* Memory of GPUs is told in GiB, unless its number is too great for that. */
const char *pvgpu_size_hint(const char *text, size_t len, char buf[PVGPU_SIZE_HINT])
{
	struct say s = {buf, PVGPU_SIZE_HINT, 0};
	uint64_t v;

	buf[0] = '\0';
	if (!read_number(text, len, &v) || !v || v >= PVGPU_SIZE_LEAST)
		return buf;
	say_str(&s, "; did you mean ");
	say_u64(&s, v);
	say_str(&s, v < 256 ? "G?" : "M?");
	say_end(&s);
	return buf;
}

static bool same_name(const char *name, const char *text, size_t len)
{
	return strlen(name) == len && !memcmp(name, text, len);
}

static bool read_name(const struct pvgpu_names *names, const char *text, size_t len, uint64_t *out)
{
	uint32_t i;

	for (i = 0; i < names->n; i++) {
		if (!same_name(names->v[i].name, text, len))
			continue;
		*out = names->v[i].number;
		return true;
	}
	return false;
}

const char *pvgpu_name_of(const struct pvgpu_names *names, uint64_t number)
{
	uint32_t i;

	for (i = 0; i < names->n; i++)
		if (names->v[i].number == number)
			return names->v[i].name;
	return NULL;
}

static bool number_allowed(const struct pvgpu_key *k, uint64_t v)
{
	if (k->type == PVGPU_TYPE_ENUM && !pvgpu_name_of(k->names, v))
		return false;
	return (k->zero && !v) || (v >= k->min && v <= k->max);
}

int pvgpu_number_parse(const struct pvgpu_key *k, const char *text, size_t len, uint64_t *out,
		       char *err)
{
	int ret = present(k, &text, &len, err);
	uint64_t v;
	bool good;

	if (ret)
		return ret;
	if (k->type == PVGPU_TYPE_SIZE)
		good = pvgpu_size_read(text, len, &v);
	else if (k->type == PVGPU_TYPE_ENUM && !k->names->as_number)
		good = read_name(k->names, text, len, &v);
	else
		good = read_number(text, len, &v);
	if (!good || !number_allowed(k, v))
		return refuse(k, text, len, err);
	*out = v;
	return 0;
}

int pvgpu_number_format(const struct pvgpu_key *k, uint64_t v, char *buf, size_t cap, char *err)
{
	struct say s = {buf, cap, 0};

	if (!number_allowed(k, v))
		return refuse_value(k, v, err);
	if (k->type == PVGPU_TYPE_ENUM && !k->names->as_number)
		say_str(&s, pvgpu_name_of(k->names, v));
	else
		say_u64(&s, v);
	return finish(k, &s, err);
}

/* ---- lists ---- */

/* Length of the part before the next separator. */
static size_t part_len(const char *text, size_t len, char separator)
{
	size_t i;

	for (i = 0; i < len && text[i] != separator; i++)
		;
	return i;
}

static bool good_name(const char *text, size_t len)
{
	size_t i;

	if (!len || len > NAME_MAX_LEN || text[0] < 'a' || text[0] > 'z')
		return false;
	for (i = 0; i < len; i++)
		if (!((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9') ||
		      text[i] == '-'))
			return false;
	return true;
}

/* Is the part at `at` equal to one of the parts of text before it? */
static bool named_before(const char *text, const char *at, size_t len)
{
	while (text < at) {
		size_t n = part_len(text, (size_t)(at - text), ',');

		if (n == len && !memcmp(text, at, len))
			return true;
		text += n + 1;
	}
	return false;
}

int pvgpu_flags_parse(const struct pvgpu_key *k, const char *text, size_t len, uint64_t *out,
		      char *err)
{
	int ret = present(k, &text, &len, err);
	unsigned int count = 0;
	uint64_t flags = 0;
	size_t at = 0, n;

	if (ret)
		return ret;
	while (len) {
		uint64_t bit;

		n = part_len(text + at, len - at, ',');
		if (!good_name(text + at, n) || ++count > NAMES_MAX ||
		    named_before(text, text + at, n))
			return refuse(k, text, len, err);
		if (read_name(k->names, text + at, n, &bit))
			flags |= 1ull << bit;
		at += n;
		if (at == len)
			break;
		at++; /* the comma; a name must follow */
	}
	*out = flags;
	return 0;
}

int pvgpu_flags_format(const struct pvgpu_key *k, uint64_t v, char *buf, size_t cap, char *err)
{
	struct say s = {buf, cap, 0};
	uint32_t i;

	for (i = 0; i < k->names->n; i++) {
		uint64_t bit = 1ull << k->names->v[i].number;

		if (!(v & bit))
			continue;
		if (s.len)
			say_char(&s, ',');
		say_str(&s, k->names->v[i].name);
		v &= ~bit;
	}
	if (v)
		return refuse_value(k, v, err);
	return finish(k, &s, err);
}

int pvgpu_refs_parse(const struct pvgpu_key *k, const char *text, size_t len,
		     struct pvgpu_refs *out, char *err)
{
	int ret = present(k, &text, &len, err);
	struct pvgpu_refs refs = {0};
	size_t at = 0, n;

	if (ret)
		return ret;
	for (;;) {
		uint64_t v;
		uint32_t i;

		n = part_len(text + at, len - at, ',');
		if (refs.n >= k->max || !read_number(text + at, n, &v) || !v || v > 0xffffffffu)
			return refuse(k, text, len, err);
		for (i = 0; i < refs.n; i++)
			if (refs.ref[i] == v)
				return refuse(k, text, len, err);
		refs.ref[refs.n++] = (uint32_t)v;
		at += n;
		if (at == len)
			break;
		at++;
	}
	*out = refs;
	return 0;
}

int pvgpu_refs_format(const struct pvgpu_key *k, const struct pvgpu_refs *v, char *buf, size_t cap,
		      char *err)
{
	struct say s = {buf, cap, 0};
	uint32_t i, j;

	if (!v->n || v->n > k->max)
		return refuse_value(k, v->n, err);
	for (i = 0; i < v->n; i++) {
		for (j = 0; j < i; j++)
			if (v->ref[i] == v->ref[j])
				return refuse_value(k, v->ref[i], err);
		if (!v->ref[i])
			return refuse_value(k, 0, err);
		if (i)
			say_char(&s, ',');
		say_u64(&s, v->ref[i]);
	}
	return finish(k, &s, err);
}

/* ---- versions ---- */

static bool range_allowed(const struct pvgpu_key *k, uint64_t low, uint64_t high)
{
	return low >= 1 && low <= high && high <= k->max;
}

int pvgpu_range_parse(const struct pvgpu_key *k, const char *text, size_t len,
		      struct pvgpu_range *out, char *err)
{
	int ret = present(k, &text, &len, err);
	uint64_t low, high;
	size_t n;

	if (ret)
		return ret;
	n = part_len(text, len, '-');
	if (!read_number(text, n, &low))
		return refuse(k, text, len, err);
	high = low;
	if (n < len && !read_number(text + n + 1, len - n - 1, &high))
		return refuse(k, text, len, err);
	if (!range_allowed(k, low, high))
		return refuse(k, text, len, err);
	out->low = (uint32_t)low;
	out->high = (uint32_t)high;
	return 0;
}

int pvgpu_range_format(const struct pvgpu_key *k, const struct pvgpu_range *v, char *buf,
		       size_t cap, char *err)
{
	struct say s = {buf, cap, 0};

	if (!range_allowed(k, v->low, v->high))
		return refuse_value(k, v->low ? v->high : 0, err);
	say_u64(&s, v->low);
	if (v->high != v->low) {
		say_char(&s, '-');
		say_u64(&s, v->high);
	}
	return finish(k, &s, err);
}

uint32_t pvgpu_range_common(struct pvgpu_range a, struct pvgpu_range b)
{
	uint32_t low = a.low > b.low ? a.low : b.low;
	uint32_t high = a.high < b.high ? a.high : b.high;

	return low <= high ? high : 0;
}

/* ---- uuid, text ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool uuid_hyphen(unsigned int i)
{
	return i == 4 || i == 6 || i == 8 || i == 10; /* before these bytes */
}

int pvgpu_uuid_parse(const struct pvgpu_key *k, const char *text, size_t len,
		     struct pvgpu_uuid *out, char *err)
{
	int ret = present(k, &text, &len, err);
	struct pvgpu_uuid u;
	unsigned int i;
	size_t at = 0;

	if (ret)
		return ret;
	if (len != PVGPU_UUID_TEXT - 1)
		return refuse(k, text, len, err);
	for (i = 0; i < 16; i++) {
		int high, low;

		if (uuid_hyphen(i) && text[at++] != '-')
			return refuse(k, text, len, err);
		high = hex_digit(text[at]);
		low = hex_digit(text[at + 1]);
		if (high < 0 || low < 0)
			return refuse(k, text, len, err);
		u.b[i] = (uint8_t)(high << 4 | low);
		at += 2;
	}
	*out = u;
	return 0;
}

int pvgpu_uuid_format(const struct pvgpu_key *k, const struct pvgpu_uuid *v, char *buf, size_t cap,
		      char *err)
{
	static const char digits[] = "0123456789abcdef";
	struct say s = {buf, cap, 0};
	unsigned int i;

	for (i = 0; i < 16; i++) {
		if (uuid_hyphen(i))
			say_char(&s, '-');
		say_char(&s, digits[v->b[i] >> 4]);
		say_char(&s, digits[v->b[i] & 15]);
	}
	return finish(k, &s, err);
}

static bool text_allowed(const struct pvgpu_key *k, const char *text, size_t len)
{
	size_t i;

	if (len < k->min || len > k->max)
		return false;
	for (i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return true;
}

int pvgpu_text_parse(const struct pvgpu_key *k, const char *text, size_t len,
		     struct pvgpu_text *out, char *err)
{
	int ret = present(k, &text, &len, err);

	if (ret)
		return ret;
	if (!text_allowed(k, text, len))
		return refuse(k, text, len, err);
	pvgpu_text_set(out, text, len);
	return 0;
}

int pvgpu_text_format(const struct pvgpu_key *k, const struct pvgpu_text *v, char *buf, size_t cap,
		      char *err)
{
	struct say s = {buf, cap, 0};

	if (v->len > PVGPU_TEXT_MAX)
		return refuse_value(k, v->len, err);
	if (!text_allowed(k, v->s, v->len))
		return refuse(k, v->s, v->len, err);
	say_str(&s, v->s);
	return finish(k, &s, err);
}

void pvgpu_text_set(struct pvgpu_text *t, const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len && i < PVGPU_TEXT_MAX; i++)
		t->s[i] = s[i] >= ' ' && s[i] <= '~' ? s[i] : '?';
	t->s[i] = '\0';
	t->len = (uint32_t)i;
}

/* ---- paths ---- */

/* The field of ids that a part like "<fe>" stands for, and its maximum. */
static uint32_t *part_id(const char *part, struct pvgpu_ids *ids, uint32_t *max)
{
	*max = PVGPU_DOMID_MAX;
	if (part[1] == 'f')
		return &ids->fe;
	if (part[1] == 'b')
		return &ids->be;
	*max = PVGPU_DEVID_MAX;
	return &ids->id;
}

size_t pvgpu_tree_match(const struct pvgpu_tree *t, const char *text, size_t len,
			struct pvgpu_ids *ids)
{
	struct pvgpu_ids found = {0};
	const char *p = t->path;
	size_t at = 0;

	while (*p) {
		uint32_t *id, max;
		uint64_t v;
		size_t n;

		if (*p != '<') {
			if (at >= len || text[at++] != *p++)
				return 0;
			continue;
		}
		id = part_id(p, &found, &max);
		n = take_number(text + at, len - at, &v);
		if (!n || v > max)
			return 0;
		*id = (uint32_t)v;
		at += n;
		while (*p++ != '>')
			;
	}
	if (at < len && text[at] != '/')
		return 0;
	*ids = found;
	return at;
}

int pvgpu_tree_path(const struct pvgpu_tree *t, const struct pvgpu_ids *ids, const char *name,
		    char *buf, size_t cap)
{
	struct pvgpu_ids copy = *ids;
	struct say s = {buf, cap, 0};
	const char *p = t->path;

	while (*p) {
		uint32_t *id, max;

		if (*p != '<') {
			say_char(&s, *p++);
			continue;
		}
		id = part_id(p, &copy, &max);
		if (*id > max)
			return -EINVAL;
		say_u64(&s, *id);
		while (*p++ != '>')
			;
	}
	if (name) {
		say_char(&s, '/');
		say_str(&s, name);
	}
	return say_end(&s) ? 0 : -ENOSPC;
}

int pvgpu_path_parse(const struct pvgpu_key *k, const char *text, size_t len, struct pvgpu_ids *out,
		     char *err)
{
	int ret = present(k, &text, &len, err);
	struct pvgpu_ids ids;

	if (ret)
		return ret;
	if (!len || pvgpu_tree_match(k->target, text, len, &ids) != len)
		return refuse(k, text, len, err);
	*out = ids;
	return 0;
}

int pvgpu_path_format(const struct pvgpu_key *k, const struct pvgpu_ids *v, char *buf, size_t cap,
		      char *err)
{
	int ret = pvgpu_tree_path(k->target, v, NULL, buf, cap);

	if (ret == -EINVAL)
		return refuse_value(k,
				    v->fe > PVGPU_DOMID_MAX   ? v->fe
				    : v->be > PVGPU_DOMID_MAX ? v->be
							      : v->id,
				    err);
	if (ret) {
		struct say s = {buf, cap, PVGPU_KEY_TEXT - 1}; /* no path is longer */

		return finish(k, &s, err);
	}
	return 0;
}

/* ---- states ---- */

bool pvgpu_may_move(const struct pvgpu_move *moves, size_t n, unsigned int from, unsigned int to,
		    unsigned int other, bool resuming)
{
	size_t i;

	if (other > 15)
		return false;
	for (i = 0; i < n; i++)
		if (moves[i].from == from && moves[i].to == to && (moves[i].when >> other & 1) &&
		    (resuming || !moves[i].resume))
			return true;
	return false;
}
