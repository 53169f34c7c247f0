/* SPDX-License-Identifier: MIT */
/* The table of instructions with their types and modifiers: what is not in it is refused. */
#ifndef PVGPU_SIMCUDA_PTX_ISA_H
#define PVGPU_SIMCUDA_PTX_ISA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct isa_form {
	const char *name, *mods;
};
extern const struct isa_form isa_forms[];
extern const size_t isa_form_count;

/* In the manual, not in the engine: an instruction, or those of its forms that begin so. */
bool isa_is_refused(const char *spelled);

#define ISA_MAX_MODS  16
#define ISA_MAX_GROUP 24

/* A form's modifiers: the words of each place; sets are resolved. */
struct isa_groups {
	uint32_t count;
	struct {
		uint32_t count;
		bool optional;
		struct {
			const char *s;
			uint8_t len;
		} words[ISA_MAX_GROUP];
	} of[ISA_MAX_MODS];
};
void isa_split(const char *mods, struct isa_groups *g);

/* For tests that count what they use: each statement's form and its modifiers as they stand,
 * ".rn.f32". NULL: nobody. */
extern void (*isa_used)(size_t form, const char *mods);

#endif
