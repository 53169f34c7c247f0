/* SPDX-License-Identifier: MIT */
/* Forms that are known, in a table where a newer one takes the place of an older one. */
#include "cuda/graphs/forms.h"

#include <pthread.h>
#include <string.h>

enum { FORMS = 4096 };

struct known {
	struct form form;
	uint32_t nodes, roots;
};

static struct known table[FORMS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t mix(uint64_t hash, uint64_t word, uint64_t factor)
{
	hash = (hash ^ word) * factor;
	return hash ^ hash >> 32;
}

static void add_word(struct form *f, uint64_t word)
{
	f->half[0] = mix(f->half[0], word, 0x9e3779b97f4a7c15u);
	f->half[1] = mix(f->half[1] + 1, word, 0xc2b2ae3d27d4eb4fu);
}

void form_add(struct form *f, const void *bytes, size_t len)
{
	uint64_t word;

	add_word(f, len);
	for (size_t at = 0; at < len; at += sizeof(word)) {
		const size_t left = len - at;

		word = 0;
		memcpy(&word, (const char *)bytes + at, left < sizeof(word) ? left : sizeof(word));
		add_word(f, word);
	}
}

static struct known *place_of(const struct form *f)
{
	return &table[f->half[0] % FORMS];
}

bool form_known(const struct form *f, uint32_t *nodes, uint32_t *roots)
{
	const struct known *k = place_of(f);
	bool found;

	pthread_mutex_lock(&lock);
	found = form_is(f) && !memcmp(&k->form, f, sizeof(*f));
	if (nodes)
		*nodes = found ? k->nodes : 0;
	if (roots)
		*roots = found ? k->roots : 0;
	pthread_mutex_unlock(&lock);
	return found;
}

void form_keep(const struct form *f, uint32_t nodes, uint32_t roots)
{
	pthread_mutex_lock(&lock);
	*place_of(f) = (struct known){*f, nodes, roots};
	pthread_mutex_unlock(&lock);
}
