/* SPDX-License-Identifier: MIT */
/* Ends for the generated wire code in fuzzers: a worker that checks what it is given and a session
 * that replies at will. */
#ifndef WIRE_END_H
#define WIRE_END_H

#include "pvgpu_wire_test.h"

extern const struct pvgpu_decode wire_end_decode;

struct worker *wire_end_worker(void);
/* Handlers answer result from here on, and nothing has been sent. */
void wire_end_reset(int result);
/* Abort unless what was sent fits the command and run's result. */
void wire_end_check(const struct pvgpu_cmd_desc *d, const struct pvgpu_cmd_hdr *hdr, int result);

struct pvgpu_session *wire_end_session(void);
void wire_end_reply(const void *rec, uint32_t len, int result);
/* Read every byte. */
void wire_end_touch(const void *p, uint64_t len);

#endif
