/* SPDX-License-Identifier: MIT */
/* Declarations of variables in PTX. The text may be hostile: sizes saturate. */
#ifndef PVGPU_IMAGE_PTX_VARIABLE_H
#define PVGPU_IMAGE_PTX_VARIABLE_H

#include "libpvgpu/image/ptx_text.h"

enum { PTX_DIMS_MAX = 8 };

/* Before the names: .align N, .attribute(...), .v4, the type. */
struct ptx_element {
	uint64_t bytes;    /* of all elements of a vector; 0: no variable follows */
	uint64_t align;    /* the larger one of what the caller has set and what the text says */
	unsigned int part; /* bytes of one element of a vector */
	bool is_float, is_managed;
};
void ptx_element(struct ptx_text *t, struct ptx_element *e);

/* name<10>[20][30] = {...} */
struct ptx_variable {
	struct ptx_word name;
	uint64_t count;             /* elements */
	uint64_t dim[PTX_DIMS_MAX]; /* 0 for a first one that the value tells */
	unsigned int dims;          /* PTX_DIMS_MAX + 1: there are more */
	bool is_many;               /* name<10> */
	const char *value;          /* behind the =; NULL: there is none */
};
/* The text is left before the `,` or `;`. False: it is no declaration. */
bool ptx_variable(struct ptx_text *t, struct ptx_variable *v);

#endif
