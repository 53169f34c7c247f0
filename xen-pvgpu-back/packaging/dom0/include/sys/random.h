/* SPDX-License-Identifier: MIT */
/* glibc 2.25 has the header; getrandom is in compat.h. */
