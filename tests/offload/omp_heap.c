/* SPDX-License-Identifier: MIT */
/* Memory that the device allocates for itself, and its string functions. */
#include <stdlib.h>
#include <string.h>

#include "tests/offload/check.h"

struct node {
	struct node *next;
	int value;
};

int main(void)
{
	int sum = 0, failed = 0, compared = 1, length = 0, threads = 0;
	char text[64] = "";

#pragma omp target map(tofrom : sum, failed)
	{
		struct node *first = NULL;

		for (int i = 0; i < 100; i++) {
			struct node *n = malloc(sizeof(*n));

			if (!n) {
				failed++;
				continue;
			}
			n->value = i;
			n->next = first;
			first = n;
		}
		while (first) {
			struct node *n = first;

			first = n->next;
			sum += n->value;
			free(n);
		}
	}
	SAME("failed", failed, 0);
	SAME("sum", sum, 4950);
#pragma omp target map(tofrom : text) map(from : compared, length)
	{
		char *copy = calloc(1, 64);

		strcpy(copy, "a string");
		strcat(copy, " of the device");
		memcpy(text, copy, 64);
		compared = strcmp(text, copy);
		length = (int)strlen(copy);
		free(copy);
	}
	SAME("compared", compared, 0);
	SAME("length", length, 22);
	CHECK(!strcmp(text, "a string of the device"), "'%s'", text);
	/* each thread its own, all at once */
#pragma omp target teams distribute parallel for map(tofrom : threads)
	for (int i = 0; i < 256; i++) {
		int *p = malloc(64 * sizeof(*p));

		if (p) {
			for (int k = 0; k < 64; k++)
				p[k] = i + k;
			if (p[0] == i && p[63] == i + 63) {
#pragma omp atomic
				threads++;
			}
		}
		free(p);
	}
	SAME("threads with memory", threads, 256);
	return 0;
}
