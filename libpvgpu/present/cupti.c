/* SPDX-License-Identifier: MIT */
/*
 * CUPTI without activity records: profilers that load it start, and show the host's side. Numbers
 * are those of CUPTI's documentation.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "present/present.h"

enum {
	CUPTI_SUCCESS = 0,
	CUPTI_ERROR_INVALID_PARAMETER = 1,
	CUPTI_ERROR_MAX_LIMIT_REACHED = 12,
	CUPTI_ERROR_NOT_SUPPORTED = 27,
	CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED = 39,
	VERSION_12 = 28, /* of 12.9 */
	VERSION_13 = 130500,
};

static atomic_flag subscribed = ATOMIC_FLAG_INIT;

#pragma GCC visibility push(default)

int cuptiGetVersion(uint32_t *version)
{
	if (!version)
		return CUPTI_ERROR_INVALID_PARAMETER;
	*version = present_library.version == 12 ? VERSION_12 : VERSION_13;
	return CUPTI_SUCCESS;
}

int cuptiGetResultString(int result, const char **text)
{
	if (!text)
		return CUPTI_ERROR_INVALID_PARAMETER;
	switch (result) {
	case CUPTI_SUCCESS:
		*text = "CUPTI_SUCCESS";
		break;
	case CUPTI_ERROR_INVALID_PARAMETER:
		*text = "CUPTI_ERROR_INVALID_PARAMETER";
		break;
	case CUPTI_ERROR_MAX_LIMIT_REACHED:
		*text = "CUPTI_ERROR_MAX_LIMIT_REACHED";
		break;
	case CUPTI_ERROR_NOT_SUPPORTED:
		*text = "CUPTI_ERROR_NOT_SUPPORTED";
		break;
	case CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED:
		*text = "CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED";
		break;
	default:
		*text = "CUPTI_ERROR_UNKNOWN";
	}
	return CUPTI_SUCCESS;
}

int cuptiGetTimestamp(uint64_t *nanoseconds)
{
	struct timespec now;

	if (!nanoseconds)
		return CUPTI_ERROR_INVALID_PARAMETER;
	clock_gettime(CLOCK_REALTIME, &now);
	*nanoseconds = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	return CUPTI_SUCCESS;
}

/* One subscriber at a time, as the genuine one has it. Its function is never called. */
int cuptiSubscribe(void **subscriber, void *function, void *data)
{
	if (!subscriber)
		return CUPTI_ERROR_INVALID_PARAMETER;
	if (atomic_flag_test_and_set(&subscribed))
		return CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED;
	*subscriber = &subscribed;
	return CUPTI_SUCCESS;
}

int cuptiUnsubscribe(void *subscriber)
{
	if (subscriber != &subscribed)
		return CUPTI_ERROR_INVALID_PARAMETER;
	atomic_flag_clear(&subscribed);
	return CUPTI_SUCCESS;
}

int cuptiActivityGetNextRecord(uint8_t *buffer, size_t bytes, void **record)
{
	return CUPTI_ERROR_MAX_LIMIT_REACHED;
}

int cuptiActivityGetNumDroppedRecords(void *context, uint32_t stream, size_t *dropped)
{
	if (!dropped)
		return CUPTI_ERROR_INVALID_PARAMETER;
	*dropped = 0;
	return CUPTI_SUCCESS;
}

int cuptiActivityPopExternalCorrelationId(int kind, uint64_t *last)
{
	if (last)
		*last = 0;
	return CUPTI_SUCCESS;
}

#pragma GCC visibility pop
