/* SPDX-License-Identifier: MIT */
/*
 * A session without a worker, for testing the guest's libcuda: commands are executed in the calling
 * thread. Device memory is real memory at the device window, so copies can be checked by content.
 */
#ifndef GUEST_FAKE_H
#define GUEST_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pvgpu_wire.h"

enum { FAKE_FUNCTIONS = 3, FAKE_OPS = 512, FAKE_WINDOW = 64 << 20 };

struct fake {
	unsigned int count[FAKE_OPS]; /* commands of each kind */
	unsigned int marked;          /* of them with a mark */
	uint32_t last_len;            /* the last command */
	_Alignas(8) char last[PVGPU_CMD_MAX];
	int open_result;      /* of the next pvgpu_session_open() */
	int dead;             /* the session's status */
	unsigned int dies_at; /* it is found dead when a one-way command of this kind is posted */
	unsigned int fail_op; /* an awaited command of this kind ... */
	int fail_result;      /* ... gets this result */
	bool hold_marks;      /* a mark is not done until a thread waits for it */
	unsigned int arena_allocs, arena_frees;
	bool arena_full;             /* allocations from the arena fail */
	uint64_t image_len;          /* of the last module_load */
	char image[64];              /* its first bytes */
	struct pvgpu_func_info info; /* of every function */
	struct pvgpu_param_info params[16];
	uint64_t callback_id; /* of the last host_func */
	unsigned int opened, abandoned;
	unsigned int broken; /* pvgpu_broken() was called; allowed with expect_broken */
	bool expect_broken;
	/* Changes a reply before it is delivered, as a hostile backend could. */
	void (*twist)(const struct pvgpu_cmd_hdr *h, void *rep, uint32_t *len);
	bool early_output;    /* device output is announced while the session opens */
	int patience;         /* with which the last awaited command waited */
	unsigned int devices; /* of the session; 0: one */
	uint64_t ended;       /* all commands up to this number, in every stream */
	bool unsound;         /* a context had a fault, or the worker is gone */
	bool same_stream;     /* a new stream has the handle of the last one */
	bool old_worker;      /* says nothing in the ring page */
};
extern struct fake fake;

/* Run the last host function as the session's thread would. */
void fake_callback(uint32_t status);
/* Announce device output, as a reply would. */
void fake_output(void);
/* Number of commands so far. */
unsigned int fake_commands(void);

#endif
