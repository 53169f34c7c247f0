/* SPDX-License-Identifier: MIT */
/*
 * CUDA_VISIBLE_DEVICES, as CUDA's programming guide describes it: which devices the process sees,
 * and in which order, by number or by the beginning of an identifier ("GPU-1a2b3c"). Devices after
 * an entry that names none are not seen, so "" and "-1" hide all.
 */
#include "cuda/core/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NONE = -1, UUID_TEXT = sizeof("GPU-00112233-4455-6677-8899-aabbccddeeff") };

static void uuid_text(const struct device *d, char text[UUID_TEXT])
{
	const unsigned char *b = (const unsigned char *)d->uuid.bytes;

	snprintf(text, UUID_TEXT,
		 "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
		 b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
		 b[14], b[15]);
}

/* The device whose identifier begins with `begin`, if it is the only one. */
static int by_uuid(const struct device *all, int count, const char *begin, size_t len)
{
	int found = NONE;

	for (int i = 0; i < count; i++) {
		char text[UUID_TEXT];

		uuid_text(&all[i], text);
		if (strncasecmp(text, begin, len))
			continue;
		if (found != NONE)
			return NONE;
		found = i;
	}
	return found;
}

/* The device that an entry names. */
static int find(const struct device *all, int count, const char *entry, size_t len)
{
	char *end;
	long n;

	if (len > 4 && !strncasecmp(entry, "GPU-", 4))
		return by_uuid(all, count, entry, len);
	n = strtol(entry, &end, 10);
	return end == entry + len && len && n >= 0 && n < count ? (int)n : NONE;
}

int visible_devices(const struct device *all, int count, int *order)
{
	const char *entry = getenv("CUDA_VISIBLE_DEVICES");
	int n = 0;

	if (!entry)
		while (n < count) {
			order[n] = n;
			n++;
		}
	while (entry && n < count) {
		const size_t len = strcspn(entry, ",");
		const int device = find(all, count, entry, len);

		for (int i = 0; i < n; i++)
			if (order[i] == device)
				return n;
		if (device == NONE)
			break;
		order[n++] = device;
		entry = entry[len] ? entry + len + 1 : NULL;
	}
	return n;
}
