/* SPDX-License-Identifier: MIT */
#ifndef PVGPU_EXPORTER_PLACES_H
#define PVGPU_EXPORTER_PLACES_H

#define PLACES        64u /* connections, those that are being closed included */
#define PLACES_SERVED 48u
#define REQUEST_MS    10000 /* for a whole request */

struct place;
struct sockaddr;

void places_init(void);
/* Of a new connection; NULL: there is none. */
struct place *place_take(int fd, const struct sockaddr *from, long long now);
/* The time of its next request begins. */
void place_answered(struct place *p, long long now);
/* Before its fd is closed. */
void place_leave(struct place *p);
/* Those whose time is over are cut. */
void places_sweep(long long now);

#endif
