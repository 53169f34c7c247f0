/* SPDX-License-Identifier: MIT */
/* An event channel that stays masked until its handler ends the interrupt: 5.10, and older kernels
 * with the fixes of XSA-332. */
#include <linux/interrupt.h>
#include <xen/events.h>

int probe(unsigned int port, irq_handler_t handler, void *data);
int probe(unsigned int port, irq_handler_t handler, void *data)
{
	int irq = bind_evtchn_to_irqhandler_lateeoi(port, handler, 0, "probe", data);

	xen_irq_lateeoi(irq, XEN_EOI_FLAG_SPURIOUS);
	return irq;
}
