/* SPDX-License-Identifier: MIT */
/* The file FILE as the symbol NAME, NUL terminated, and NAME_size, its length without the NUL. */
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
	.section .rodata
	.globl NAME
	.globl JOIN(NAME, _size)
NAME:
	.incbin FILE
JOIN(NAME, _end):
	.byte 0
	.balign 8
JOIN(NAME, _size):
	.quad JOIN(NAME, _end) - NAME
	.section .note.GNU-stack,"",%progbits
