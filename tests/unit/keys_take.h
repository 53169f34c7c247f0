/* SPDX-License-Identifier: MIT */
/* Does a key take a text? For the tests of the keys. */
#ifndef PVGPU_TEST_KEYS_TAKE_H
#define PVGPU_TEST_KEYS_TAKE_H

#include "pvgpu_keys.h"

/* What pvgpu_key_check() says of the text in memory of just its size, so that a sanitizer sees a
 * step too far. `err`: PVGPU_KEY_ERROR bytes, or NULL. */
int keys_take(const struct pvgpu_key *k, const char *text, size_t len, char *err);
/* It is taken, or refused with an error that names tree and key and says what must be. */
void keys_take_expect(const struct pvgpu_key *k, const char *text, bool good);

#endif
