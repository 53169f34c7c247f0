/* SPDX-License-Identifier: MIT */
/* The library's descriptors. Each attribute that is not as it begins is set by the library's own
 * function, which may refuse it; an older library does not know all. */
#include "lt.h"

bool lt_far_offered(const struct far *far)
{
	const __typeof__(far->lib.cublaslt) *l = &far->lib.cublaslt;

	return l->cublasLtMatmul && l->cublasLtMatrixTransform &&
	       l->cublasLtMatmulDescInit_internal && l->cublasLtMatmulDescSetAttribute &&
	       l->cublasLtMatrixLayoutInit_internal && l->cublasLtMatrixLayoutSetAttribute &&
	       l->cublasLtMatrixTransformDescInit_internal &&
	       l->cublasLtMatrixTransformDescSetAttribute &&
	       l->cublasLtMatmulPreferenceInit_internal &&
	       l->cublasLtMatmulPreferenceSetAttribute && l->cublasLtMatmulAlgoGetHeuristic &&
	       l->cublasLtMatmulAlgoCheck && l->cublasLtMatmulAlgoGetIds &&
	       l->cublasLtMatmulAlgoInit && l->cublasLtMatmulAlgoCapGetAttribute &&
	       l->cublasLtMatmulAlgoConfigGetAttribute && l->cublasLtMatmulAlgoConfigSetAttribute;
}

/* Set what differs from `begun`. */
#define SET(set, to, now, begun, table, count)                                                     \
	for (unsigned int i = 0; !s && i < (count); i++) {                                         \
		const struct lt_attribute *a = &(table)[i];                                        \
		const char *value = (const char *)(now) + a->offset;                               \
                                                                                                   \
		if (memcmp(value, (const char *)(begun) + a->offset, a->size))                     \
			s = (int)(set)(to, a->number, value, a->size);                             \
	}

int lt_far_layout(const struct far *far, const struct pvgpu_lt_layout *l,
		  cublasLtMatrixLayoutOpaque_t *to)
{
	struct pvgpu_lt_layout begun;
	int s = (int)far->lib.cublaslt.cublasLtMatrixLayoutInit_internal(
		to, sizeof(*to), (cudaDataType_t)l->type, l->rows, l->cols, l->ld);

	lt_layout_begin(&begun, l->type, l->rows, l->cols, l->ld);
	SET(far->lib.cublaslt.cublasLtMatrixLayoutSetAttribute, to, l, &begun, lt_layout_attributes,
	    LT_LAYOUT_ATTRIBUTES);
	return s;
}

static int emulation(const struct far *far, const struct pvgpu_lt_emulation *e,
		     cublasLtEmulationDescOpaque_t *to)
{
	struct pvgpu_lt_emulation begun;
	int s;

	if (!far->lib.cublaslt.cublasLtEmulationDescInit_internal ||
	    !far->lib.cublaslt.cublasLtEmulationDescSetAttribute)
		return CUBLAS_STATUS_NOT_SUPPORTED;
	s = (int)far->lib.cublaslt.cublasLtEmulationDescInit_internal(to, sizeof(*to));
	lt_emulation_begin(&begun);
	SET(far->lib.cublaslt.cublasLtEmulationDescSetAttribute, to, e, &begun,
	    lt_emulation_attributes, LT_EMULATION_ATTRIBUTES);
	return s;
}

static int operation(const struct far *far, const struct lt_record *k, struct lt_far *to)
{
	cublasLtEmulationDesc_t emulated = &to->emulation;
	struct pvgpu_lt_operation now = k->op, begun;
	int s = (int)far->lib.cublaslt.cublasLtMatmulDescInit_internal(
		&to->op, sizeof(to->op), (cublasComputeType_t)now.compute_type,
		(cudaDataType_t)now.scale_type);

	lt_operation_begin(&begun, now.compute_type, now.scale_type);
	now.emulation = 0; /* it is not an address of this process */
	SET(far->lib.cublaslt.cublasLtMatmulDescSetAttribute, &to->op, &now, &begun,
	    lt_operation_attributes, LT_OPERATION_ATTRIBUTES);
	if (s || !k->op.emulation)
		return s;
	s = emulation(far, &k->emulation, &to->emulation);
	return s ? s
		 : (int)far->lib.cublaslt.cublasLtMatmulDescSetAttribute(
			   &to->op, LT_ATTRIBUTE_EMULATION, &emulated, sizeof(emulated));
}

int lt_far_problem(const struct far *far, const struct lt_record *k, struct lt_far *to)
{
	int s = operation(far, k, to);

	if (!s)
		s = lt_far_layout(far, &k->a, &to->a);
	if (!s)
		s = lt_far_layout(far, &k->b, &to->b);
	if (!s)
		s = lt_far_layout(far, &k->c, &to->c);
	return s ? s : lt_far_layout(far, &k->d, &to->d);
}

int lt_far_transform(const struct far *far, const struct pvgpu_lt_transform *t,
		     cublasLtMatrixTransformDescOpaque_t *to)
{
	struct pvgpu_lt_transform begun;
	int s = (int)far->lib.cublaslt.cublasLtMatrixTransformDescInit_internal(
		to, sizeof(*to), (cudaDataType_t)t->scale_type);

	lt_transform_begin(&begun, t->scale_type);
	SET(far->lib.cublaslt.cublasLtMatrixTransformDescSetAttribute, to, t, &begun,
	    lt_transform_attributes, LT_TRANSFORM_ATTRIBUTES);
	return s;
}

int lt_far_preference(const struct far *far, const struct pvgpu_lt_preference *p,
		      cublasLtMatmulPreferenceOpaque_t *to)
{
	struct pvgpu_lt_preference begun;
	int s = (int)far->lib.cublaslt.cublasLtMatmulPreferenceInit_internal(to, sizeof(*to));

	lt_preference_begin(&begun);
	SET(far->lib.cublaslt.cublasLtMatmulPreferenceSetAttribute, to, p, &begun,
	    lt_preference_attributes, LT_PREFERENCE_ATTRIBUTES);
	return s;
}
