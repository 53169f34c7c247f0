/* SPDX-License-Identifier: MIT */
#ifndef PVGPU_SIMCUDA_PTX_MODULE_H
#define PVGPU_SIMCUDA_PTX_MODULE_H

struct parser;

/* After the last line: lay out shared memory, resolve externs, make the tables that ptx.h shows. */
void module_finish(struct parser *p);

#endif
