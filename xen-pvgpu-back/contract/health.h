/* SPDX-License-Identifier: MIT */
/* Records that pvgpu-health sends pvgpud on a socket: all of one size, a round in one write. Each
 * round ends with HEALTH_ROUND, which is also the sign of life. pvgpud checks every field. */
#ifndef PVGPU_HEALTH_H
#define PVGPU_HEALTH_H

#include <assert.h>
#include <stdint.h>

#define HEALTH_VERSION 2u
#define HEALTH_DEVICES 64u
#define HEALTH_PART    40u /* bytes of a record's facts */

enum health_kind {
	HEALTH_HELLO = 1, /* the first record: code = HEALTH_VERSION, device = number of GPUs, text
			     = the driver's version */
	HEALTH_GPU,       /* each GPU, once: text = its UUID */
	HEALTH_TROUBLE,   /* NVML cannot be used; text: why, continued in further records of this
			     kind. pvgpu-health exits */
	HEALTH_DEVICE,    /* a GPU's memory */
	HEALTH_PROCESS,   /* a process on a GPU */
	HEALTH_XID,       /* code: an Xid that the GPU has reported */
	HEALTH_ROUND,     /* the end of a round */
	HEALTH_STATE,     /* a GPU's sensors and counters of errors, in some rounds */
	HEALTH_PCIE,      /* its link, beside that */
	HEALTH_FACTS, /* a part of what a GPU tells of itself, in some rounds: the bytes of struct
			 pvgpu_gpu_card from `code` on. Its last part completes it */
	HEALTH_KINDS
};

#define HEALTH_UNKNOWN UINT64_MAX

struct health_msg {
	uint32_t kind;
	uint32_t device; /* NVML's number of the GPU */
	uint32_t pid;
	uint32_t code;
	uint64_t at_ns; /* CLOCK_MONOTONIC when the value was read or the record made */
	union {
		/* From begin_ns to end_ns (CLOCK_MONOTONIC) the process's kernels ran for busy_ns
		 * and the GPU's memory was in use for it for memory_ns. end_ns 0: nothing new. */
		struct {
			uint64_t begin_ns, end_ns, busy_ns, memory_ns;
			uint64_t memory; /* bytes; HEALTH_UNKNOWN: not known */
		} process;
		struct {
			uint64_t total, used; /* bytes */
		} device_memory;
		/* HEALTH_UNKNOWN: the GPU or the driver has none. */
		struct {
			uint32_t celsius, milliwatts, sm_mhz, memory_mhz; /* UINT32_MAX likewise */
			uint32_t limit_milliwatts;
			uint32_t persistence; /* its mode, 1: on */
			uint64_t corrected,
				uncorrected; /* memory errors since the driver was loaded */
		} state;
		/* UINT32_MAX and HEALTH_UNKNOWN likewise. */
		struct {
			uint32_t domain, slot; /* its address: bus << 8 | device << 3 */
			uint32_t generation, width, most_generation, most_width;
			uint64_t sent, received; /* bytes, by the GPU; the driver's counters wrap */
		} pcie;
		unsigned char part[HEALTH_PART];
		char text[40]; /* without a NUL when all 40 bytes are used */
	};
};

static_assert(sizeof(struct health_msg) == 64, "records do not straddle");

#endif
