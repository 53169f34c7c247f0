/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/ctl/core/ctl.h"

int main(int argc, char **argv)
{
	return ctl_main(argc, argv);
}
