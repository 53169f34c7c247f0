/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "xen-pvgpu-back/statistics/statistics.h"

#define FIRST 65536u

void text_add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	char *more;
	int n;

	for (int tries = 0; !t->failed && tries < 2; tries++) {
		va_start(ap, fmt);
		n = vsnprintf(t->bytes ? t->bytes + t->n : NULL, t->cap - t->n, fmt, ap);
		va_end(ap);
		if (n < 0)
			break;
		if ((size_t)n < t->cap - t->n) {
			t->n += (size_t)n;
			return;
		}
		t->cap = (t->cap ? 2 * t->cap : FIRST) + (size_t)n;
		more = realloc(t->bytes, t->cap);
		if (!more)
			break;
		t->bytes = more;
	}
	t->failed = 1;
}

void text_free(struct text *t)
{
	free(t->bytes);
	*t = (struct text){0};
}
