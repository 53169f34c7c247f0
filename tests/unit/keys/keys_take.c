/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/keys/keys_take.h"

int keys_take(const struct pvgpu_key *k, const char *text, size_t len, char *err)
{
	char *copy = malloc(len ? len : 1);
	int ret;

	memcpy(copy, text, len);
	ret = pvgpu_key_check(k, copy, len, err);
	free(copy);
	return ret;
}

void keys_take_expect(const struct pvgpu_key *k, const char *text, bool good)
{
	char err[PVGPU_KEY_ERROR] = "";
	int ret = keys_take(k, text, strlen(text), err);

	ck_assert_msg(ret == (good ? 0 : -EINVAL), "%s/%s '%s': %d %s", k->tree->name, k->name,
		      text, ret, err);
	if (good)
		return;
	ck_assert_msg(!strncmp(err, k->tree->name, strlen(k->tree->name)) && strstr(err, k->name),
		      "%s", err);
	ck_assert_msg(strstr(err, ": must be "), "%s", err);
}
