/* SPDX-License-Identifier: MIT */
/* pvgpu-smi: what the management library says of the vGPU, as a table, as CSV or as JSON. */
#ifndef PVGPU_SMI_H
#define PVGPU_SMI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "nvml/nvml_more.h"

#define SMI_PROCESSES 256u

/* Parts to ask for: the rest costs nothing. */
enum {
	SMI_FACTS = 1, /* a session, which ends at once */
	SMI_MEMORY = 2,
	SMI_USE = 4, /* may wait for a second reading */
	SMI_PROCESS = 8,
	SMI_ALL = 15,
};

struct smi_process {
	unsigned int pid;
	unsigned long long memory; /* bytes; NVML_VALUE_NOT_AVAILABLE */
	char name[256];
};

/* A part is valid when its result is NVML_SUCCESS. */
struct smi_gpu {
	nvmlReturn_t facts;
	char name[NVML_DEVICE_NAME_BUFFER_SIZE * 4], uuid[NVML_DEVICE_UUID_BUFFER_SIZE];
	nvmlPciInfo_t pci;
	int major, minor, cuda;
	unsigned int sm_mhz, memory_mhz; /* the most; 0: not known */
	nvmlReturn_t memory_known;
	nvmlMemory_t memory;
	nvmlReturn_t use_known;
	unsigned int use; /* percent */
	nvmlReturn_t processes_known;
	unsigned int processes;
	struct smi_process process[SMI_PROCESSES];
};

/* The first result that is neither success nor "not supported"; NVML_SUCCESS: all is well. */
nvmlReturn_t smi_gather(nvmlDevice_t device, unsigned int what, struct smi_gpu *g);
/* Does this result say that the backend does not answer? */
bool smi_is_silent(nvmlReturn_t r);
/* The text in place of an unknown value. */
const char *smi_absent(nvmlReturn_t r);

/* table.c */
void smi_list(FILE *out, const struct smi_gpu *g);
void smi_table(FILE *out, const struct smi_gpu *g);
void smi_json(FILE *out, const struct smi_gpu *g);

/* query.c */
enum { SMI_COLUMNS = 128 };
struct smi_query {
	bool apps; /* a row for each process */
	bool header, units;
	unsigned int n, column[SMI_COLUMNS];
	unsigned int what; /* SMI_* that the columns need */
};
/* 0, or -1 after a line on stderr. */
int smi_query_columns(struct smi_query *q, char *names);
int smi_query_format(struct smi_query *q, char *words);
void smi_query_header(FILE *out, const struct smi_query *q);
void smi_query_rows(FILE *out, const struct smi_query *q, const struct smi_gpu *g);
void smi_query_help(FILE *out, bool apps);

#endif
