/* SPDX-License-Identifier: MIT */
/* Statuses, for each of the libraries that have cuBLAS's. */
#ifndef PVGPU_CUBLAS_STATUS_H
#define PVGPU_CUBLAS_STATUS_H

#include "cublas/cublas_types.h"

/* The status of a result of the guest's or of the worker's. */
cublasStatus_t blas_status(int result);
const char *blas_status_name(cublasStatus_t status);
const char *blas_status_text(cublasStatus_t status);

#endif
