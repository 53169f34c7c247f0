/* SPDX-License-Identifier: MIT */
/*
 * The lines between the lab and an agent: "@KIND NUMBER DATA CRC\n", DATA in base64 or "-", CRC the
 * CRC-32 of the line before it. They share a console with the kernel's messages, so any other line
 * is text and no error.
 */
#ifndef LAB_WIRE_H
#define LAB_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define WIRE_KIND_MAX 8
#define WIRE_LINE_MAX 16384
#define WIRE_DATA_MAX 2048 /* bytes of data in a line that is sent */

struct wire_message {
	char kind[WIRE_KIND_MAX + 1];
	unsigned number;
	uint8_t data[WIRE_LINE_MAX];
	size_t size;
};

/* A line without its end into a message; 0, or -1 when it is none. */
int wire_parse(const char *line, size_t length, struct wire_message *m);
/* A message as a line with its end into text, which has WIRE_LINE_MAX bytes; size <= WIRE_DATA_MAX.
 * Its length. */
size_t wire_format(char *text, const char *kind, unsigned number, const void *data, size_t size);

#endif
