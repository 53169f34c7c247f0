/* SPDX-License-Identifier: MIT */
/* From an image of any kind to a parsed module, and the options and logs of the JIT compiler. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libpvgpu/image/fatbin.h"
#include "tests/simcuda/driver/sim.h"

static CUresult parse_text(const char *text, size_t len, struct ptx_module **out, char *log,
			   size_t log_size)
{
	size_t new_len = len;
	char *mutant = fault_mutate(text, len, &new_len);
	enum ptx_result r =
		ptx_parse(mutant ? mutant : text, new_len, sim_config.cc, out, log, log_size);

	free(mutant);
	switch (r) {
	case PTX_OK:
		return CUDA_SUCCESS;
	case PTX_UNSUPPORTED:
		return CUDA_ERROR_NO_BINARY_FOR_GPU;
	case PTX_NO_MEMORY:
		return CUDA_ERROR_OUT_OF_MEMORY;
	default:
		return CUDA_ERROR_INVALID_PTX;
	}
}

/* Code for "sm_90a" runs on that device alone, other PTX on that device and all later ones. */
static bool runs_here(const struct fatbin_entry *e)
{
	if (e->kind != FATBIN_PTX)
		return false;
	return e->flags & FATBIN_ARCH_SPECIFIC ? e->sm == sim_config.cc : e->sm <= sim_config.cc;
}

static CUresult parse_fatbin(const void *image, size_t size, struct ptx_module **out, char *log,
			     size_t log_size)
{
	struct fatbin_entry e, best = {0};
	size_t offset = 0, len;
	CUresult r;
	char *text;
	int more;

	while ((more = fatbin_next(image, size, &offset, &e)) == 1)
		if (runs_here(&e) && (!best.payload || e.sm > best.sm))
			best = e;
	if (more < 0)
		return CUDA_ERROR_INVALID_IMAGE;
	if (!best.payload)
		return CUDA_ERROR_NO_BINARY_FOR_GPU;
	switch (fatbin_unpack(&best, &text, &len)) {
	case 0:
		break;
	case -ENOMEM:
		return CUDA_ERROR_OUT_OF_MEMORY;
	default:
		return CUDA_ERROR_INVALID_IMAGE;
	}
	r = parse_text(text, strnlen(text, len), out, log, log_size);
	free(text);
	return r;
}

CUresult image_parse(const void *image, struct ptx_module **out, char *log, size_t log_size)
{
	size_t size;

	image = image_unwrap(image);
	if (!image || image_size(image, SIZE_MAX, &size))
		return CUDA_ERROR_INVALID_IMAGE;
	switch (image_kind(image, SIZE_MAX)) {
	case IMAGE_PTX:
		return parse_text(image, strnlen(image, size), out, log, log_size);
	case IMAGE_FATBIN:
		return parse_fatbin(image, size, out, log, log_size);
	case IMAGE_ELF:
		snprintf(log, log_size, "%s",
			 "the simulated GPU runs PTX; a cubin holds machine code\n");
		return CUDA_ERROR_NO_BINARY_FOR_GPU;
	default:
		return CUDA_ERROR_INVALID_IMAGE;
	}
}

/* The whole file with a NUL after it; its claims about its own size are checked against its length.
 */
CUresult image_read_file(const char *path, void **data)
{
	size_t have = 0, size;
	struct stat st;
	char *p = NULL;
	int fd;

	if (!path)
		return CUDA_ERROR_INVALID_VALUE;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		if (fd >= 0)
			close(fd);
		return CUDA_ERROR_FILE_NOT_FOUND;
	}
	if (st.st_size < (off_t)IMAGE_MAX_BYTES)
		p = malloc((size_t)st.st_size + 1);
	while (p && have < (size_t)st.st_size) {
		ssize_t n = read(fd, p + have, (size_t)st.st_size - have);

		if (n <= 0)
			break;
		have += (size_t)n;
	}
	close(fd);
	if (!p)
		return CUDA_ERROR_OUT_OF_MEMORY;
	p[have] = 0;
	if (image_kind(p, have + 1) == IMAGE_WRAPPER || image_size(p, have + 1, &size)) {
		free(p);
		return CUDA_ERROR_INVALID_IMAGE;
	}
	*data = p;
	return CUDA_SUCCESS;
}

/* Values are passed in the pointers themselves; sizes come back there too. */
CUresult jit_options(unsigned int n, CUjit_option *options, void **values, struct jit_request *out)
{
	memset(out, 0, sizeof(*out));
	if (n && (!options || !values))
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned int i = 0; i < n; i++) {
		switch ((unsigned int)options[i]) {
		case CU_JIT_INFO_LOG_BUFFER:
			out->info_log = values[i];
			break;
		case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
			out->info_size = (unsigned int)(uintptr_t)values[i];
			out->info_used = &values[i];
			break;
		case CU_JIT_ERROR_LOG_BUFFER:
			out->error_log = values[i];
			break;
		case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
			out->error_size = (unsigned int)(uintptr_t)values[i];
			out->error_used = &values[i];
			break;
		case CU_JIT_WALL_TIME: {
			float none = 0;

			memcpy(&values[i], &none, sizeof(none));
			break;
		}
		default:
			if ((unsigned int)options[i] >= CU_JIT_NUM_OPTIONS)
				return CUDA_ERROR_INVALID_VALUE;
			break; /* a hint to the JIT compiler, which is not simulated */
		}
	}
	if (!out->info_log)
		out->info_size = 0;
	if (!out->error_log)
		out->error_size = 0;
	return CUDA_SUCCESS;
}

static void put_log(char *log, size_t size, void **used, const char *text)
{
	size_t n = 0;

	if (size) {
		n = strnlen(text, size - 1);
		memcpy(log, text, n);
		log[n] = 0;
		if (n)
			n++;
	}
	if (used)
		*used = (void *)(uintptr_t)n;
}

CUresult jit_parse(const void *image, struct jit_request *jit, struct ptx_module **out)
{
	char log[8192] = "", info[96];
	CUresult r;

	if (!image)
		return CUDA_ERROR_INVALID_VALUE;
	r = image_parse(image, out, log, sizeof(log));
	if (r == CUDA_SUCCESS)
		snprintf(info, sizeof(info), "simcuda: %zu kernels for sm_%u\n",
			 ptx_kernel_count(*out), sim_config.cc);
	else
		info[0] = 0;
	put_log(jit->info_log, jit->info_size, jit->info_used, info);
	put_log(jit->error_log, jit->error_size, jit->error_used, r == CUDA_SUCCESS ? "" : log);
	return r;
}
