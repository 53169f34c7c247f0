/* SPDX-License-Identifier: MIT */
/* Does a key accept a text? For the tests of the keys. */
#ifndef PVGPU_TEST_KEYS_TAKE_H
#define PVGPU_TEST_KEYS_TAKE_H

#include "pvgpu_keys.h"

/* pvgpu_key_check() of the text in memory of exactly its size, so that a sanitizer detects a read
 * beyond it. `err`: PVGPU_KEY_ERROR bytes, or NULL. */
int keys_take(const struct pvgpu_key *k, const char *text, size_t len, char *err);
/* Expect that it is accepted, or refused with an error that names tree, key and allowed values. */
void keys_take_expect(const struct pvgpu_key *k, const char *text, bool good);

#endif
