/* SPDX-License-Identifier: MIT */
#include "tests/lab/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static uint32_t crc32_of(const char *p, size_t size)
{
	uint32_t crc = ~0u;

	while (size--) {
		crc ^= (uint8_t)*p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static size_t encode(char *out, const uint8_t *data, size_t size)
{
	char *begin = out;

	for (size_t i = 0; i < size; i += 3) {
		size_t left = size - i;
		uint32_t bits = (uint32_t)data[i] << 16;

		if (left > 1)
			bits |= (uint32_t)data[i + 1] << 8;
		if (left > 2)
			bits |= data[i + 2];
		*out++ = digits[bits >> 18];
		*out++ = digits[bits >> 12 & 63];
		*out++ = left > 1 ? digits[bits >> 6 & 63] : '=';
		*out++ = left > 2 ? digits[bits & 63] : '=';
	}
	return (size_t)(out - begin);
}

/* The number of bytes, or -1. */
static long decode(uint8_t *out, const char *text, size_t size)
{
	uint8_t *begin = out;

	if (size % 4)
		return -1;
	for (size_t i = 0; i < size; i += 4) {
		uint32_t bits = 0;
		int pad = 0;

		for (size_t k = 0; k < 4; k++) {
			char c = text[i + k];
			const char *d = c ? strchr(digits, c) : NULL;

			if (c == '=' && i + 4 == size && k >= 2)
				pad++;
			else if (!d || pad)
				return -1;
			bits = bits << 6 | (d ? (uint32_t)(d - digits) : 0);
		}
		*out++ = (uint8_t)(bits >> 16);
		if (pad < 2)
			*out++ = (uint8_t)(bits >> 8);
		if (pad < 1)
			*out++ = (uint8_t)bits;
	}
	return out - begin;
}

int wire_parse(const char *line, size_t length, struct wire_message *m)
{
	char text[WIRE_LINE_MAX], data[WIRE_LINE_MAX];
	unsigned crc;
	long size = 0;
	int end = 0;

	if (!length || length >= sizeof(text) || line[0] != '@')
		return -1;
	memcpy(text, line, length);
	text[length] = 0;
	if (sscanf(text, "@%8[a-z] %u %16383s%n %x", m->kind, &m->number, data, &end, &crc) != 4)
		return -1;
	if (crc32_of(text, (size_t)end) != crc)
		return -1;
	if (strcmp(data, "-"))
		size = decode(m->data, data, strlen(data));
	if (size < 0)
		return -1;
	m->size = (size_t)size;
	return 0;
}

size_t wire_format(char *text, const char *kind, unsigned number, const void *data, size_t size)
{
	size_t n = (size_t)snprintf(text, WIRE_LINE_MAX, "@%s %u ", kind, number);

	if (size)
		n += encode(text + n, data, size);
	else
		text[n++] = '-';
	n += (size_t)snprintf(text + n, WIRE_LINE_MAX - n, " %08x\n", crc32_of(text, n));
	return n;
}
