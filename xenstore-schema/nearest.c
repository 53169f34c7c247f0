/* SPDX-License-Identifier: MIT */
#include "xenstore-schema/nearest.h"

#include <stdbool.h>
#include <string.h>

#define LONGEST 40 /* no name is longer */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static bool same(char a, char b)
{
	return a == b || (a == '-' && b == '_') || (a == '_' && b == '-');
}

/* The letters to change, add, leave out or swap with their neighbour to make b of a. */
static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
	size_t d[LONGEST + 1][LONGEST + 1];

	for (size_t i = 0; i <= n; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= n; i++)
		for (size_t j = 1; j <= m; j++) {
			d[i][j] = least(d[i - 1][j - 1] + !same(a[i - 1], b[j - 1]),
					1 + least(d[i - 1][j], d[i][j - 1]));
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
		}
	return d[n][m];
}

void pvgpu_nearest_try(struct pvgpu_nearest *n, const char *name)
{
	const size_t len = strlen(n->word), other = strlen(name);
	size_t cost;

	if (!len || len > LONGEST || other > LONGEST)
		return;
	cost = distance(n->word, len, name, other);
	/* A quarter of its letters are wrong at most, one of a short one. */
	if (cost > 1 + len / 4 || (n->name && cost >= n->cost) || cost >= other)
		return;
	n->name = name;
	n->cost = cost;
}
