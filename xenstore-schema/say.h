/* SPDX-License-Identifier: MIT */
/* Text put together in a buffer of fixed size, without printf: the kernel and user space share it.
 */
#ifndef PVGPU_SAY_H
#define PVGPU_SAY_H

#include "xenstore-schema/values.h"

#ifdef __KERNEL__
#include <linux/math64.h>
#endif

struct say {
	char *buf;
	size_t cap, len; /* len may exceed cap: the length that all of the text has */
};

static inline void say_char(struct say *s, char c)
{
	if (s->len + 1 < s->cap)
		s->buf[s->len] = c;
	s->len++;
}

static inline void say_str(struct say *s, const char *text)
{
	while (*text)
		say_char(s, *text++);
}

static inline void say_u64(struct say *s, uint64_t v)
{
	char digits[20];
	unsigned int n = 0;

	do {
#ifdef __KERNEL__
		u32 digit;

		v = div_u64_rem(v, 10, &digit);
		digits[n++] = (char)('0' + digit);
#else
		digits[n++] = (char)('0' + v % 10);
		v /= 10;
#endif
	} while (v);
	while (n)
		say_char(s, digits[--n]);
}

/* Untrusted text: at most 40 bytes of it, without control characters. */
static inline void say_quoted(struct say *s, const char *text, size_t len)
{
	const size_t most = 40;
	size_t i;

	say_char(s, '\'');
	for (i = 0; i < len && i < most; i++)
		say_char(s, text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
	say_str(s, len > most ? "...'" : "'");
}

/* True if all of it was written; the text is terminated in any case. */
static inline bool say_end(struct say *s)
{
	if (s->cap)
		s->buf[s->len < s->cap ? s->len : s->cap - 1] = '\0';
	return s->len < s->cap;
}

#endif
