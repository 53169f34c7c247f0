/* SPDX-License-Identifier: MIT */
/* The worker's half of the next version's new call. */
#include "pvgpu_decode.h"

int handle_next_echo(struct worker *w, const struct pvgpu_in_next_echo *in,
		     struct pvgpu_out_next_echo *out)
{
	out->value = ~in->value;
	return 0;
}
