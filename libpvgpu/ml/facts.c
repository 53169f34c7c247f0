/* SPDX-License-Identifier: MIT */
/* Fixed facts of the vGPU: a session tells them, which ends at once. */
#include "ml/ml.h"

#include <stdio.h>
#include <string.h>

#include "link/runtime.h"
#include "pvgpu_stubs.h"

static void take_output(void *arg)
{
}

static void take_callback(void *arg, uint64_t id, uint32_t status)
{
}

static const struct pvgpu_session_ops ops = {.callback = take_callback, .output = take_output};

static int ask(struct pvgpu_session *s, struct ml_facts *f)
{
	struct pvgpu_device_attr attr[PVGPU_ATTRS_MAX];
	uint32_t version, devices, uuid_len, name_len, bus_len, attrs_len;
	uint64_t features;
	int32_t driver = 0;
	int r;

	r = pvgpu_do_session_hello(s, 1, PVGPU_PROTOCOL_VERSION, 0, &version, &devices, &features,
				   &driver);
	if (!r)
		r = pvgpu_do_device_snapshot(s, 0, &f->memory, f->uuid, sizeof(f->uuid), &uuid_len,
					     f->name, sizeof(f->name) - 1, &name_len, f->bus_id,
					     sizeof(f->bus_id) - 1, &bus_len, attr, sizeof(attr),
					     &attrs_len);
	if (r)
		return r;
	f->driver_version = driver;
	for (size_t i = 0; i < sizeof(f->attr) / sizeof(f->attr[0]); i++)
		f->attr[i] =
			i < attrs_len / sizeof(attr[0]) && !attr[i].result ? attr[i].value : -1;
	return 0;
}

/* The session runtime below has no threads and no windows: none of its calls needs them. */
static void fetch(struct ml_facts *f)
{
	char reason[PVGPU_LINK_REASON] = "";
	struct ml_figures there;
	struct pvgpu_session *s;
	struct pvgpu_link *l;
	int err;

	/* A link waits for a pvgpud that is being started, or is busy; a monitor does not. */
	f->error = ml_figures(&there);
	if (f->error == NVML_ERROR_GPU_IS_LOST || f->error == NVML_ERROR_TIMEOUT)
		return;
	f->error = NVML_ERROR_UNKNOWN;
	err = pvgpu_link_open(&l, reason);
	if (err) {
		if (pvgpu_link_debug())
			pvgpu_link_explain(err, "nothing to learn of the vGPU", reason);
		return;
	}
	s = pvgpu_session_new(&ops, l);
	if (!s) {
		l->ops->close(l);
		return;
	}
	if (!ask(s, f))
		f->error = NVML_SUCCESS;
	pvgpu_store_release(&s->closing, true);
	pvgpu_session_close(s);
}

const struct ml_facts *ml_facts(void)
{
	static struct ml_facts facts;

	/* A vGPU that takes no session now may take one later. */
	if (!facts.tried || facts.error) {
		memset(&facts, 0, sizeof(facts));
		memset(facts.attr, 0xff, sizeof(facts.attr));
		facts.tried = true;
		fetch(&facts);
	}
	return &facts;
}
