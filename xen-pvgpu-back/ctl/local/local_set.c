/* SPDX-License-Identifier: MIT */
/* pvgpuctl set and pardon for the vGPUs of the local link. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "xen-pvgpu-back/ctl/core/ctl.h"
#include "xen-pvgpu-back/ctl/local/local.h"
#include "xen-pvgpu-back/toolstack/site.h"

#define NAME 64

static const struct pvgpu_key *const policy_key = &pvgpu_keys[PVGPU_KEY_BACKEND_POLICY];

/* Fields of the policy that are written together, so that their order does not matter. */
struct policy {
	char text[PVGPU_KEY_TEXT];
	size_t len;
	unsigned int n;
	char name[NAME]; /* of the last */
	const char *value;
};

static int write_key(const char *vgpu, const char *key, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), "/vgpu/%.60s/%.100s", vgpu, key);
	return local_write(2, (char *[]){path, (char *)value, NULL});
}

/* False: it would get too long. */
static bool add(struct policy *p, const char *name, const char *value)
{
	p->len += (size_t)snprintf(p->text + p->len, sizeof(p->text) - p->len, "%s%s=%s",
				   p->n ? " " : "", name, value);
	p->n++;
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->value = value;
	return p->len < sizeof(p->text);
}

static int write_policy(const char *vgpu, const struct policy *p)
{
	if (!p->n)
		return EXIT_DONE;
	return p->n == 1 ? write_key(vgpu, p->name, p->value) : write_key(vgpu, "policy", p->text);
}

/* ---- profiles and tenants ---- */

/* A field that the profile does not name returns to its default. */
static int write_profile(const char *vgpu, const char *policy)
{
	uint64_t v[PVGPU_FIELDS_MAX];
	struct policy p = {0};

	if (pvgpu_record_parse(policy_key, policy, strlen(policy), v, NULL) < 0)
		return EXIT_REFUSED;
	for (uint32_t i = 0; i < policy_key->nfields; i++) {
		char text[NAME];

		if (policy_key->fields[i].live)
			continue;
		pvgpu_field_format(policy_key, &policy_key->fields[i], v[i], text, sizeof(text),
				   NULL);
		if (!add(&p, policy_key->fields[i].name, text))
			return ctl_fail(EXIT_REFUSED, "%s: the policy would get too long", vgpu);
	}
	return write_policy(vgpu, &p);
}

/* --profile and --tenant; the limits on vGPUs of one profile or tenant are those of Xen's guests.
 */
static int set_profile(const char *vgpu)
{
	struct vgpu_spec w = {.profile = ctl.spec.profile};
	char err[VGPU_SPEC_ERROR], memory[PVGPU_KEY_TEXT];
	struct site site;
	int status = EXIT_DONE, r;

	strcpy(w.tenant, ctl.spec.tenant);
	site_read(&site, ctl.site_dir, ini_fault_ignore, NULL);
	r = site_resolve(&site, &w, err);
	if (r)
		status = ctl_fail(ctl_status(r), "%s: %s", vgpu, err);
	if (!status && w.profile.len) {
		pvgpu_backend_memory_format(w.memory, memory, sizeof(memory), NULL);
		status = write_key(vgpu, "memory", memory);
		if (!status)
			status = write_profile(vgpu, w.policy);
	}
	if (!status && w.pool.len)
		status = write_key(vgpu, "pool", w.pool.s);
	site_free(&site);
	return status;
}

/* ---- KEY=VALUE ---- */

/* Its value, and the name in *name; NULL: it is no KEY=VALUE. */
static const char *split(const char *pair, char name[NAME])
{
	const char *value = strchr(pair, '=');

	if (!value || value - pair >= NAME)
		return NULL;
	snprintf(name, NAME, "%.*s", (int)(value - pair), pair);
	return value + 1;
}

static bool is_field(const char *name)
{
	return policy_has(name) && !policy_is_live(name);
}

/* Names are looked at before anything is written. */
static int check(const char *vgpu, const char *pair)
{
	char name[NAME], err[VGPU_SPEC_ERROR];

	if (!split(pair, name))
		return ctl_fail(EXIT_USAGE, "set: '%s' must be KEY=VALUE", pair);
	if (policy_has(name) || !strcmp(name, "memory") || !strcmp(name, "pool"))
		return EXIT_DONE;
	if (!strcmp(name, "profile") || !strcmp(name, "tenant"))
		return ctl_fail(EXIT_USAGE, "%s: give it as --profile NAME or --tenant NAME", vgpu);
	if (vgpu_spec_knows(name))
		return ctl_fail(EXIT_USAGE, "%s: %s: only a VM's vGPU has it", vgpu, name);
	vgpu_spec_unknown(name, NULL, err);
	return ctl_fail(EXIT_USAGE, "%s: %s", vgpu, err);
}

static int set_pairs(const char *vgpu, char **pairs, int n)
{
	struct policy p = {0};
	int status = EXIT_DONE;
	char name[NAME];

	for (int i = 0; i < n && !status; i++)
		status = check(vgpu, pairs[i]);
	for (int i = 0; i < n && !status; i++) {
		const char *value = split(pairs[i], name);

		if (is_field(name) && !add(&p, name, value))
			return ctl_fail(EXIT_USAGE, "%s: the policy would get too long", vgpu);
	}
	if (!status)
		status = write_policy(vgpu, &p);
	for (int i = 0; i < n && !status; i++) {
		const char *value = split(pairs[i], name);

		if (!is_field(name))
			status = write_key(vgpu, name, value);
	}
	return status;
}

int local_set(int argc, char **argv)
{
	int status = EXIT_DONE;

	if (ctl.spec.profile.len || ctl.spec.tenant[0])
		status = set_profile(argv[0]);
	else if (argc < 2)
		return ctl_fail(EXIT_USAGE, "say what to set: KEY=VALUE, --profile or --tenant");
	return status ? status : set_pairs(argv[0], argv + 1, argc - 1);
}

int local_park(int argc, char **argv)
{
	char park[] = "park=1";

	return local_set(2, (char *[]){argv[0], park, NULL});
}

int local_resume(int argc, char **argv)
{
	char park[] = "park=0";

	return local_set(2, (char *[]){argv[0], park, NULL});
}

int local_pardon(int argc, char **argv)
{
	char raise[] = "pardon=+1";

	return local_set(2, (char *[]){argv[0], raise, NULL});
}
