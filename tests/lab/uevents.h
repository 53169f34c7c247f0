/* SPDX-License-Identifier: MIT */
#ifndef LAB_UEVENTS_H
#define LAB_UEVENTS_H

/* Load the drivers of Xen's devices as these come; returns only when that is impossible. */
int serve_uevents(void);

#endif
