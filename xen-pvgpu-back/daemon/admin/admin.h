/* SPDX-License-Identifier: MIT */
/* The admin socket. */
#ifndef PVGPU_ADMIN_H
#define PVGPU_ADMIN_H

struct daemon;

int admin_open(struct daemon *d);
void admin_close(struct daemon *d);
/* If the socket's file was deleted. */
void admin_listen_again(struct daemon *d);

#endif
