/* SPDX-License-Identifier: MIT */
/* Overrides for tests: keys test_* of [daemon], which remove the isolation of guests so that other
 * things can be tried. The log and the keys show that they are on. */
#ifndef PVGPU_OVERRIDES_H
#define PVGPU_OVERRIDES_H

struct daemon;
struct worker;

void overrides_say(const struct daemon *d);
/* A worker has got a session. */
void overrides_say_session(const struct worker *w);

#endif
