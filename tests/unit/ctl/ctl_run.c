/* SPDX-License-Identifier: MIT */
#include "tests/unit/ctl/ctl_run.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "xen-pvgpu-back/ctl/core/ctl.h"

char out[65536], errors[16384];

static void redirect(int fd, FILE *f, int *kept)
{
	*kept = dup(fd);
	dup2(fileno(f), fd);
}

static void take(int fd, FILE *f, int kept, char *buf, size_t cap)
{
	size_t n;

	fflush(fd == 1 ? stdout : stderr);
	dup2(kept, fd);
	close(kept);
	rewind(f);
	n = fread(buf, 1, cap - 1, f);
	buf[n] = '\0';
	fclose(f);
}

int ctl_run(const char *first, ...)
{
	char *argv[32] = {(char *)"pvgpuctl", (char *)first};
	int argc = 2, kept[2], status;
	FILE *o = tmpfile(), *e = tmpfile();
	va_list ap;

	va_start(ap, first);
	while ((argv[argc] = va_arg(ap, char *)))
		argc++;
	va_end(ap);
	fflush(stdout);
	fflush(stderr);
	redirect(1, o, &kept[0]);
	redirect(2, e, &kept[1]);
	optind = 0;
	status = ctl_main(argc, argv);
	take(1, o, kept[0], out, sizeof(out));
	take(2, e, kept[1], errors, sizeof(errors));
	return status;
}
