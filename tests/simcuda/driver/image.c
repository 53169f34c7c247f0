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

CUresult image_status(enum ptx_result r)
{
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

static CUresult explain(CUresult r, char *log, size_t size, const char *why)
{
	snprintf(log, size, "%s\n", why);
	return r;
}

static CUresult fatbin_units(const void *image, size_t size, const char *name,
			     struct unit_list *out, char *log, size_t log_size)
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
		return explain(CUDA_ERROR_INVALID_IMAGE, log, log_size, "the fatbin is damaged");
	if (!best.payload) {
		snprintf(log, log_size, "the fatbin has no PTX for sm_%u or an older device\n",
			 sim_config.cc);
		return CUDA_ERROR_NO_BINARY_FOR_GPU;
	}
	switch (fatbin_unpack(&best, &text, &len)) {
	case 0:
		break;
	case -ENOMEM:
		return explain(CUDA_ERROR_OUT_OF_MEMORY, log, log_size, "out of memory");
	default:
		return explain(CUDA_ERROR_INVALID_IMAGE, log, log_size,
			       "the fatbin's PTX does not unpack to its stated size");
	}
	r = units_add(out, name, text, strnlen(text, len));
	free(text);
	return r;
}

CUresult image_units(const void *image, size_t limit, const char *name, struct unit_list *out,
		     char *log, size_t log_size)
{
	size_t size;

	if (image_size(image, limit, &size))
		return explain(CUDA_ERROR_INVALID_IMAGE, log, log_size,
			       "this is no PTX, cubin or fatbin, or it is cut short");
	switch (image_kind(image, size)) {
	case IMAGE_PTX:
		return units_add(out, name, image, strnlen(image, size));
	case IMAGE_FATBIN:
		return fatbin_units(image, size, name, out, log, log_size);
	default:
		if (linked_read(image, size, out) == CUDA_SUCCESS)
			return CUDA_SUCCESS;
		return explain(CUDA_ERROR_NO_BINARY_FOR_GPU, log, log_size,
			       "the simulated GPU runs PTX; a cubin holds machine code");
	}
}

/* The parts of a program that was compiled to be linked, where its linked code is not for this
 * device. */
static CUresult prelinked_units(const void *const *part, struct unit_list *out, char *log,
				size_t log_size)
{
	char name[32];

	for (unsigned int i = 0; part[i]; i++) {
		snprintf(name, sizeof(name), "part %u", i + 1);
		TRY(image_units(part[i], SIZE_MAX, name, out, log, log_size));
	}
	return CUDA_SUCCESS;
}

CUresult image_parse(const void *image, struct ptx_module **out, char *log, size_t log_size)
{
	const void *const *parts = image_prelinked(image);
	const void *linked = image_unwrap(image);
	CUresult r = CUDA_ERROR_NO_BINARY_FOR_GPU;
	struct unit_list units = {0};

	if (linked || !parts)
		r = linked ? image_units(linked, SIZE_MAX, NULL, &units, log, log_size)
			   : explain(CUDA_ERROR_INVALID_IMAGE, log, log_size,
				     "the wrapper points to no fatbin");
	if (r == CUDA_ERROR_NO_BINARY_FOR_GPU && parts)
		r = prelinked_units(parts, &units, log, log_size);
	if (r == CUDA_SUCCESS)
		r = image_status(
			ptx_link(units.unit, units.count, sim_config.cc, out, log, log_size));
	units_free(&units);
	return r;
}

/* The whole file with a NUL after it; its claims about its own size are checked against its length.
 */
CUresult image_read_file(const char *path, void **data, size_t *length)
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
	if (length)
		*length = have;
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

void jit_log(char *log, size_t size, void **used, const char *text)
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
	char log[JIT_LOG] = "", info[96];
	CUresult r;

	if (!image)
		return CUDA_ERROR_INVALID_VALUE;
	r = image_parse(image, out, log, sizeof(log));
	if (r == CUDA_ERROR_OUT_OF_MEMORY && !*log)
		explain(r, log, sizeof(log), "out of memory");
	if (r == CUDA_SUCCESS)
		snprintf(info, sizeof(info), "simcuda: %zu kernels for sm_%u\n",
			 ptx_kernel_count(*out), sim_config.cc);
	else
		info[0] = 0;
	jit_log(jit->info_log, jit->info_size, jit->info_used, info);
	jit_log(jit->error_log, jit->error_size, jit->error_used, r == CUDA_SUCCESS ? "" : log);
	return r;
}
