/* SPDX-License-Identifier: MIT */
/* Parts of the step images that have files of their own. */
#ifndef PVGPU_PROBE_STEP_IMAGES_H
#define PVGPU_PROBE_STEP_IMAGES_H

#include "tests/gpu/probe/parts.h"

/* images_fat.c */
void images_fatbins(void); /* PTX in fatbins: plain, LZ4, zstd */
void images_cubin(void);   /* machine code, where a compiler is on the host */
/* images_open.c */
void images_opened(void); /* libraries and files that a first JIT brings */
void images_denied(void); /* with opening denied; the role's name says how */
void images_cache(void);  /* the JIT cache, and its files */
/* images_load.c */
void images_loading(void); /* where the time goes; the environment says lazy or eager */
void images_library(void); /* cuLibrary*, without and with a context */
void images_link(void);    /* cuLink* of two texts */

/* One small kernel as text: store_word(p, value). */
extern const char ptx_store[];
/* Load it, run it: 0, or the first call's CUresult that is not. *ns: of the load. */
int store_run(uint64_t *ns);
/* The same with a module that is there. */
int store_run_in(CUmodule module);

#endif
