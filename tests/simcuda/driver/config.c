/* SPDX-License-Identifier: MIT */
/* The environment's settings; docs in tests/simcuda/README.md. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/simcuda/driver/sim.h"

struct sim_config sim_config;

static uint64_t setting(const char *name, uint64_t fallback, uint64_t min, uint64_t max)
{
	const char *text = getenv(name);
	uint64_t v;
	char *end;

	if (!text || !*text)
		return fallback;
	v = strtoull(text, &end, 0);
	switch (*end) {
	case 'k':
	case 'K':
		v <<= 10, end++;
		break;
	case 'm':
	case 'M':
		v <<= 20, end++;
		break;
	case 'g':
	case 'G':
		v <<= 30, end++;
		break;
	default:
		break;
	}
	if (*end || v < min || v > max) {
		fprintf(stderr, "simcuda: %s=%s: not a number from %llu to %llu; using %llu\n",
			name, text, (unsigned long long)min, (unsigned long long)max,
			(unsigned long long)fallback);
		return fallback;
	}
	return v;
}

static uint32_t compute_capability(void)
{
	const char *text = getenv("SIMCUDA_CC");
	unsigned int major, minor = 0;

	if (!text || !*text)
		return 90;
	if (sscanf(text, "%u.%u", &major, &minor) == 2 && major < 100 && minor < 10)
		return major * 10 + minor;
	if (sscanf(text, "%u", &major) == 1 && major >= 50 && major < 1000)
		return major;
	fprintf(stderr, "simcuda: SIMCUDA_CC=%s: not like 9.0; using 9.0\n", text);
	return 90;
}

/* Gigabytes a second. */
static double link_rate(void)
{
	const char *text = getenv("SIMCUDA_LINK_GBPS");
	double v;
	char *end;

	if (!text || !*text)
		return 0;
	v = strtod(text, &end);
	if (!*end && (v == 0 || (v >= 0.001 && v <= 10000)))
		return v;
	fprintf(stderr,
		"simcuda: SIMCUDA_LINK_GBPS=%s: neither 0 nor from 0.001 to 10000; using 0\n",
		text);
	return 0;
}

/* The first existing device of CUDA_VISIBLE_DEVICES; -1: none. */
static int visible_device(void)
{
	uint64_t n = setting("SIMCUDA_DEVICES", 1, 1, 64);
	const char *text = getenv("CUDA_VISIBLE_DEVICES");
	unsigned long first;
	char *end;

	if (!text)
		return 0;
	if (*text < '0' || *text > '9')
		return -1;
	first = strtoul(text, &end, 10);
	return (*end && *end != ',') || first >= n ? -1 : (int)first;
}

static void set_path(struct sim_config *c)
{
	const char *path = getenv("SIMCUDA_GPU");
	size_t n;

	if (path && *path)
		snprintf(c->gpu, sizeof(c->gpu), "%s", path);
	else
		snprintf(c->gpu, sizeof(c->gpu), "/dev/shm/pvgpu-simcuda-%u",
			 (unsigned int)getuid());
	n = strlen(c->gpu);
	if (c->device > 0)
		snprintf(c->gpu + n, sizeof(c->gpu) - n, ".%d", c->device);
}

void sim_config_read(void)
{
	struct sim_config *c = &sim_config;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	c->device = visible_device();
	set_path(c);
	c->memory = setting("SIMCUDA_MEMORY", 2ull << 30, 8ull << 20, 1ull << 44);
	c->memory &= ~(SIM_GRANULARITY - 1);
	c->context_bytes = setting("SIMCUDA_CONTEXT_MEMORY", 0, 0, 1ull << 40);
	c->sms = (uint32_t)setting("SIMCUDA_SMS", 16, 1, 1024);
	c->cc = compute_capability();
	c->speed = (uint32_t)setting("SIMCUDA_SPEED", 100, 1, 100);
	c->instruction_ns = (uint32_t)setting("SIMCUDA_INSTRUCTION_NS", 0, 0, 100000);
	c->link_gbps = link_rate();
	c->threads = (uint32_t)setting("SIMCUDA_THREADS", cpus > 0 ? (uint64_t)cpus : 1, 1, 256);
	c->ecc = setting("SIMCUDA_ECC", 1, 0, 1);
	c->hmm = setting("SIMCUDA_HMM", 0, 0, 1);
	c->page_bounds = setting("SIMCUDA_PAGE_BOUNDS", 0, 0, 1);
	c->slice_us = (uint32_t)setting("SIMCUDA_SLICE_US", 2000, 100, 10000000);
	c->turn = (uint32_t)setting("SIMCUDA_TURN", 0, 0, 1 << 20);
}
