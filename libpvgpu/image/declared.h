/* SPDX-License-Identifier: MIT */
/*
 * The device memory that an image asks for beside its own bytes: the variables that it declares in
 * the state spaces .global and .const. A line of PTX, or a section of a cubin that has no bytes in
 * the file, can ask for any amount. The image may be hostile: nothing beyond the given length is
 * read, sums saturate, and what cannot be understood counts as nothing, since the far end refuses
 * it, too.
 */
#ifndef PVGPU_IMAGE_DECLARED_H
#define PVGPU_IMAGE_DECLARED_H

#include <stddef.h>
#include <stdint.h>

/* Of PTX; up to the first NUL. Each variable counts as a multiple of 256 bytes. */
uint64_t declared_ptx(const char *text, size_t len);
/* Of a cubin, whose size image_size() has found right. */
uint64_t declared_elf(const void *elf, size_t len);
/* Of any image; of a fatbin's entries the largest, since the far end takes one. 0, or -ENOMEM. */
int image_declared(const void *image, size_t len, uint64_t *bytes);

#endif
