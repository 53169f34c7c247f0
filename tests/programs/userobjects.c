/* SPDX-License-Identifier: MIT */
/*
 * How long graphs and instances hold user objects: an instance until its last launch has ended,
 * also when it is destroyed or updated before; a node for the graph inside of it.
 */
#include "tests/programs/common.h"

/* The driver may call from a thread of its own. */
static void CUDA_CB gone(void *what)
{
	sem_post(what);
}

static bool is_gone(sem_t *ended)
{
	return !sem_trywait(ended);
}

static void run(CUgraphExec exec, CUstream s)
{
	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
}

static CUuserObject user_of(sem_t *ended)
{
	CUuserObject u;

	sem_init(ended, 0, 0);
	CU(cuUserObjectCreate(&u, ended, gone, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
	return u;
}

/* A graph of one empty node that alone holds the object behind ended. */
static CUgraph holder(sem_t *ended)
{
	CUgraphNode node;
	CUgraph g;

	CU(cuGraphCreate(&g, 0));
	CU(cuGraphAddEmptyNode(&node, g, NULL, 0));
	CU(cuGraphRetainUserObject(g, user_of(ended), 1, CU_GRAPH_USER_OBJECT_MOVE));
	return g;
}

static void CUDA_CB wait_at_gate(void *gate)
{
	while (sem_wait(&((struct gate *)gate)->open))
		;
}

/* What an instance held when it was launched stays until that launch has ended, whether the
 * instance is destroyed or updated meanwhile. */
static void check_flight(CUstream s, bool destroyed)
{
	CUDA_HOST_NODE_PARAMS host = {.fn = wait_at_gate};
	CUgraphExecUpdateResultInfo info;
	CUgraph g, without;
	CUgraphNode node;
	struct gate gate;
	CUgraphExec exec;
	sem_t ended;

	sem_init(&gate.open, 0, 0);
	host.userData = &gate;
	CU(cuGraphCreate(&g, 0));
	CU(cuGraphAddHostNode(&node, g, NULL, 0, &host));
	CU(cuGraphClone(&without, g));
	CU(cuGraphRetainUserObject(g, user_of(&ended), 1, CU_GRAPH_USER_OBJECT_MOVE));
	CU(cuGraphInstantiateWithFlags(&exec, g, 0));
	CU(cuGraphDestroy(g));
	CU(cuGraphLaunch(exec, s));
	if (destroyed)
		CU(cuGraphExecDestroy(exec));
	else
		CU(cuGraphExecUpdate_v2(exec, without, &info));
	WANT(CUDA_ERROR_NOT_READY, cuStreamQuery(s));
	CHECK(!is_gone(&ended), "an object of a launch under way is gone");
	gate_open(&gate);
	/* No call of the program's helps it along. */
	CHECK(!sem_wait(&ended), "no end");
	CU(cuStreamSynchronize(s));
	if (!destroyed)
		CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(without));
	sem_destroy(&ended);
}

/* An instance that is updated holds what the new graph does. */
static void check_update(CUstream s)
{
	CUgraphExecUpdateResultInfo info;
	CUgraph first, second;
	CUgraphExec exec;
	sem_t ended[2];

	first = holder(&ended[0]);
	second = holder(&ended[1]);
	CU(cuGraphInstantiateWithFlags(&exec, first, 0));
	run(exec, s);
	CU(cuGraphDestroy(first));
	CHECK(!is_gone(&ended[0]), "an object that an instance has is gone");
	CU(cuGraphExecUpdate_v2(exec, second, &info));
	CHECK(!sem_wait(&ended[0]), "no end");
	CU(cuGraphDestroy(second));
	run(exec, s);
	CHECK(!is_gone(&ended[1]), "an object of an update is gone");
	CU(cuGraphExecDestroy(exec));
	CHECK(!sem_wait(&ended[1]), "no end");
	sem_destroy(&ended[0]);
	sem_destroy(&ended[1]);
}

/* A node holds what the graph inside of it does; so does an instance, and a node of it that is
 * given another graph. */
static void check_child(CUstream s)
{
	CUgraph child[2], around, inside;
	CUgraphNode node, rest;
	CUgraphExec exec;
	sem_t ended[3];

	child[0] = holder(&ended[0]);
	child[1] = holder(&ended[1]);
	CU(cuGraphCreate(&around, 0));
	CU(cuGraphAddChildGraphNode(&node, around, NULL, 0, child[0]));
	CU(cuGraphDestroy(child[0]));
	CHECK(!is_gone(&ended[0]), "an object of a graph inside is gone");
	CU(cuGraphChildGraphNodeGetGraph(node, &inside));
	CU(cuGraphRetainUserObject(inside, user_of(&ended[2]), 1, CU_GRAPH_USER_OBJECT_MOVE));
	CU(cuGraphInstantiateWithFlags(&exec, around, 0));
	CU(cuGraphAddEmptyNode(&rest, around, NULL, 0));
	CU(cuGraphExecChildGraphNodeSetParams(exec, node, child[1]));
	CU(cuGraphDestroy(child[1]));
	run(exec, s);
	CHECK(!is_gone(&ended[0]) && !is_gone(&ended[1]) && !is_gone(&ended[2]), "gone early");
	CU(cuGraphDestroyNode(node));
	CHECK(!sem_wait(&ended[0]) && !sem_wait(&ended[2]), "no end");
	CHECK(!is_gone(&ended[1]), "an object of an instance's node is gone");
	CU(cuGraphExecDestroy(exec));
	CHECK(!sem_wait(&ended[1]), "no end");
	CU(cuGraphDestroy(around));
	for (int i = 0; i < 3; i++)
		sem_destroy(&ended[i]);
}

/* The last launch counts, in whatever stream. */
static void check_streams(CUstream s)
{
	struct gate gate;
	CUgraph g, empty;
	CUgraphExec exec;
	CUstream other;
	sem_t ended;

	sem_init(&gate.open, 0, 0);
	CU(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
	g = holder(&ended);
	CU(cuGraphClone(&empty, g));
	CU(cuGraphDestroy(g));
	CU(cuGraphInstantiateWithFlags(&exec, empty, 0));
	CU(cuGraphDestroy(empty));
	CU(cuGraphLaunch(exec, s));
	CU(cuLaunchHostFunc(other, wait_at_gate, &gate));
	CU(cuGraphLaunch(exec, other));
	CU(cuStreamSynchronize(s));
	CU(cuGraphExecDestroy(exec));
	CU(cuStreamDestroy(other));
	CHECK(!is_gone(&ended), "an object of a launch under way is gone");
	gate_open(&gate);
	CHECK(!sem_wait(&ended), "no end");
	sem_destroy(&ended);
}

int main(void)
{
	CUstream s;

	start();
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	check_flight(s, true);
	check_flight(s, false);
	check_update(s);
	check_child(s);
	check_streams(s);
	CU(cuStreamDestroy(s));
	finish();
	printf("launches, instances and nodes hold user objects as long as they are there\n");
	return 0;
}
