/* SPDX-License-Identifier: MIT */
#include "tests/gpu/probe/machine/elf.h"

#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION_MASK 0x7fff /* the highest bit: not the default version */

struct file {
	const unsigned char *data;
	size_t size;
	const Elf64_Shdr *section;
	unsigned int sections;
};

/* So many bytes at an offset, or NULL. */
static const void *at(const struct file *f, uint64_t offset, uint64_t bytes)
{
	return offset <= f->size && bytes <= f->size - offset ? f->data + offset : NULL;
}

/* A string of a table, which ends with NUL as a whole; NULL: outside. */
static const char *text(const struct file *f, const Elf64_Shdr *table, uint64_t offset)
{
	const char *s = at(f, table->sh_offset, table->sh_size);

	return s && offset < table->sh_size && !s[table->sh_size - 1] ? s + offset : NULL;
}

static const Elf64_Shdr *find(const struct file *f, uint32_t type)
{
	for (unsigned int i = 0; i < f->sections; i++)
		if (f->section[i].sh_type == type)
			return &f->section[i];
	return NULL;
}

/* The strings that a section refers to. */
static const Elf64_Shdr *strings_of(const struct file *f, const Elf64_Shdr *s)
{
	return s && s->sh_link < f->sections ? &f->section[s->sh_link] : NULL;
}

/* The name of version `index`, or NULL. */
static const char *version_name(const struct file *f, unsigned int index)
{
	const Elf64_Shdr *s = find(f, SHT_GNU_verdef), *strings = strings_of(f, s);
	uint64_t offset = 0;

	for (unsigned int i = 0; strings && i < s->sh_info; i++) {
		const Elf64_Verdef *d = at(f, s->sh_offset + offset, sizeof(*d));
		const Elf64_Verdaux *a;

		if (!d)
			return NULL;
		a = at(f, s->sh_offset + offset + d->vd_aux, sizeof(*a));
		if (d->vd_ndx == index)
			return a ? text(f, strings, a->vda_name) : NULL;
		offset += d->vd_next;
	}
	return NULL;
}

static bool is_exported(const Elf64_Sym *s)
{
	const unsigned int bind = ELF64_ST_BIND(s->st_info);

	return s->st_shndx != SHN_UNDEF && bind != STB_LOCAL &&
	       (ELF64_ST_VISIBILITY(s->st_other) == STV_DEFAULT ||
		ELF64_ST_VISIBILITY(s->st_other) == STV_PROTECTED);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static json_t *sorted(char **names, size_t n)
{
	json_t *list = json_array();

	qsort(names, n, sizeof(*names), by_text);
	for (size_t i = 0; i < n; i++) {
		json_array_append_new(list, json_string(names[i]));
		free(names[i]);
	}
	free(names);
	return list;
}

static json_t *exports(const struct file *f)
{
	const Elf64_Shdr *s = find(f, SHT_DYNSYM), *strings = strings_of(f, s);
	const Elf64_Shdr *v = find(f, SHT_GNU_versym);
	const Elf64_Sym *symbol = s ? at(f, s->sh_offset, s->sh_size) : NULL;
	const Elf64_Versym *version = v ? at(f, v->sh_offset, v->sh_size) : NULL;
	const size_t count = s ? s->sh_size / sizeof(*symbol) : 0;
	char **names;
	size_t n = 0;

	if (!symbol || !strings)
		return NULL;
	names = calloc(count + 1, sizeof(*names));
	for (size_t i = 1; names && i < count; i++) {
		const char *name = text(f, strings, symbol[i].st_name);
		const bool has = version && (i + 1) * sizeof(*version) <= v->sh_size;
		const unsigned int index = has ? version[i] & VERSION_MASK : 0;
		/* 1 is the base: no version. */
		const char *of = index > 1 ? version_name(f, index) : NULL;

		if (!name || !*name || !is_exported(&symbol[i]))
			continue;
		if (asprintf(&names[n], "%s%s%s", name, of ? "@" : "", of ? of : "") > 0)
			n++;
	}
	return names ? sorted(names, n) : NULL;
}

static json_t *parse(struct file *f)
{
	const Elf64_Ehdr *e = at(f, 0, sizeof(*e));

	if (!e || memcmp(e->e_ident, ELFMAG, SELFMAG) || e->e_ident[EI_CLASS] != ELFCLASS64 ||
	    e->e_shentsize != sizeof(*f->section))
		return NULL;
	f->sections = e->e_shnum;
	f->section = at(f, e->e_shoff, (uint64_t)e->e_shnum * sizeof(*f->section));
	return f->section ? exports(f) : NULL;
}

json_t *elf_exports(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	json_t *list = NULL;
	struct file f = {0};
	struct stat st;
	void *p = MAP_FAILED;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && st.st_size > 0)
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return NULL;
	f.data = p;
	f.size = (size_t)st.st_size;
	list = parse(&f);
	munmap(p, f.size);
	return list;
}
