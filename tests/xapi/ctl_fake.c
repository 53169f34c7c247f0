/* SPDX-License-Identifier: MIT */
/*
 * pvgpuctl over a xenstore that is a file: PVGPU_FAKE_XENSTORE names it, in the form of xenstore-ls
 * -fp. pvgpud and guests do what they should, or with PVGPU_FAKE_ASLEEP nothing. For the tests of
 * what calls pvgpuctl.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/keys/fake_xenstore.h"
#include "xen-pvgpu-back/ctl/core/ctl.h"

#define DOMAINS 10
#define VGPUS   3

static void take_line(char *line)
{
	char *value = strstr(line, " = \""), *perms, *end;

	if (!value)
		return;
	*value = '\0';
	value += 4;
	perms = strrchr(value, '(');
	end = strrchr(value, '"');
	if (!perms || !end)
		return;
	*end = '\0';
	fake_set(line, value);
	perms[strcspn(perms, ")")] = '\0';
	fake_chmod(line, perms + 1);
}

static void load(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[2048];

	while (f && fgets(line, sizeof(line), f))
		take_line(line);
	if (f)
		fclose(f);
}

static void save(const char *path)
{
	char *text = fake_dump();
	FILE *f = fopen(path, "w");

	if (!f || fputs(text, f) < 0 || fclose(f))
		abort();
	free(text);
}

static void end_states(unsigned int fe, unsigned int id)
{
	char front[96], back[96], online[96];
	const char *f, *b, *on;

	snprintf(front, sizeof(front), "/local/domain/%u/device/pvgpu/%u/state", fe, id);
	snprintf(back, sizeof(back), "/local/domain/0/backend/pvgpu/%u/%u/state", fe, id);
	snprintf(online, sizeof(online), "/local/domain/0/backend/pvgpu/%u/%u/online", fe, id);
	f = fake_get(front);
	b = fake_get(back);
	on = fake_get(online);
	if (!f || !b)
		return;
	if (on && !strcmp(on, "0") && strcmp(b, "6") != 0)
		fake_set(back, strcmp(b, "5") != 0 ? "5" : "6");
	else if (!strcmp(b, "6") && !strcmp(f, "4"))
		fake_set(front, "6");
	else if (!strcmp(b, "1"))
		fake_set(back, "2");
	else if (!strcmp(b, "2") && !strcmp(f, "1"))
		fake_set(front, "3");
	else if (!strcmp(b, "2") && !strcmp(f, "3"))
		fake_set(back, "4");
	else if (!strcmp(b, "4") && !strcmp(f, "3"))
		fake_set(front, "4");
}

static void behave(void)
{
	for (unsigned int fe = 1; fe < DOMAINS; fe++)
		for (unsigned int id = 0; id < VGPUS; id++)
			end_states(fe, id);
}

int main(int argc, char **argv)
{
	const char *path = getenv("PVGPU_FAKE_XENSTORE");
	int status;

	if (!path) {
		fputs("PVGPU_FAKE_XENSTORE: must name a file\n", stderr);
		return EXIT_USAGE;
	}
	fake_reset();
	load(path);
	if (!getenv("PVGPU_FAKE_ASLEEP"))
		fake_script(behave);
	status = ctl_main(argc, argv);
	fflush(stdout);
	save(path);
	return status;
}
