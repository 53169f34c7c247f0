/* SPDX-License-Identifier: MIT */
/*
 * Tell the service manager that the loop turns, as sd_notify(3) says: while WATCHDOG_USEC is set
 * for this process, a datagram to NOTIFY_SOCKET twice in that time. A program that hangs is ended
 * and started again.
 */
#ifndef PVGPU_ALIVE_H
#define PVGPU_ALIVE_H

struct ev_loop;

void alive_start(struct ev_loop *loop);
void alive_stop(struct ev_loop *loop);

#endif
