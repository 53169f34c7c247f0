/* SPDX-License-Identifier: MIT */
/* eventfd_signal() adds one; before 6.8 as much as it was told. */
#include <linux/eventfd.h>

void probe(struct eventfd_ctx *ctx);
void probe(struct eventfd_ctx *ctx)
{
	eventfd_signal(ctx);
}
