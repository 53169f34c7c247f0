/* SPDX-License-Identifier: MIT */
/*
 * NVML reports a process's GPU time in percent of the driver's sampling periods, with a time stamp
 * each. The length of a period is not documented beyond 1/6 to 1 s, and a period in which a process
 * was idle has no sample. So a sample is taken to cover the time since the driver last sampled any
 * process on that GPU. If that is longer than usual, or longer than any period can be, samples are
 * missing in between, and the sample covers the shortest period only. Where the numbers leave
 * doubt, the estimate is in the process's favour.
 */
#include <stdbool.h>

#include "xen-pvgpu-back/health/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "xen-pvgpu-back/contract/log.h"
#include "xen-pvgpu-back/health/facts.h"

#define PERIOD_MAX_US  1250000ull /* of one sample: a second, and how late its end may be */
#define PERIOD_MIN_US  166000ull
#define SAME_US        20000ull /* stamps of one period differ by less */
#define SAMPLES        (4 * SAMPLE_PROCESSES)
#define CLOCK_TRIES    8u
#define STATE_ROUNDS   10u /* sensors are read in one of so many rounds */
#define CLOCK_APART_NS 1000000u
#define FACTS_EVERY_NS 10000000000u /* guests learn of a change no sooner */
#define FACTS_PARTS    ((sizeof(struct pvgpu_gpu_card) + HEALTH_PART - 1) / HEALTH_PART)

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t sample_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static struct health_msg *add(struct sample *s, enum health_kind kind, unsigned int device)
{
	struct health_msg *m = &s->out[s->out_n];

	if (s->out_n < s->out_cap)
		s->out_n++;
	else
		m--; /* out_cap covers a full round; this is a safeguard */
	*m = (struct health_msg){.kind = kind, .device = device, .at_ns = sample_now()};
	return m;
}

/* Events are optional: without them Xids are not reported, all else works. */
static void watch_events(struct sample *s)
{
	struct nvml *n = s->nvml;
	bool any = false;

	if (n->nvmlEventSetCreate(&s->events) != NVML_SUCCESS) {
		s->events = NULL;
		return;
	}
	for (unsigned int i = 0; i < n->device_n; i++) {
		unsigned long long types = 0;

		if (n->nvmlDeviceGetSupportedEventTypes(s->gpu[i].device, &types) != NVML_SUCCESS)
			continue;
		types &= nvmlEventTypeXidCriticalError;
		if (types &&
		    n->nvmlDeviceRegisterEvents(s->gpu[i].device, types, s->events) == NVML_SUCCESS)
			any = true;
	}
	if (any)
		return;
	n->nvmlEventSetFree(s->events);
	s->events = NULL;
}

static void say_name(struct nvml *n, unsigned int i, nvmlDevice_t device)
{
	char name[NVML_DEVICE_NAME_BUFFER_SIZE + 1] = "";

	if (n->nvmlDeviceGetName(device, name, sizeof(name) - 1) == NVML_SUCCESS)
		log_info("GPU %u: %s, driver %s", i, name, n->driver);
}

/* A pool's `device` may name the GPU by its UUID. */
static void add_uuid(struct sample *s, unsigned int i)
{
	char uuid[NVML_DEVICE_UUID_BUFFER_SIZE] = "";
	struct health_msg *m = add(s, HEALTH_GPU, i);

	if (s->nvml->nvmlDeviceGetUUID(s->gpu[i].device, uuid, sizeof(uuid)) == NVML_SUCCESS)
		memcpy(m->text, uuid, sizeof(m->text));
}

int sample_open(struct sample *s, struct nvml *n, char *reason, size_t cap)
{
	*s = (struct sample){.nvml = n};
	s->out_cap = n->device_n * (SAMPLE_PROCESSES + 3 + (unsigned int)FACTS_PARTS) + 2;
	s->gpu = calloc(n->device_n ? n->device_n : 1, sizeof(*s->gpu));
	s->out = calloc(s->out_cap, sizeof(*s->out));
	if (!s->gpu || !s->out) {
		snprintf(reason, cap, "out of memory");
		return -1;
	}
	for (unsigned int i = 0; i < n->device_n; i++) {
		nvmlReturn_t r = n->nvmlDeviceGetHandleByIndex_v2(i, &s->gpu[i].device);

		if (r == NVML_SUCCESS) {
			say_name(n, i, s->gpu[i].device);
			add_uuid(s, i);
			continue;
		}
		snprintf(reason, cap, "nvmlDeviceGetHandleByIndex %u: %s", i, nvml_text(r));
		return -1;
	}
	watch_events(s);
	return 0;
}

/* Adds the process if it is new; NULL: the table is full. */
static struct sample_process *find(struct sample *s, unsigned int device, unsigned int pid)
{
	struct sample_gpu *g = &s->gpu[device];
	struct sample_process *p = NULL;

	for (unsigned int i = 0; i < g->n && !p; i++)
		if (g->process[i].pid == pid)
			p = &g->process[i];
	if (!p && g->n < SAMPLE_PROCESSES) {
		p = &g->process[g->n++];
		*p = (struct sample_process){.pid = pid, .round = s->round - 1};
	}
	if (p && p->round != s->round) {
		p->round = s->round;
		p->msg = (struct health_msg){.kind = HEALTH_PROCESS,
					     .device = device,
					     .pid = pid,
					     .at_ns = sample_now(),
					     .process.memory = HEALTH_UNKNOWN};
	}
	return p;
}

/* Drops processes that this round has not seen. */
static void forget(struct sample *s, struct sample_gpu *g)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < g->n; i++)
		if (g->process[i].round == s->round)
			g->process[kept++] = g->process[i];
	g->n = kept;
}

static bool is_gone(struct sample *s, nvmlReturn_t r)
{
	if (r != NVML_ERROR_GPU_IS_LOST && r != NVML_ERROR_UNINITIALIZED)
		return false;
	s->lost = true;
	s->why = r;
	return true;
}

static void read_memory(struct sample *s, unsigned int device)
{
	nvmlProcessInfo_t info[SAMPLE_PROCESSES];
	unsigned int n = SAMPLE_PROCESSES;
	nvmlMemory_t m;
	nvmlReturn_t r = s->nvml->nvmlDeviceGetMemoryInfo(s->gpu[device].device, &m);

	if (is_gone(s, r))
		return;
	if (r == NVML_SUCCESS) {
		struct health_msg *out = add(s, HEALTH_DEVICE, device);

		out->device_memory.total = m.total;
		out->device_memory.used = m.used;
	}
	r = s->nvml->nvmlDeviceGetComputeRunningProcesses_v3(s->gpu[device].device, &n, info);
	if (r != NVML_SUCCESS || is_gone(s, r))
		return;
	for (unsigned int i = 0; i < n && i < SAMPLE_PROCESSES; i++) {
		struct sample_process *p = find(s, device, info[i].pid);

		if (p)
			p->msg.process.memory = info[i].usedGpuMemory;
	}
}

/* The answer, or UINT32_MAX for what the GPU or the driver has not. */
static uint32_t number(nvmlReturn_t r, const unsigned int *n)
{
	return r == NVML_SUCCESS ? *n : UINT32_MAX;
}

static uint64_t errors(struct nvml *n, nvmlDevice_t d, int type)
{
	unsigned long long count = 0;

	if (!n->nvmlDeviceGetTotalEccErrors ||
	    n->nvmlDeviceGetTotalEccErrors(d, type, NVML_VOLATILE_ECC, &count) != NVML_SUCCESS)
		return HEALTH_UNKNOWN;
	return count;
}

static void read_state(struct sample *s, unsigned int device)
{
	struct nvml *n = s->nvml;
	const nvmlDevice_t d = s->gpu[device].device;
	struct health_msg *m = add(s, HEALTH_STATE, device);
	unsigned int v = 0;

	m->state.celsius = m->state.milliwatts = m->state.sm_mhz = m->state.memory_mhz = UINT32_MAX;
	m->state.limit_milliwatts = m->state.persistence = UINT32_MAX;
	if (n->nvmlDeviceGetTemperature)
		m->state.celsius =
			number(n->nvmlDeviceGetTemperature(d, NVML_TEMPERATURE_GPU, &v), &v);
	if (n->nvmlDeviceGetPowerUsage)
		m->state.milliwatts = number(n->nvmlDeviceGetPowerUsage(d, &v), &v);
	if (n->nvmlDeviceGetEnforcedPowerLimit)
		m->state.limit_milliwatts = number(n->nvmlDeviceGetEnforcedPowerLimit(d, &v), &v);
	if (n->nvmlDeviceGetPersistenceMode && !n->nvmlDeviceGetPersistenceMode(d, &v))
		m->state.persistence = v == 1;
	if (n->nvmlDeviceGetClockInfo) {
		m->state.sm_mhz = number(n->nvmlDeviceGetClockInfo(d, NVML_CLOCK_SM, &v), &v);
		m->state.memory_mhz = number(n->nvmlDeviceGetClockInfo(d, NVML_CLOCK_MEM, &v), &v);
	}
	m->state.corrected = errors(n, d, NVML_MEMORY_ERROR_TYPE_CORRECTED);
	m->state.uncorrected = errors(n, d, NVML_MEMORY_ERROR_TYPE_UNCORRECTED);
	s->gpu[device].state = *m;
}

static uint64_t field(const nvmlFieldValue_t *f)
{
	if (f->nvmlReturn != NVML_SUCCESS)
		return HEALTH_UNKNOWN;
	return f->valueType == NVML_VALUE_TYPE_UNSIGNED_INT ? (uint32_t)f->value : f->value;
}

static void read_pcie(struct sample *s, unsigned int device)
{
	nvmlFieldValue_t f[2] = {{.fieldId = NVML_FI_DEV_PCIE_COUNT_TX_BYTES},
				 {.fieldId = NVML_FI_DEV_PCIE_COUNT_RX_BYTES}};
	const struct nvml *n = s->nvml;
	const nvmlDevice_t d = s->gpu[device].device;
	struct health_msg *m = add(s, HEALTH_PCIE, device);
	nvmlPciInfo_t at;
	unsigned int v = 0;

#define LINK(call) (n->call ? number(n->call(d, &v), &v) : UINT32_MAX)
	m->pcie.generation = LINK(nvmlDeviceGetCurrPcieLinkGeneration);
	m->pcie.width = LINK(nvmlDeviceGetCurrPcieLinkWidth);
	m->pcie.most_generation = LINK(nvmlDeviceGetMaxPcieLinkGeneration);
	m->pcie.most_width = LINK(nvmlDeviceGetMaxPcieLinkWidth);
#undef LINK
	m->pcie.domain = m->pcie.slot = UINT32_MAX;
	if (n->nvmlDeviceGetPciInfo_v3 && n->nvmlDeviceGetPciInfo_v3(d, &at) == NVML_SUCCESS) {
		m->pcie.domain = at.domain;
		m->pcie.slot = at.bus << 8 | at.device << 3;
	}
	m->pcie.sent = m->pcie.received = HEALTH_UNKNOWN;
	/* nvmlDeviceGetPcieThroughput waits for 20 ms: facts.c asks it less often. */
	if (n->nvmlDeviceGetFieldValues && n->nvmlDeviceGetFieldValues(d, 2, f) == NVML_SUCCESS) {
		m->pcie.sent = field(&f[0]);
		m->pcie.received = field(&f[1]);
	}
	s->gpu[device].pcie = *m;
}

/* In parts, since records are of one size. */
static void read_facts(struct sample *s, unsigned int device)
{
	struct sample_gpu *g = &s->gpu[device];
	const uint64_t now = sample_now();
	unsigned char all[FACTS_PARTS * HEALTH_PART] = {0};
	struct pvgpu_gpu_card facts;

	if (g->facts_ns && now - g->facts_ns < FACTS_EVERY_NS)
		return;
	/* The records of the first round are not sent: it only loads files that NVML needs. */
	if (s->round > 1)
		g->facts_ns = now;
	facts_read(s->nvml, g->device, &g->state, &g->pcie, &facts);
	memcpy(all, &facts, sizeof(facts));
	for (unsigned int i = 0; i < FACTS_PARTS; i++) {
		struct health_msg *m = add(s, HEALTH_FACTS, device);

		m->code = i * HEALTH_PART;
		memcpy(m->part, all + m->code, HEALTH_PART);
	}
}

static int by_stamp(const void *a, const void *b)
{
	const nvmlProcessUtilizationSample_t *x = a, *y = b;

	return x->timeStamp < y->timeStamp ? -1 : x->timeStamp > y->timeStamp;
}

/* Converts CLOCK_REALTIME in us to CLOCK_MONOTONIC in ns; a time in the future becomes now. */
static uint64_t monotonic(uint64_t us, uint64_t real_ns, uint64_t mono_ns)
{
	uint64_t ago = us * 1000 < real_ns ? real_ns - us * 1000 : 0;

	return ago < mono_ns ? mono_ns - ago : 0;
}

/* The driver has taken samples at that time. */
static void sampled(struct sample_gpu *g, uint64_t us)
{
	uint64_t period = us > g->ended ? us - g->ended : 0;
	uint64_t usual = g->shortest ? g->shortest : PERIOD_MIN_US;

	if (period <= SAME_US)
		return;
	/* A query in between found no sample: either all processes were idle, or samples are
	 * missing. */
	g->gap = !g->ended || (g->asked && period > usual + usual / 2);
	if (g->ended && (!g->shortest || period < g->shortest))
		g->shortest = period;
	g->asked = false;
	g->began = g->ended;
	g->ended = us;
}

/* The time that the sample covers. */
static uint64_t span_of(const struct sample_gpu *g, const struct sample_process *p, uint64_t us)
{
	bool known = g->began < us && !g->gap;
	uint64_t span = us - (known && g->began > p->stamp ? g->began : p->stamp);

	if (!known || span > PERIOD_MAX_US)
		return span < PERIOD_MIN_US ? span : PERIOD_MIN_US;
	return span;
}

static void use(const struct sample_gpu *g, struct sample_process *p,
		const nvmlProcessUtilizationSample_t *u, uint64_t real_ns, uint64_t mono_ns)
{
	struct health_msg *m = &p->msg;
	uint64_t span;

	/* The first sample of a process only starts the clock. */
	if (!p->stamp || u->timeStamp <= p->stamp) {
		p->stamp = u->timeStamp > p->stamp ? u->timeStamp : p->stamp;
		return;
	}
	span = span_of(g, p, u->timeStamp);
	if (!m->process.end_ns)
		m->process.begin_ns = monotonic(u->timeStamp - span, real_ns, mono_ns);
	m->process.end_ns = monotonic(u->timeStamp, real_ns, mono_ns);
	m->process.busy_ns += span * 10u * (u->smUtil < 100 ? u->smUtil : 100);
	m->process.memory_ns += span * 10u * (u->memUtil < 100 ? u->memUtil : 100);
	p->stamp = u->timeStamp;
}

/* Reads both clocks again when this process was preempted between the two readings. */
static void read_clocks(uint64_t *real_ns, uint64_t *mono_ns)
{
	unsigned int tries = 0;

	do {
		*mono_ns = sample_now();
		*real_ns = clock_ns(CLOCK_REALTIME);
	} while (sample_now() - *mono_ns > CLOCK_APART_NS && ++tries < CLOCK_TRIES);
}

static void read_utilisation(struct sample *s, unsigned int device)
{
	static nvmlProcessUtilizationSample_t u[SAMPLES];
	struct sample_gpu *g = &s->gpu[device];
	unsigned int n = SAMPLES;
	uint64_t real, mono;
	nvmlReturn_t r = s->nvml->nvmlDeviceGetProcessUtilization(g->device, u, &n, g->last_seen);

	read_clocks(&real, &mono);
	/* NVML answers NOT_FOUND when there is no new sample. */
	if (r != NVML_SUCCESS || is_gone(s, r)) {
		g->asked = true;
		return;
	}
	n = n < SAMPLES ? n : SAMPLES;
	qsort(u, n, sizeof(*u), by_stamp);
	for (unsigned int i = 0; i < n; i++) {
		/* Some drivers fill the rest of the array with zeroes. */
		struct sample_process *p = u[i].timeStamp ? find(s, device, u[i].pid) : NULL;

		/* A sample of any process marks the end of a period. */
		if (u[i].timeStamp)
			sampled(g, u[i].timeStamp);
		if (p)
			use(g, p, &u[i], real, mono);
		if (u[i].timeStamp > g->last_seen)
			g->last_seen = u[i].timeStamp;
	}
}

int sample_round(struct sample *s)
{
	s->out_n = 0;
	s->round++;
	for (unsigned int d = 0; d < s->nvml->device_n && !s->lost; d++) {
		struct sample_gpu *g = &s->gpu[d];

		read_utilisation(s, d);
		read_memory(s, d);
		if (s->round % STATE_ROUNDS == 1) {
			read_state(s, d);
			read_pcie(s, d);
		}
		read_facts(s, d);
		forget(s, g);
		for (unsigned int i = 0; i < g->n; i++)
			*add(s, HEALTH_PROCESS, d) = g->process[i].msg;
	}
	add(s, HEALTH_ROUND, 0);
	return s->lost ? -1 : 0;
}

static unsigned int index_of(const struct sample *s, nvmlDevice_t device)
{
	unsigned int i = 0;

	while (i + 1 < s->nvml->device_n && s->gpu[i].device != device)
		i++;
	return i;
}

bool sample_wait(struct sample *s, unsigned int ms)
{
	const struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
	nvmlEventData_t e = {0};
	struct health_msg *m;
	nvmlReturn_t r;

	s->out_n = 0;
	if (!s->events) {
		nanosleep(&t, NULL);
		return false;
	}
	r = s->nvml->nvmlEventSetWait_v2(s->events, &e, ms);
	if (r != NVML_SUCCESS && r != NVML_ERROR_TIMEOUT) {
		/* Further calls would fail at once, and the loop would spin. */
		s->nvml->nvmlEventSetFree(s->events);
		s->events = NULL;
		nanosleep(&t, NULL);
	}
	if (r != NVML_SUCCESS || !(e.eventType & nvmlEventTypeXidCriticalError))
		return false;
	m = add(s, HEALTH_XID, index_of(s, e.device));
	m->code = (uint32_t)e.eventData;
	return true;
}
