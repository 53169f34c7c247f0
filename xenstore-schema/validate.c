/* SPDX-License-Identifier: MIT */
#include "xenstore-schema/validate.h"

#include <stdlib.h>
#include <string.h>

#include "xenstore-schema/say.h"

#define PATH_CAP 128

enum { DIRECTORY = PVGPU_KEYS, NO_KEY };

static void report(struct pvgpu_findings *f, enum pvgpu_severity severity, const char *path,
		   const char *text)
{
	if (severity == PVGPU_ERROR)
		f->errors++;
	else
		f->warnings++;
	if (f->report)
		f->report(f->arg, severity, path, text);
}

/* Find an entry's tree, vGPU and key. */
static void locate(struct pvgpu_entry *e)
{
	size_t len = strlen(e->path), n = 0;

	e->key = NO_KEY;
	e->ids = (struct pvgpu_ids){0};
	for (e->tree = PVGPU_TREES - 1; e->tree >= 0; e->tree--) {
		n = pvgpu_tree_match(&pvgpu_trees[e->tree], e->path, len, &e->ids);
		if (n)
			break;
	}
	if (e->tree < 0)
		return;
	if (n == len) {
		e->key = DIRECTORY;
		return;
	}
	for (int k = 0; k < PVGPU_KEYS; k++)
		if (pvgpu_keys[k].tree == &pvgpu_trees[e->tree] &&
		    !strcmp(pvgpu_keys[k].name, e->path + n + 1))
			e->key = k;
}

static int compare_u32(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

static int compare_place(const struct pvgpu_entry *a, const struct pvgpu_entry *b)
{
	int c = (a->tree > b->tree) - (a->tree < b->tree);

	c = c ? c : compare_u32(a->ids.be, b->ids.be);
	c = c ? c : compare_u32(a->ids.fe, b->ids.fe);
	return c ? c : compare_u32(a->ids.id, b->ids.id);
}

static int compare(const void *a, const void *b)
{
	const struct pvgpu_entry *x = a, *y = b;
	int c = compare_place(x, y);

	return c ? c : (x->key > y->key) - (x->key < y->key);
}

/* ---- the keys of one directory ---- */

struct directory {
	const struct pvgpu_entry *e;
	size_t n;
	char path[PATH_CAP];
	const struct pvgpu_entry *of[PVGPU_KEYS]; /* those whose value is good */
	bool seen[PVGPU_KEYS];
};

/* The roles of a domain number (either end, the toolstack), as bits. */
static unsigned int roles(const struct pvgpu_entry *e, uint64_t domid, struct pvgpu_ids ids)
{
	unsigned int bits = domid == 0 ? PVGPU_DOMAIN_BIT(PVGPU_TOOLSTACK) : 0;

	if (domid == ids.fe && pvgpu_trees[e->tree].per_vgpu)
		bits |= PVGPU_DOMAIN_BIT(PVGPU_FRONTEND);
	if (domid == ids.be)
		bits |= PVGPU_DOMAIN_BIT(PVGPU_BACKEND);
	return bits;
}

/* The next of the comma-separated "r3": its letter, 0 at the end, '?' if it is malformed. */
static char next_perm(const char **at, uint64_t *domid)
{
	const char *p = *at;
	char letter = *p;

	if (!letter)
		return 0;
	if (!strchr("nrwb", letter) || p[1] < '0' || p[1] > '9')
		return '?';
	for (*domid = 0, p++; *p >= '0' && *p <= '9' && *domid <= PVGPU_DOMID_MAX; p++)
		*domid = *domid * 10 + (uint64_t)(*p - '0');
	if ((*p && *p != ',') || *domid > PVGPU_DOMID_MAX)
		return '?';
	*at = *p ? p + 1 : p;
	return letter;
}

static void check_perms(const struct pvgpu_entry *e, struct pvgpu_ids ids, struct pvgpu_findings *f)
{
	const struct pvgpu_key *k = &pvgpu_keys[e->key];
	unsigned int missing = k->readers, owner;
	char want[48], text[160];
	struct say s = {text, sizeof(text), 0};
	const char *at = e->perms;
	uint64_t domid = 0;
	char letter = next_perm(&at, &domid);
	bool good = letter == 'n' && (roles(e, domid, ids) & PVGPU_DOMAIN_BIT(k->owner));

	owner = letter && letter != '?' ? roles(e, domid, ids) : 0;
	missing &= ~owner;
	/* dom0 reads everything. */
	missing &= ~roles(e, 0, ids);
	while (good && (letter = next_perm(&at, &domid))) {
		unsigned int who = roles(e, domid, ids);

		if (letter == '?' || letter == 'w' || letter == 'b')
			good = domid == 0 && letter != '?';
		if (letter == 'r' && !(who & (k->readers | PVGPU_DOMAIN_BIT(PVGPU_TOOLSTACK))))
			good = false;
		if (letter == 'r')
			missing &= ~who;
	}
	if (good && !missing)
		return;
	pvgpu_key_perms(k, &ids, want, sizeof(want));
	say_str(&s, "permissions ");
	say_quoted(&s, e->perms, strlen(e->perms));
	say_str(&s, ": must be ");
	say_str(&s, want);
	say_end(&s);
	report(f, PVGPU_ERROR, e->path, text);
}

static void check_values(struct directory *d, struct pvgpu_findings *f)
{
	char err[PVGPU_KEY_ERROR];

	for (size_t i = 0; i < d->n; i++) {
		const struct pvgpu_entry *e = &d->e[i];

		if (e->key == DIRECTORY)
			continue;
		f->keys++;
		if (e->key == NO_KEY) {
			report(f, PVGPU_WARNING, e->path, "no key of this version");
		} else if (d->seen[e->key]) {
			report(f, PVGPU_ERROR, e->path, "is there twice");
		} else {
			d->seen[e->key] = true;
			if (pvgpu_key_check(&pvgpu_keys[e->key], e->value, e->len, err))
				report(f, PVGPU_ERROR, e->path, err);
			else
				d->of[e->key] = e;
		}
	}
}

static uint32_t state_of(const struct directory *d, int key)
{
	uint64_t v = PVGPU_STATE_UNKNOWN;

	if (d->of[key])
		pvgpu_number_parse(&pvgpu_keys[key], d->of[key]->value, d->of[key]->len, &v, NULL);
	return (uint32_t)v;
}

static void check_missing(const struct directory *d, struct pvgpu_findings *f)
{
	const struct pvgpu_tree *t = &pvgpu_trees[d->e->tree];
	uint32_t state = PVGPU_STATE_UNKNOWN;

	if (d->e->tree == PVGPU_TREE_FRONTEND)
		state = state_of(d, PVGPU_KEY_FRONTEND_STATE);
	if (d->e->tree == PVGPU_TREE_BACKEND)
		state = state_of(d, PVGPU_KEY_BACKEND_STATE);
	for (int k = 0; k < PVGPU_KEYS; k++) {
		const struct pvgpu_key *key = &pvgpu_keys[k];
		char text[PVGPU_KEY_ERROR];
		struct say s = {text, sizeof(text), 0};

		if (key->tree != t || d->seen[k] || !(key->needed >> state & 1))
			continue;
		say_str(&s, key->name);
		say_str(&s, " is missing");
		if (key->needed != PVGPU_NEEDED_ALWAYS) {
			say_str(&s, ", which must be there in state ");
			say_str(&s, pvgpu_name_of(&pvgpu_state_names, state));
		}
		say_end(&s);
		report(f, PVGPU_ERROR, d->path, text);
	}
}

/* ---- both ends ---- */

static const struct pvgpu_entry *find(const struct pvgpu_entry *e, size_t n, int tree,
				      struct pvgpu_ids ids)
{
	const struct pvgpu_entry key = {.tree = tree, .ids = ids};

	while (n) {
		size_t half = n / 2;
		int c = compare_place(&key, &e[half]);

		if (!c)
			return &e[half];
		if (c > 0) {
			e += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return NULL;
}

static void wrong_number(struct pvgpu_findings *f, const struct pvgpu_entry *e, uint32_t want)
{
	char text[PVGPU_KEY_ERROR];
	struct say s = {text, sizeof(text), 0};

	say_quoted(&s, e->value, e->len);
	say_str(&s, " does not fit the paths, which say ");
	say_u64(&s, want);
	say_end(&s);
	report(f, PVGPU_ERROR, e->path, text);
}

static void check_number(const struct directory *d, int key, uint32_t want,
			 struct pvgpu_findings *f)
{
	uint64_t v;

	if (!d->of[key])
		return;
	pvgpu_number_parse(&pvgpu_keys[key], d->of[key]->value, d->of[key]->len, &v, NULL);
	if (v != want)
		wrong_number(f, d->of[key], want);
}

/* The numbers in the path key. One that the other tree's path lacks comes from this directory. */
static bool other_end(const struct directory *d, int key, struct pvgpu_ids *ids)
{
	return d->of[key] &&
	       !pvgpu_path_parse(&pvgpu_keys[key], d->of[key]->value, d->of[key]->len, ids, NULL);
}

static void check_frontend(const struct directory *d, const struct pvgpu_entry *all, size_t n,
			   struct pvgpu_ids *ids, struct pvgpu_findings *f)
{
	struct pvgpu_ids to;

	if (!other_end(d, PVGPU_KEY_FRONTEND_BACKEND, &to))
		return;
	ids->be = to.be;
	if (to.fe != ids->fe || to.id != ids->id)
		report(f, PVGPU_ERROR, d->of[PVGPU_KEY_FRONTEND_BACKEND]->path,
		       "is the directory of another vGPU");
	else if (!find(all, n, PVGPU_TREE_BACKEND, to))
		report(f, PVGPU_WARNING, d->of[PVGPU_KEY_FRONTEND_BACKEND]->path,
		       "that directory is not there");
	check_number(d, PVGPU_KEY_FRONTEND_BACKEND_ID, to.be, f);
}

static void check_backend(const struct directory *d, const struct pvgpu_entry *all, size_t n,
			  const struct pvgpu_ids *ids, struct pvgpu_findings *f)
{
	struct pvgpu_ids to;

	check_number(d, PVGPU_KEY_BACKEND_FRONTEND_ID, ids->fe, f);
	if (!other_end(d, PVGPU_KEY_BACKEND_FRONTEND, &to))
		return;
	if (to.fe != ids->fe || to.id != ids->id)
		report(f, PVGPU_ERROR, d->of[PVGPU_KEY_BACKEND_FRONTEND]->path,
		       "is the directory of another vGPU");
	else if (!find(all, n, PVGPU_TREE_FRONTEND, to))
		report(f, PVGPU_WARNING, d->of[PVGPU_KEY_BACKEND_FRONTEND]->path,
		       "that directory is not there");
}

static void check_directory(const struct pvgpu_entry *e, size_t count,
			    const struct pvgpu_entry *all, size_t n, struct pvgpu_findings *f)
{
	struct directory d = {.e = e, .n = count};
	struct pvgpu_ids ids = e->ids;
	bool owners_known = true;

	pvgpu_tree_path(&pvgpu_trees[e->tree], &ids, NULL, d.path, sizeof(d.path));
	check_values(&d, f);
	check_missing(&d, f);
	if (e->tree == PVGPU_TREE_FRONTEND) {
		check_frontend(&d, all, n, &ids, f);
		owners_known = d.of[PVGPU_KEY_FRONTEND_BACKEND]; /* the path does not name the
								    reading domain */
	} else if (e->tree == PVGPU_TREE_BACKEND) {
		check_backend(&d, all, n, &ids, f);
		f->vgpus++;
	}
	for (size_t i = 0; i < count && owners_known; i++)
		if (e[i].perms && e[i].key < PVGPU_KEYS)
			check_perms(&e[i], ids, f);
}

bool pvgpu_keys_validate(struct pvgpu_entry *entries, size_t n, struct pvgpu_findings *f)
{
	for (size_t i = 0; i < n; i++)
		locate(&entries[i]);
	if (n)
		qsort(entries, n, sizeof(*entries), compare);
	/* Entries that are not pvgpu's are sorted first. */
	while (n && entries->tree < 0) {
		entries++;
		n--;
	}
	for (size_t i = 0, count; i < n; i += count) {
		count = 1;
		while (i + count < n && !compare_place(&entries[i], &entries[i + count]))
			count++;
		check_directory(&entries[i], count, entries, n, f);
	}
	return !f->errors;
}
