/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "xen-pvgpu-back/ctl/core/ctl.h"

int main(int argc, char **argv)
{
	int status = ctl_main(argc, argv);

	/* Part of an answer must not be taken for all of it. */
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "pvgpuctl: standard output: %s\n", strerror(errno));
	return status ? status : EXIT_REFUSED;
}
