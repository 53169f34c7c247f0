/* SPDX-License-Identifier: MIT */
/* Images of programs: image.c. */
#ifndef PVGPU_CUDA_KERNELS_IMAGE_H
#define PVGPU_CUDA_KERNELS_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

/* An image of the application's in arena memory. */
struct image {
	void *mem;
	uint64_t size;
};
/* sm: the device's compute capability, 90 is 9.0: code for others is left out. 0: nothing is. */
int image_from_memory(const void *data, unsigned int sm, struct image *out);
int image_from_file(const char *path, unsigned int sm, struct image *out);
/* size bytes at data as they are, whatever they are; data NULL: just the room. */
int image_from_bytes(const void *data, uint64_t size, struct image *out);
int image_from_any_file(const char *path, struct image *out);
void image_free(struct image *i);

#endif
