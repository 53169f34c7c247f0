/* SPDX-License-Identifier: MIT */
#include "smi/smi.h"

#include <string.h>
#include <unistd.h>

/*
 * Processes choose their names, and the backend chooses the GPU's: neither is trusted to be text
 * for a terminal, or to be one line.
 */
static void make_plain(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

static nvmlReturn_t facts(nvmlDevice_t d, struct smi_gpu *g)
{
	nvmlReturn_t r = nvmlDeviceGetName(d, g->name, sizeof(g->name));

	if (!r)
		r = nvmlDeviceGetUUID(d, g->uuid, sizeof(g->uuid));
	if (!r)
		r = nvmlDeviceGetPciInfo_v3(d, &g->pci);
	if (!r)
		r = nvmlDeviceGetCudaComputeCapability(d, &g->major, &g->minor);
	if (!r)
		r = nvmlSystemGetCudaDriverVersion_v2(&g->cuda);
	if (r || nvmlDeviceGetMaxClockInfo(d, NVML_CLOCK_SM, &g->sm_mhz))
		g->sm_mhz = 0;
	if (r || nvmlDeviceGetMaxClockInfo(d, NVML_CLOCK_MEM, &g->memory_mhz))
		g->memory_mhz = 0;
	make_plain(g->name);
	return r;
}

static nvmlReturn_t processes(nvmlDevice_t d, struct smi_gpu *g)
{
	nvmlProcessInfo_t found[SMI_PROCESSES];
	unsigned int n = SMI_PROCESSES;
	const nvmlReturn_t r = nvmlDeviceGetComputeRunningProcesses_v3(d, &n, found);

	for (unsigned int i = 0; !r && i < n; i++) {
		struct smi_process *p = &g->process[g->processes];

		/* Its own session, which told the facts, may end late. */
		if (found[i].pid == (unsigned int)getpid())
			continue;
		p->pid = found[i].pid;
		p->memory = found[i].usedGpuMemory;
		/* One that has ended meanwhile has no name. */
		if (nvmlSystemGetProcessName(p->pid, p->name, sizeof(p->name)))
			continue;
		make_plain(p->name);
		g->processes++;
	}
	return r;
}

static bool is_trouble(nvmlReturn_t r)
{
	return r != NVML_SUCCESS && r != NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t smi_gather(nvmlDevice_t device, unsigned int what, struct smi_gpu *g)
{
	nvmlUtilization_t rates = {0};
	nvmlReturn_t r = NVML_SUCCESS;

	memset(g, 0, sizeof(*g));
	/* A backend that does not answer one question keeps the next waiting as long. */
	if (what & SMI_FACTS)
		r = g->facts = facts(device, g);
	if ((what & SMI_MEMORY) && !smi_is_silent(r))
		r = g->memory_known = nvmlDeviceGetMemoryInfo(device, &g->memory);
	if ((what & SMI_USE) && !smi_is_silent(r))
		r = g->use_known = nvmlDeviceGetUtilizationRates(device, &rates);
	g->use = rates.gpu;
	if ((what & SMI_PROCESS) && !smi_is_silent(r))
		r = g->processes_known = processes(device, g);
	if (smi_is_silent(r))
		return r;
	if (is_trouble(g->memory_known))
		return g->memory_known;
	if (is_trouble(g->use_known))
		return g->use_known;
	if (is_trouble(g->processes_known))
		return g->processes_known;
	return is_trouble(g->facts) ? g->facts : NVML_SUCCESS;
}

bool smi_is_silent(nvmlReturn_t r)
{
	return r == NVML_ERROR_GPU_IS_LOST || r == NVML_ERROR_TIMEOUT;
}

const char *smi_absent(nvmlReturn_t r)
{
	return is_trouble(r) ? "[Unknown Error]" : "[N/A]";
}
