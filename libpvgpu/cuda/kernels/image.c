/* SPDX-License-Identifier: MIT */
/* Images of modules and libraries: found, measured, and copied to the arena. */
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/kernels/image.h"
#include "cuda/staging/staging.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/fatbin.h"
#include "link/cancel.h"
#include "link/session.h"
#include "pvgpu_wire.h"

static int image_alloc(uint64_t size, struct image *out)
{
	/* Staging memory is kept for the next copy; a large image's is given back. */
	const bool keep = size <= STAGING_PIECE;

	out->size = size;
	out->mem = pvgpu_arena_alloc(session(), size, keep);
	if (!out->mem) {
		const int r = pvgpu_session_status(session());

		return r ? r : CUDA_ERROR_OUT_OF_MEMORY;
	}
	return 0;
}

/* Of a fatbin for many devices only what may serve this one goes to the worker, which charges the
 * vGPU for an image's bytes. */
static size_t selected(const void *data, size_t size, unsigned int sm, void *to)
{
	return sm && image_kind(data, size) == IMAGE_FATBIN ? fatbin_select(data, size, sm, to) : 0;
}

int image_from_memory(const void *data, unsigned int sm, struct image *out)
{
	size_t size, less;
	int r;

	if (!data)
		return CUDA_ERROR_INVALID_VALUE;
	data = image_unwrap(data);
	if (!data || image_size(data, SIZE_MAX, &size))
		return CUDA_ERROR_INVALID_IMAGE;
	less = selected(data, size, sm, NULL);
	r = image_alloc(less ? less : size, out);
	if (!r && less)
		selected(data, size, sm, out->mem);
	else if (!r)
		memcpy(out->mem, data, size);
	return r;
}

int image_from_bytes(const void *data, uint64_t size, struct image *out)
{
	int r;

	if (size > PVGPU_CHUNK_MAX)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = image_alloc(size, out);
	if (!r && data)
		memcpy(out->mem, data, size);
	return r;
}

static int read_all(int fd, char *to, size_t size)
{
	while (size) {
		const ssize_t n = read(fd, to, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return CUDA_ERROR_OPERATING_SYSTEM;
		to += n;
		size -= (size_t)n;
	}
	return 0;
}

static int load_file(const char *path, bool any, unsigned int sm, struct image *out)
{
	struct stat st;
	size_t less;
	int fd, r;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		r = errno == EACCES ? CUDA_ERROR_OPERATING_SYSTEM : CUDA_ERROR_FILE_NOT_FOUND;
		goto out;
	}
	r = CUDA_ERROR_INVALID_IMAGE;
	if (!S_ISREG(st.st_mode) || !st.st_size || (uint64_t)st.st_size > PVGPU_CHUNK_MAX)
		goto out;
	r = image_alloc((uint64_t)st.st_size, out);
	if (r)
		goto out;
	r = read_all(fd, out->mem, out->size);
	if (!r && !any && image_kind(out->mem, out->size) == IMAGE_UNKNOWN)
		r = CUDA_ERROR_INVALID_IMAGE;
	if (r)
		image_free(out);
	less = r ? 0 : selected(out->mem, out->size, sm, out->mem);
	if (less)
		out->size = less;
out:
	if (fd >= 0)
		close(fd);
	return r;
}

static int from_file(const char *path, bool any, unsigned int sm, struct image *out)
{
	const int cancel = pvgpu_cancel_off();
	const int r = path ? load_file(path, any, sm, out) : CUDA_ERROR_INVALID_VALUE;

	pvgpu_cancel_back(cancel);
	return r;
}

int image_from_file(const char *path, unsigned int sm, struct image *out)
{
	return from_file(path, false, sm, out);
}

int image_from_any_file(const char *path, struct image *out)
{
	return from_file(path, true, 0, out);
}

void image_free(struct image *i)
{
	pvgpu_arena_free(session(), i->mem);
	i->mem = NULL;
}
