/* SPDX-License-Identifier: MIT */
/*
 * A linked module on its way back to the driver: an ELF file with the texts that it was linked
 * from. Programs keep such images, hand them on and load them as any cubin. A section without bytes
 * has the size of the module's variables, as in a cubin.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/sim.h"

#define EM_CUDA_CODE 190
#define SECTION      ".simcuda.ptx"

/* Before each text: bytes of its name and of the text, both with their NUL. */
struct unit_head {
	uint32_t name, text;
};

/* Their offsets: 1, 11 and 24. */
static const char section_names[] = "\0.shstrtab\0" SECTION "\0.nv.global";

CUresult units_add(struct unit_list *l, const char *name, const char *text, size_t len)
{
	size_t n = len;
	char *mutant = fault_mutate(text, len, &n), *copy, *label;

	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 16;
		struct ptx_unit *u = realloc(l->unit, room * sizeof(*u));

		if (!u) {
			free(mutant);
			return CUDA_ERROR_OUT_OF_MEMORY;
		}
		l->unit = u;
		l->room = room;
	}
	copy = malloc(n + 1);
	label = name ? strdup(name) : NULL;
	if (!copy || (name && !label)) {
		free(mutant);
		free(copy);
		free(label);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	memcpy(copy, mutant ? mutant : text, n);
	copy[n] = 0;
	free(mutant);
	l->unit[l->count++] = (struct ptx_unit){.name = label, .text = copy, .len = n};
	return CUDA_SUCCESS;
}

void units_free(struct unit_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free((char *)l->unit[i].name);
		free((char *)l->unit[i].text);
	}
	free(l->unit);
	*l = (struct unit_list){0};
}

static const char *name_of(const struct ptx_unit *u)
{
	return u->name ? u->name : "";
}

static size_t texts_size(const struct unit_list *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->count; i++)
		n += sizeof(struct unit_head) + strlen(name_of(&l->unit[i])) + l->unit[i].len + 2;
	return n;
}

static void put_texts(const struct unit_list *l, char *to)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct ptx_unit *u = &l->unit[i];
		struct unit_head h = {(uint32_t)strlen(name_of(u)) + 1, (uint32_t)u->len + 1};

		memcpy(to, &h, sizeof(h));
		memcpy(to + sizeof(h), name_of(u), h.name);
		memcpy(to + sizeof(h) + h.name, u->text, h.text);
		to += sizeof(h) + h.name + h.text;
	}
}

CUresult linked_write(const struct unit_list *l, uint64_t variables, void **elf, size_t *size)
{
	const size_t texts = texts_size(l), names = sizeof(Elf64_Ehdr) + 4 * sizeof(Elf64_Shdr);
	const Elf64_Shdr sections[4] = {
		[1] = {.sh_name = 1,
		       .sh_type = SHT_STRTAB,
		       .sh_offset = names,
		       .sh_size = sizeof(section_names)},
		[2] = {.sh_name = 11,
		       .sh_type = SHT_PROGBITS,
		       .sh_offset = names + sizeof(section_names),
		       .sh_size = texts},
		[3] = {.sh_name = 24, .sh_type = SHT_NOBITS, .sh_size = variables},
	};
	const Elf64_Ehdr head = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			    EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = EM_CUDA_CODE,
		.e_version = EV_CURRENT,
		.e_shoff = sizeof(head),
		.e_flags = sim_config.cc,
		.e_ehsize = sizeof(head),
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 4,
		.e_shstrndx = 1,
	};
	char *p;

	*size = names + sizeof(section_names) + texts;
	*elf = p = calloc(1, *size);
	if (!p)
		return CUDA_ERROR_OUT_OF_MEMORY;
	memcpy(p, &head, sizeof(head));
	memcpy(p + sizeof(head), sections, sizeof(sections));
	memcpy(p + names, section_names, sizeof(section_names));
	put_texts(l, p + names + sizeof(section_names));
	return CUDA_SUCCESS;
}

static CUresult read_texts(const char *p, size_t left, struct unit_list *out)
{
	while (left) {
		struct unit_head h;
		const char *name;

		if (left < sizeof(h))
			return CUDA_ERROR_INVALID_IMAGE;
		memcpy(&h, p, sizeof(h));
		left -= sizeof(h);
		if (!h.name || !h.text || h.name > left || h.text > left - h.name)
			return CUDA_ERROR_INVALID_IMAGE;
		name = p + sizeof(h);
		if (name[h.name - 1] || name[h.name + h.text - 1])
			return CUDA_ERROR_INVALID_IMAGE;
		TRY(units_add(out, *name ? name : NULL, name + h.name, h.text - 1));
		p = name + h.name + h.text;
		left -= h.name + h.text;
	}
	return CUDA_SUCCESS;
}

CUresult linked_read(const void *elf, size_t size, struct unit_list *out)
{
	const char *base = elf;
	Elf64_Shdr s[3];
	Elf64_Ehdr h;

	if (size < sizeof(h) + sizeof(s))
		return CUDA_ERROR_NO_BINARY_FOR_GPU;
	memcpy(&h, base, sizeof(h));
	memcpy(s, base + sizeof(h), sizeof(s));
	if (h.e_machine != EM_CUDA_CODE || h.e_shoff != sizeof(h) || h.e_shnum != 4 ||
	    s[1].sh_offset > size || size - s[1].sh_offset < sizeof(section_names) ||
	    memcmp(base + s[1].sh_offset, section_names, sizeof(section_names)) ||
	    s[2].sh_offset > size || s[2].sh_size > size - s[2].sh_offset)
		return CUDA_ERROR_NO_BINARY_FOR_GPU;
	return read_texts(base + s[2].sh_offset, s[2].sh_size, out);
}
