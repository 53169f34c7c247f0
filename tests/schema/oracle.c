/* SPDX-License-Identifier: MIT */
/* For schema_test.py: lines "KEY-INDEX TEXT" in, "1" or "0" out for what the key takes and does not
 * take. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pvgpu_keys.h"

int main(void)
{
	char line[4096], *text;

	while (fgets(line, sizeof(line), stdin)) {
		long key = strtol(line, &text, 10);

		line[strcspn(line, "\n")] = '\0';
		if (key < 0 || key >= PVGPU_KEYS || *text++ != ' ')
			return 1;
		puts(pvgpu_key_check(&pvgpu_keys[key], text, strlen(text), NULL) ? "0" : "1");
	}
	return 0;
}
