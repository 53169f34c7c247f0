/* SPDX-License-Identifier: MIT */
/* Descriptors: made, filled in, read and written here; the far end sees them with a call only. */
#include "cublaslt/lt.h"

#include <stdlib.h>

#define WORD(kind) (0x706774754c740000u + (kind))

enum { SHORT_LAYOUT = LT_KINDS }; /* version 12's, without sizes of groups */

struct descriptor {
	uint64_t word;
	unsigned char attributes[];
};

#define KIND(name, n)                                                                              \
	{                                                                                          \
		sizeof(struct pvgpu_lt_##name), lt_##name##_attributes, n                          \
	}
static const struct {
	size_t bytes; /* of attributes */
	const struct lt_attribute *attributes;
	unsigned int count;
} kinds[] = {
	[LT_LAYOUT] = KIND(layout, LT_LAYOUT_ATTRIBUTES),
	[LT_OPERATION] = KIND(operation, LT_OPERATION_ATTRIBUTES),
	[LT_TRANSFORM] = KIND(transform, LT_TRANSFORM_ATTRIBUTES),
	[LT_PREFERENCE] = KIND(preference, LT_PREFERENCE_ATTRIBUTES),
	[LT_EMULATION] = KIND(emulation, LT_EMULATION_ATTRIBUTES),
	[SHORT_LAYOUT] = {offsetof(struct pvgpu_lt_layout, rows_array), lt_layout_attributes,
			  LT_LAYOUT_ATTRIBUTES_12},
};

_Static_assert(sizeof(uint64_t) + sizeof(struct pvgpu_lt_layout) <=
		       sizeof(cublasLtMatrixLayoutOpaque_t),
	       "a layout has no room");
_Static_assert(sizeof(uint64_t) + offsetof(struct pvgpu_lt_layout, rows_array) <=
		       LT_LAYOUT_WORDS_12 * sizeof(uint64_t),
	       "version 12's layout has no room");
_Static_assert(sizeof(uint64_t) + sizeof(struct pvgpu_lt_operation) <=
		       sizeof(cublasLtMatmulDescOpaque_t),
	       "an operation has no room");
_Static_assert(sizeof(uint64_t) + sizeof(struct pvgpu_lt_preference) <= 8 * sizeof(uint64_t),
	       "version 12's preference has no room");
_Static_assert(sizeof(uint64_t) + sizeof(struct pvgpu_lt_transform) <=
		       sizeof(cublasLtMatrixTransformDescOpaque_t),
	       "a transform has no room");
_Static_assert(sizeof(uint64_t) + sizeof(struct pvgpu_lt_emulation) <=
		       sizeof(cublasLtEmulationDescOpaque_t),
	       "an emulation has no room");

/* The row of kinds that it is, or -1. */
static int kind_of(enum lt_kind kind, const struct descriptor *d)
{
	if (d && d->word == WORD(kind))
		return kind;
	return d && kind == LT_LAYOUT && d->word == WORD(SHORT_LAYOUT) ? SHORT_LAYOUT : -1;
}

const void *lt_descriptor(enum lt_kind kind, const void *descriptor)
{
	const struct descriptor *d = descriptor;

	return kind_of(kind, d) < 0 ? NULL : d->attributes;
}

bool lt_layout(struct pvgpu_lt_layout *to, cublasLtMatrixLayout_t from)
{
	const struct descriptor *d = (const struct descriptor *)from;
	const int kind = kind_of(LT_LAYOUT, d);

	memset(to, 0, sizeof(*to));
	if (kind < 0)
		return false;
	memcpy(to, d->attributes, kinds[kind].bytes);
	return true;
}

bool lt_asked(struct lt_asked *k, cublasLtMatmulDesc_t op, cublasLtMatrixLayout_t a,
	      cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d)
{
	const void *o = lt_descriptor(LT_OPERATION, op), *e = NULL;
	uint64_t at;

	if (!o || !lt_layout(&k->a, a) || !lt_layout(&k->b, b) || !lt_layout(&k->c, c) ||
	    !lt_layout(&k->d, d ? d : c))
		return false;
	memcpy(&k->op, o, sizeof(k->op));
	memset(&k->emulation, 0, sizeof(k->emulation));
	at = k->op.emulation;
	if (at) {
		e = lt_descriptor(LT_EMULATION, (const void *)(uintptr_t)at);
		if (!e)
			return false;
		memcpy(&k->emulation, e, sizeof(k->emulation));
		k->op.emulation = 1;
	}
	return true;
}

static const struct lt_attribute *find(int kind, int number)
{
	for (unsigned int i = 0; i < kinds[kind].count; i++)
		if (kinds[kind].attributes[i].number == number)
			return &kinds[kind].attributes[i];
	return NULL;
}

static cublasStatus_t set(enum lt_kind kind, void *descriptor, int number, const void *buf,
			  size_t bytes)
{
	struct descriptor *d = descriptor;
	const int row = kind_of(kind, d);
	const struct lt_attribute *a = row < 0 ? NULL : find(row, number);

	if (!a || !buf || bytes != a->size)
		return CUBLAS_STATUS_INVALID_VALUE;
	memcpy(d->attributes + a->offset, buf, bytes);
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t get(enum lt_kind kind, const void *descriptor, int number, void *buf,
			  size_t bytes, size_t *written)
{
	const struct descriptor *d = descriptor;
	const int row = kind_of(kind, d);
	const struct lt_attribute *a = row < 0 ? NULL : find(row, number);

	if (!a || (bytes ? !buf || bytes != a->size : !written))
		return CUBLAS_STATUS_INVALID_VALUE;
	if (bytes)
		memcpy(buf, d->attributes + a->offset, bytes);
	if (written)
		*written = a->size;
	return CUBLAS_STATUS_SUCCESS;
}

/* Room that the application has; its attributes, zeroed, or NULL. */
static void *begin(int row, void *descriptor, size_t size)
{
	struct descriptor *d = descriptor;

	if (!d || size < sizeof(*d) + kinds[row].bytes)
		return NULL;
	memset(d, 0, size);
	d->word = WORD(row);
	return d->attributes;
}

#define FUNCTIONS(Name, Opaque, kind)                                                              \
	PUBLIC cublasStatus_t cublasLt##Name##SetAttribute(cublasLt##Opaque x, int attr,           \
							   const void *buf, size_t bytes)          \
	{                                                                                          \
		return set(kind, x, attr, buf, bytes);                                             \
	}                                                                                          \
	PUBLIC cublasStatus_t cublasLt##Name##GetAttribute(                                        \
		cublasLt##Opaque x, int attr, void *buf, size_t bytes, size_t *written)            \
	{                                                                                          \
		return get(kind, x, attr, buf, bytes, written);                                    \
	}                                                                                          \
	PUBLIC cublasStatus_t cublasLt##Name##Destroy(cublasLt##Opaque x)                          \
	{                                                                                          \
		if (x && !lt_descriptor(kind, x))                                                  \
			return CUBLAS_STATUS_INVALID_VALUE;                                        \
		free(x);                                                                           \
		return CUBLAS_STATUS_SUCCESS;                                                      \
	}

FUNCTIONS(MatrixLayout, MatrixLayout_t, LT_LAYOUT)
FUNCTIONS(MatmulDesc, MatmulDesc_t, LT_OPERATION)
FUNCTIONS(MatrixTransformDesc, MatrixTransformDesc_t, LT_TRANSFORM)
FUNCTIONS(MatmulPreference, MatmulPreference_t, LT_PREFERENCE)
FUNCTIONS(EmulationDesc, EmulationDesc_t, LT_EMULATION)

/* The same with memory of its own. */
#define CREATE(x, init)                                                                            \
	cublasStatus_t s;                                                                          \
                                                                                                   \
	if (!(x))                                                                                  \
		return CUBLAS_STATUS_INVALID_VALUE;                                                \
	*(x) = malloc(sizeof(**(x)));                                                              \
	s = init;                                                                                  \
	if (s) {                                                                                   \
		free(*(x));                                                                        \
		*(x) = NULL;                                                                       \
	}                                                                                          \
	return s

PUBLIC cublasStatus_t cublasLtMatrixLayoutInit_internal(cublasLtMatrixLayout_t matLayout,
							size_t size, cudaDataType_t type,
							uint64_t rows, uint64_t cols, int64_t ld)
{
	const bool whole = size >= sizeof(uint64_t) + kinds[LT_LAYOUT].bytes;
	const int row = whole ? LT_LAYOUT : SHORT_LAYOUT;
	void *to = begin(row, matLayout, size);
	struct pvgpu_lt_layout l;

	if (!to)
		return CUBLAS_STATUS_ALLOC_FAILED;
	lt_layout_begin(&l, (int)type, rows, cols, ld);
	memcpy(to, &l, kinds[row].bytes);
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *matLayout,
						 cudaDataType_t type, uint64_t rows, uint64_t cols,
						 int64_t ld)
{
	CREATE(matLayout, cublasLtMatrixLayoutInit_internal(*matLayout, sizeof(**matLayout), type,
							    rows, cols, ld));
}

PUBLIC cublasStatus_t cublasLtGroupedMatrixLayoutInit_internal(
	cublasLtMatrixLayout_t matLayout, size_t size, cudaDataType_t type, int groupCount,
	const void *rows_array, const void *cols_array, const void *ld_array)
{
	struct pvgpu_lt_layout *l = begin(LT_LAYOUT, matLayout, size);

	if (!l)
		return CUBLAS_STATUS_ALLOC_FAILED;
	lt_layout_begin(l, (int)type, 0, 0, 0);
	l->batch_mode = LT_GROUPED;
	l->batch_count = groupCount;
	l->rows_array = (uintptr_t)rows_array;
	l->cols_array = (uintptr_t)cols_array;
	l->ld_array = (uintptr_t)ld_array;
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtGroupedMatrixLayoutCreate(cublasLtMatrixLayout_t *matLayout,
							cudaDataType_t type, int groupCount,
							const void *rows_array,
							const void *cols_array,
							const void *ld_array)
{
	CREATE(matLayout, cublasLtGroupedMatrixLayoutInit_internal(*matLayout, sizeof(**matLayout),
								   type, groupCount, rows_array,
								   cols_array, ld_array));
}

PUBLIC cublasStatus_t cublasLtMatmulDescInit_internal(cublasLtMatmulDesc_t matmulDesc, size_t size,
						      cublasComputeType_t computeType,
						      cudaDataType_t scaleType)
{
	struct pvgpu_lt_operation *o = begin(LT_OPERATION, matmulDesc, size);

	if (!o)
		return CUBLAS_STATUS_ALLOC_FAILED;
	lt_operation_begin(o, (int)computeType, (int)scaleType);
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *matmulDesc,
					       cublasComputeType_t computeType,
					       cudaDataType_t scaleType)
{
	CREATE(matmulDesc, cublasLtMatmulDescInit_internal(*matmulDesc, sizeof(**matmulDesc),
							   computeType, scaleType));
}

PUBLIC cublasStatus_t cublasLtMatrixTransformDescInit_internal(
	cublasLtMatrixTransformDesc_t transformDesc, size_t size, cudaDataType_t scaleType)
{
	struct pvgpu_lt_transform *t = begin(LT_TRANSFORM, transformDesc, size);

	if (!t)
		return CUBLAS_STATUS_ALLOC_FAILED;
	lt_transform_begin(t, (int)scaleType);
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtMatrixTransformDescCreate(
	cublasLtMatrixTransformDesc_t *transformDesc, cudaDataType_t scaleType)
{
	CREATE(transformDesc, cublasLtMatrixTransformDescInit_internal(
				      *transformDesc, sizeof(**transformDesc), scaleType));
}

PUBLIC cublasStatus_t cublasLtMatmulPreferenceInit_internal(cublasLtMatmulPreference_t pref,
							    size_t size)
{
	struct pvgpu_lt_preference *p = begin(LT_PREFERENCE, pref, size);

	if (!p)
		return CUBLAS_STATUS_ALLOC_FAILED;
	lt_preference_begin(p);
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *pref)
{
	CREATE(pref, cublasLtMatmulPreferenceInit_internal(*pref, sizeof(**pref)));
}

PUBLIC cublasStatus_t cublasLtEmulationDescInit_internal(cublasLtEmulationDesc_t emulationDesc,
							 size_t size)
{
	struct pvgpu_lt_emulation *e = begin(LT_EMULATION, emulationDesc, size);

	if (!e)
		return CUBLAS_STATUS_ALLOC_FAILED;
	lt_emulation_begin(e);
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtEmulationDescCreate(cublasLtEmulationDesc_t *emulationDesc)
{
	CREATE(emulationDesc,
	       cublasLtEmulationDescInit_internal(*emulationDesc, sizeof(**emulationDesc)));
}
