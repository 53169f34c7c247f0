/* SPDX-License-Identifier: MIT */
/*
 * first NAME...: whose libcudart the program itself is linked with, and whose is loaded by each name (run_test.py); then what a
 * call into it goes through: "direct" when the program's slot has the function's address after the first call.
 */
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

int whose(void);

static const ElfW(Dyn) *entry(ElfW(Sxword) tag)
{
	for (const ElfW(Dyn) *d = _DYNAMIC; d->d_tag != DT_NULL; d++)
		if (d->d_tag == tag)
			return d;
	return NULL;
}

static ElfW(Addr) slot_of(const char *name)
{
	const ElfW(Rela) *r = (const void *)entry(DT_JMPREL)->d_un.d_ptr;
	const ElfW(Sym) *symbols = (const void *)entry(DT_SYMTAB)->d_un.d_ptr;
	const char *strings = (const void *)entry(DT_STRTAB)->d_un.d_ptr;

	for (size_t i = 0; i < entry(DT_PLTRELSZ)->d_un.d_val / sizeof(*r); i++)
		if (!strcmp(strings + symbols[ELF64_R_SYM(r[i].r_info)].st_name, name))
			return *(const ElfW(Addr) *)r[i].r_offset;
	return 0;
}

int main(int argc, char **argv)
{
	void *mine = dlsym(RTLD_DEFAULT, "whose");

	printf("%d", whose());
	for (int i = 1; i < argc; i++) {
		void *library = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL), *symbol = library ? dlsym(library, "whose") : NULL;
		int (*other)(void) = NULL;

		memcpy(&other, &symbol, sizeof(other));
		printf(" %d", other ? other() : -1);
	}
	printf(" %s\n", slot_of("whose") == (ElfW(Addr))mine ? "direct" : "by the linker");
	return 0;
}
