/* SPDX-License-Identifier: MIT */
/* Records of pvgpu-health: could it be so? Pure. */
#ifndef PVGPU_ACCOUNT_CHECK_H
#define PVGPU_ACCOUNT_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "xen-pvgpu-back/health/health.h"

/* 0, or -1 with what is wrong. now: CLOCK_MONOTONIC. */
int account_check(const struct health_msg *m, uint64_t now, char *why, size_t cap);
/* A record's text with an end, and printable. */
void account_text(const char text[40], char out[41]);

#endif
