/* SPDX-License-Identifier: MIT */
/* Each field of a vGPU's policy has the same bounds at every door: xenstore's key, pvgpud.conf and
 * --vgpu, the admin socket's tree (both by config_vgpu_key), pvgpuctl's options and `set`. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/toolstack/vgpu_spec.h"
#include "xen-pvgpu-back/daemon/config/config.h"

static const struct pvgpu_key *const policy = &pvgpu_keys[PVGPU_KEY_BACKEND_POLICY];

static bool key_takes(const char *name, const char *value)
{
	struct pvgpu_backend_policy p;
	char text[160];

	snprintf(text, sizeof(text), "%s=%s", name, value);
	return pvgpu_backend_policy_parse(text, strlen(text), &p, NULL) == 0;
}

static bool option_takes(const char *name, const char *value)
{
	char text[PVGPU_KEY_TEXT] = "", err[VGPU_SPEC_ERROR];

	return policy_set(text, name, value, err) == 0;
}

static bool conf_takes(const char *name, const char *value, uint64_t *stored,
		       char error[CONFIG_ERROR])
{
	const struct pvgpu_field *f = pvgpu_field_find(policy, name);
	char arg[200];
	struct config c;
	bool taken;

	config_init(&c);
	snprintf(arg, sizeof(arg), "a:%s=%s", name, value);
	taken = config_vgpu(&c, arg, error) == 0;
	if (taken)
		*stored = pvgpu_field_get(f, &c.vgpus[0].policy);
	config_free(&c);
	return taken;
}

static void all_doors(const char *name, const char *value, bool good, uint64_t number)
{
	char error[CONFIG_ERROR] = "", conf_name[64];
	uint64_t stored = ~number;

	ck_assert_msg(key_takes(name, value) == good, "xenstore: %s=%s", name, value);
	ck_assert_msg(option_takes(name, value) == good, "pvgpuctl: %s=%s", name, value);
	snprintf(conf_name, sizeof(conf_name), "%s", name);
	for (char *p = conf_name; *p; p++)
		*p = *p == '-' ? '_' : *p;
	ck_assert_msg(conf_takes(conf_name, value, &stored, error) == good,
		      "pvgpud.conf: %s=%s: %s", conf_name, value, error);
	if (good)
		ck_assert_uint_eq(stored, number);
	else
		ck_assert_msg(strstr(error, "must be ") && strstr(error, conf_name), "%s", error);
}

START_TEST(bounds_are_the_same_everywhere)
{
	const struct pvgpu_field *f = &policy->fields[_i];
	char text[64];

	pvgpu_field_format(policy, f, f->min, text, sizeof(text), NULL);
	all_doors(f->name, text, true, f->min);
	pvgpu_field_format(policy, f, f->max, text, sizeof(text), NULL);
	all_doors(f->name, text, true, f->max);
	all_doors(f->name, "-1", false, 0);
	all_doors(f->name, "much", false, 0);
	if (f->type == PVGPU_TYPE_ENUM)
		return;
	if (f->type == PVGPU_TYPE_SHARE) {
		all_doors(f->name, "100.0001%", false, 0);
		return;
	}
	snprintf(text, sizeof(text), "%" PRIu64, f->max + 1);
	all_doors(f->name, text, false, 0);
	if (!f->min)
		return;
	snprintf(text, sizeof(text), "%" PRIu64, f->min - 1);
	all_doors(f->name, text, false, 0);
	all_doors(f->name, "0", f->zero, 0);
}
END_TEST

START_TEST(defaults_are_the_description_s)
{
	char error[CONFIG_ERROR];
	struct pvgpu_backend_policy p;
	struct config c;

	config_init(&c);
	ck_assert_int_eq(config_vgpu(&c, "a", error), 0);
	ck_assert_int_eq(pvgpu_backend_policy_parse("", 0, &p, NULL), 0);
	for (uint32_t i = 0; i < policy->nfields; i++)
		ck_assert_uint_eq(pvgpu_field_get(&policy->fields[i], &c.vgpus[0].policy),
				  pvgpu_field_get(&policy->fields[i], &p));
	config_free(&c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("policy");
	TCase *t = tcase_create("doors");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, bounds_are_the_same_everywhere, 0, (int)policy->nfields);
	tcase_add_test(t, defaults_are_the_description_s);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
