/* SPDX-License-Identifier: MIT */
/* FUZZ_OBJS: xen-pvgpu-back/daemon/admin_json.c xen-pvgpu-back/daemon/tree.c
 * xen-pvgpu-back/daemon/log.c xenstore-schema/values.c xenstore-schema/records.c gen/pvgpu_keys.c
 */
/* FUZZ_LIBS: -ljansson */
/* A line on pvgpud's admin socket: every answer is one line of JSON that says whether it is well.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/admin_json.h"
#include "xen-pvgpu-back/daemon/daemon.h"
#include "xen-pvgpu-back/daemon/xenbus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct daemon d;
static struct vgpu vgpus[2];
static struct worker worker;
static struct xen_vgpu guest;

uint64_t now_ms(void)
{
	return 1000000;
}

uint64_t vgpu_quota(const struct vgpu *v)
{
	return v->ledger.quota;
}

void vgpu_drain(struct vgpu *v, bool on)
{
	v->drain = on;
}

struct vgpu *daemon_vgpu(struct daemon *dm, const char *name)
{
	for (unsigned int i = 0; i < dm->vgpu_n; i++)
		if (!strcmp(dm->vgpus[i]->cfg.name, name))
			return dm->vgpus[i];
	return NULL;
}

static void set_up(void)
{
	static struct vgpu *list[2] = {&vgpus[0], &vgpus[1]};

	d.vgpus = list;
	d.vgpu_n = 2;
	TAILQ_INIT(&d.workers);
	for (unsigned int i = 0; i < 2; i++) {
		vgpus[i].d = &d;
		snprintf(vgpus[i].cfg.name, sizeof(vgpus[i].cfg.name), "vgpu%u", i);
		strcpy(vgpus[i].cfg.socket, "/run/pvgpu/x.sock");
	}
	guest.domid = 3;
	guest.state = PVGPU_STATE_CONNECTED;
	vgpus[1].xen = &guest;
	worker.d = &d;
	worker.vgpu = &vgpus[0];
	worker.id = 7;
	worker.state = CHECK_SERVING;
	TAILQ_INSERT_TAIL(&d.workers, &worker, link);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *answer;
	char *text;

	if (!d.vgpu_n)
		set_up();
	if (size > ADMIN_LINE_MAX)
		return 0;
	text = admin_answer(&d, (const char *)data, size);
	if (!text)
		return 0;
	if (!text[0] || strchr(text, '\n') != text + strlen(text) - 1)
		abort();
	answer = json_loads(text, 0, NULL);
	if (!json_is_object(answer) || !json_is_boolean(json_object_get(answer, "ok")))
		abort();
	json_decref(answer);
	free(text);
	return 0;
}
