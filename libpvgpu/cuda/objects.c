/* SPDX-License-Identifier: MIT */
/*
 * The tables behind the application's handles. They have the size of each type's objects, and so
 * this file is above all folders that have types of objects.
 */
#include "cuda/core/context.h"
#include "cuda/core/object.h"
#include "cuda/graphs/graph.h"
#include "cuda/kernels/function.h"
#include "cuda/kernels/library.h"
#include "cuda/kernels/link.h"
#include "cuda/kernels/module.h"
#include "cuda/memory/array.h"
#include "cuda/memory/vmm.h"
#include "cuda/streams/event.h"
#include "cuda/streams/green.h"
#include "cuda/streams/stream.h"

#include <pthread.h>

#define TABLE(type, object)                                                                        \
	[type] = {.size = sizeof(struct object), .lock = PTHREAD_MUTEX_INITIALIZER}

struct object_table object_tables[OBJECT_TYPES] = {
	TABLE(PVGPU_H_CTX, ctx),
	TABLE(PVGPU_H_MODULE, module),
	TABLE(PVGPU_H_STREAM, stream),
	TABLE(PVGPU_H_EVENT, event),
	TABLE(PVGPU_H_FUNCTION, function),
	TABLE(PVGPU_H_LIBRARY, library),
	TABLE(PVGPU_H_KERNEL, function),
	TABLE(PVGPU_H_LINK, link),
	TABLE(PVGPU_H_GRAPH, graph),
	TABLE(PVGPU_H_GRAPH_EXEC, graph_exec),
	TABLE(PVGPU_H_ARRAY, array),
	TABLE(PVGPU_H_MIPMAP, mipmap),
	TABLE(PVGPU_H_TEXTURE, texture),
	TABLE(PVGPU_H_PHYSICAL, physical),
	TABLE(PVGPU_H_RESERVATION, reservation),
	TABLE(PVGPU_H_SHARED_EVENT, shared_event),
	TABLE(PVGPU_H_GREEN, green),
};
