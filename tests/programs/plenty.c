/* SPDX-License-Identifier: MIT */
/*
 * More events, streams, graphs and pending host functions than a program should need: none of them
 * has a limit that is near.
 *
 *   plenty [HOST FUNCTIONS]
 */
#include <pthread.h>
#include <unistd.h>

#include "tests/programs/common.h"

enum {
	LIMIT = 120, /* seconds */
	EVENTS = 70000,
	STREAMS = 500,
};

static void check_events(void)
{
	CUevent *event = host_alloc(EVENTS * sizeof(*event));

	for (int i = 0; i < EVENTS; i++)
		CU(cuEventCreate(&event[i], CU_EVENT_DISABLE_TIMING));
	CU(cuEventRecord(event[0], NULL));
	CU(cuEventRecord(event[EVENTS - 1], NULL));
	CU(cuEventSynchronize(event[EVENTS - 1]));
	CU(cuEventQuery(event[0]));
	for (int i = 0; i < EVENTS; i++)
		CU(cuEventDestroy(event[i]));
	free(event);
	printf("%d events\n", EVENTS);
}

/* Each graph's nodes are its own, in the last graph as in the first. */
static void check_nodes(const CUgraph *graph)
{
	CUgraphNode node[2], same;
	CUgraphNodeType type;
	size_t count = 1;

	for (int i = 0; i < 2; i++)
		CU(cuGraphAddEmptyNode(&node[i], graph[i ? EVENTS - 1 : 0], NULL, 0));
	CHECK(node[0] != node[1], "nodes of two graphs have one handle");
	CU(cuGraphAddEmptyNode(&same, graph[EVENTS - 1], &node[1], 1));
	CU(cuGraphNodeGetType(node[1], &type));
	CHECK(type == CU_GRAPH_NODE_TYPE_EMPTY, "type %d", (int)type);
	CU(cuGraphGetRootNodes(graph[EVENTS - 1], &same, &count));
	CHECK(count == 1 && same == node[1], "another node is the first");
}

static void check_graphs(void)
{
	CUgraph *graph = host_alloc(EVENTS * sizeof(*graph));

	for (int i = 0; i < EVENTS; i++)
		CU(cuGraphCreate(&graph[i], 0));
	check_nodes(graph);
	for (int i = 0; i < EVENTS; i++)
		CU(cuGraphDestroy(graph[i]));
	free(graph);
	printf("%d graphs\n", EVENTS);
}

/* Streams that have nothing to do are looked at again and again. */
static void check_streams(void)
{
	CUstream *s = host_alloc(STREAMS * sizeof(*s));

	for (int i = 0; i < STREAMS; i++)
		CU(cuStreamCreate(&s[i], CU_STREAM_NON_BLOCKING));
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < STREAMS; i++)
			CU(cuStreamQuery(s[i]));
	for (int i = 0; i < STREAMS; i++)
		CU(cuStreamDestroy(s[i]));
	free(s);
	printf("%d streams\n", STREAMS);
}

static uint32_t functions;
static _Atomic uint32_t posted;
static uint32_t calls, wrong;
static struct gate gate;

static void CUDA_CB in_order(void *arg)
{
	wrong += (uintptr_t)arg != calls++;
}

/* A driver makes the caller wait when its queue is full: the gate opens when nothing was posted for
 * a second. */
static void *open_late(void *arg)
{
	uint32_t seen = 0, now;

	while ((now = posted) < functions) {
		sleep(1);
		if (now == seen)
			break;
		seen = now;
	}
	gate_open(&gate);
	return NULL;
}

static void check_functions(void)
{
	pthread_t thread;
	CUstream s;

	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	gate_close(&gate, s);
	CHECK(!pthread_create(&thread, NULL, open_late, NULL), "no thread");
	for (; posted < functions; posted++)
		CU(cuLaunchHostFunc(s, in_order, (void *)(uintptr_t)posted));
	CU(cuStreamSynchronize(s));
	pthread_join(thread, NULL);
	CHECK(calls == functions && !wrong, "%u calls, %u out of order", calls, wrong);
	CU(cuStreamDestroy(s));
	printf("%u pending host functions\n", functions);
}

int main(int argc, char **argv)
{
	functions = (uint32_t)argument(argc, argv, 1, 2000);
	alarm(LIMIT);
	start();
	check_events();
	check_graphs();
	check_streams();
	check_functions();
	finish();
	return 0;
}
