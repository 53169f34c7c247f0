/* SPDX-License-Identifier: MIT */
/* FUZZ_OBJS: xen-pvgpu-back/toolstack/ini_file.c xen-pvgpu-back/toolstack/profiles.c
 * xen-pvgpu-back/toolstack/tenants.c xen-pvgpu-back/toolstack/site.c
 * xen-pvgpu-back/toolstack/xl_config.c xen-pvgpu-back/toolstack/vms.c
 * xen-pvgpu-back/toolstack/vgpu_spec.c xen-pvgpu-back/toolstack/domains.c
 * xen-pvgpu-back/toolstack/store.c tests/unit/keys/fake_xenstore.c xenstore-schema/values.c
 * xenstore-schema/records.c xenstore-schema/nearest.c gen/pvgpu_keys.c */
/* FUZZ_LIBS: -linih */
/* The files of a site: profiles, tenants, and xl's configuration. The first byte says which; each
 * profile and tenant that can be read can be used. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/toolstack/site.h"
#include "xen-pvgpu-back/toolstack/xl_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/dev/shm/fuzz-site.XXXXXX";

static void clean(void)
{
	static const char *const names[] = {PROFILES_FILE, TENANTS_FILE, "x.cfg"};
	char path[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

static const char *put(const char *name, const uint8_t *data, size_t size)
{
	static char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (!f || fwrite(data, 1, size, f) != size || fclose(f))
		abort();
	return path;
}

static void told(void *arg, const char *text)
{
	if (!text[0])
		abort();
	++*(unsigned int *)arg;
}

static void use(const struct site *s)
{
	char err[VGPU_SPEC_ERROR];

	for (size_t i = 0; i < s->profiles.n; i++) {
		struct vgpu_spec w = {.memory = 1};

		pvgpu_text_set(&w.profile, s->profiles.v[i].name, strlen(s->profiles.v[i].name));
		if (s->tenants.n && tenant_name_ok(s->tenants.v[0].name))
			strcpy(w.tenant, s->tenants.v[0].name);
		profile_allows(&s->profiles.v[i], "NVIDIA H200");
		if (site_resolve(s, &w, err) == 0 &&
		    pvgpu_key_check(&pvgpu_keys[PVGPU_KEY_BACKEND_POLICY], w.policy,
				    strlen(w.policy), NULL))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool made;
	unsigned int faults = 0;
	struct site s;
	struct vm_conf c;
	char err[VMS_ERROR] = "";
	int n;

	if (!made && !mkdtemp(dir))
		abort();
	if (!made)
		atexit(clean);
	made = true;
	if (!size || size > 1 << 14)
		return 0;
	if (data[0] == 'x') {
		n = xl_config_read(&c, put("x.cfg", data + 1, size - 1), err);
		if ((n < 0) != !!err[0] || n > 1)
			abort();
		if (n == 1)
			vm_conf_free(&c);
		return 0;
	}
	put(data[0] == 't' ? TENANTS_FILE : PROFILES_FILE, data + 1, size - 1);
	n = site_read(&s, dir, told, &faults);
	if (n < 0 || (unsigned int)n != faults)
		abort();
	use(&s);
	site_free(&s);
	return 0;
}
