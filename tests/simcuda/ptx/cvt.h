/* SPDX-License-Identifier: MIT */
/* The kind of a conversion, packed into insn.x above the FLOAT_* flags. */
#ifndef PVGPU_SIMCUDA_PTX_CVT_H
#define PVGPU_SIMCUDA_PTX_CVT_H

#define CVT_ROUNDED  0x100u
#define CVT_INTEGRAL 0x200u /* round to an integer, even when the result is a float */
#define CVT_AWAY     0x400u /* ties away from zero */
#define CVT_FINITE   0x800u /* what is too large becomes the largest number */

#define CVT_TYPES(dt, st, dc, sc)                                                                  \
	((uint32_t)(dt) << 16 | (uint32_t)(st) << 21 | (uint32_t)(dc) << 26 | (uint32_t)(sc) << 28)
#define CVT_DT(x) ((enum type)((x) >> 16 & 31))
#define CVT_ST(x) ((enum type)((x) >> 21 & 31))
#define CVT_DC(x) ((enum cls)((x) >> 26 & 3))
#define CVT_SC(x) ((enum cls)((x) >> 28 & 3))

#endif
