/* SPDX-License-Identifier: MIT */
/* Binding a module to the addresses of its variables. */
#include "tests/simcuda/ptx/internal.h"

#include <stdlib.h>

static uint64_t address_of(const struct var *v, const struct func *f, const uint64_t *addr)
{
	if (f)
		return FUNC_WINDOW + (uint64_t)(f->index + 1) * FUNC_STRIDE;
	if (!v)
		return 0;
	return v->space == SPACE_GLOBAL || v->space == SPACE_CONST ? addr[v->index] : v->offset;
}

static void fill_row(uint8_t *row, enum cls cls, uint64_t value)
{
	uint32_t mask = value & 1 ? FULL_MASK : 0;

	if (cls == CLS_P)
		memcpy(row, &mask, sizeof(mask));
	for (int l = 0; l < LANES && cls != CLS_P; l++)
		memcpy(row + l * (1 << cls), &value, 1u << cls);
}

static void write_initial(const struct var *v, const struct ptx_global *g, const uint64_t *addr,
			  void (*write)(void *, uint64_t, const void *, size_t), void *arg)
{
	uint64_t base = addr[v->index];

	if (!v->size)
		return;
	write(arg, base, g->init, v->size);
	for (const struct reloc *r = v->relocs; r; r = r->next) {
		uint64_t value = (address_of(r->var, r->func, addr) + r->addend) >> r->shift;

		write(arg, base + r->offset, &value, r->bytes);
	}
}

enum ptx_result ptx_image_create(const struct ptx_module *m, const uint64_t *addr,
				 void (*write)(void *arg, uint64_t addr, const void *bytes,
					       size_t len),
				 void *arg, struct ptx_image **out)
{
	struct ptx_image *img = calloc(1, sizeof(*img));

	*out = NULL;
	if (!img)
		return PTX_NO_MEMORY;
	img->m = m;
	if (posix_memalign((void **)&img->consts, ROW_ALIGN, m->const_bytes + ROW_ALIGN)) {
		free(img);
		return PTX_NO_MEMORY;
	}
	for (uint32_t i = 0; i < m->const_count; i++) {
		const struct constant *k = &m->consts[i];

		fill_row(img->consts + k->row, k->cls,
			 k->value + address_of(k->var, k->func, addr));
	}
	for (uint32_t i = 0; i < m->global_count; i++)
		write_initial(m->global_vars[i], &m->globals[i], addr, write, arg);
	*out = img;
	return PTX_OK;
}

void ptx_image_free(struct ptx_image *img)
{
	if (!img)
		return;
	free(img->consts);
	free(img);
}
