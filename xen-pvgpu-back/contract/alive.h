/* SPDX-License-Identifier: MIT */
/*
 * Tell the service manager, as sd_notify(3) says, that the program is ready, and that its loop
 * turns: while WATCHDOG_USEC is set for this process, a datagram to NOTIFY_SOCKET twice in that
 * time. A program that hangs is ended and started again.
 */
#ifndef PVGPU_ALIVE_H
#define PVGPU_ALIVE_H

struct ev_loop;

/* Connects to it, before a sandbox is closed that allows no new socket. */
void alive_open(void);
/* The program is ready. Connects if alive_open() was not called. */
void alive_start(struct ev_loop *loop);
void alive_stop(struct ev_loop *loop);

#endif
