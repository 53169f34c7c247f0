/* SPDX-License-Identifier: MIT */
/*
 * Copy nodes from and to memory that the worker does not reach. CUDA reads and writes it when a
 * launch comes to the node. So the far end has a graph inside of a node there: a host function of
 * this library, and a copy between the device and an area of the arena, which the function fills
 * before the copy to the device, or empties behind one from it. Between two places of the host the
 * function copies alone. The application sees one copy node.
 *
 * A struct paged never changes while a node uses it: a node that is given other parameters gets
 * another one, and launches under way keep theirs. All nodes with the same one, in clones and
 * instances, share its area: launches that run at the same time put the same bytes there, or would
 * overwrite each other's bytes without an area, too. Unused ones are used again with their graphs
 * and host functions, which the far end has then.
 */
#include "cuda/copy/box.h"
#include "cuda/core/above.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/graphs/graph.h"
#include "cuda/graphs/node.h"
#include "cuda/graphs/pageable.h"
#include "cuda/streams/done.h"
#include "cuda/streams/hostfunc.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "link/session.h"
#include "pvgpu_stubs.h"

pthread_mutex_t paged_lock = PTHREAD_MUTEX_INITIALIZER;
_Atomic bool graphs_use_registered;

/* Areas of this many bytes stay with objects that nothing uses: a program may give a node other
 * memory before each launch. */
#define KEPT_MOST (32ull << 20)

static struct paged *unused;
static uint64_t kept;              /* bytes of their areas */
static struct paged_node *leaving; /* launches under way may use them */

enum way way_of(const struct box *b)
{
	if (b->dst.side == SIDE_DEVICE)
		return b->src.side == SIDE_DEVICE ? ON_DEVICE : TO_DEVICE;
	return b->src.side == SIDE_DEVICE ? FROM_DEVICE : ON_HOST;
}

static void CUDA_CB run(void *what)
{
	const struct paged *p = what;
	bool used;

	/* A worker that lies may call it at any time. */
	pthread_mutex_lock(&paged_lock);
	used = p->references;
	pthread_mutex_unlock(&paged_lock);
	if (!used)
		return;
	if (p->way == ON_HOST)
		box_move(&p->box);
	else
		box_pack(&p->box, p->area, p->way == TO_DEVICE);
}

/* ---- their lives ---- */

/* A context that was destroyed has taken the host function along. */
static bool is_alive(const struct paged *p)
{
	CUDA_HOST_NODE_PARAMS is;

	return hostfunc_kept(p->function, &is);
}

static void area_free(struct paged *p)
{
	if (p->room)
		pvgpu_arena_free(session(), p->area);
	p->area = NULL;
	p->room = 0;
}

static void end(struct paged *p)
{
	area_free(p);
	if (p->inside)
		graph_drop(p->inside);
	free(p);
}

/* Under paged_lock. */
static void keep(struct paged *p)
{
	kept += p->room;
	p->next = unused;
	unused = p;
}

void paged_put(struct paged *p)
{
	bool last, fits;

	pthread_mutex_lock(&paged_lock);
	last = !--p->references;
	fits = kept + p->room <= KEPT_MOST;
	pthread_mutex_unlock(&paged_lock);
	if (!last || !session())
		return;
	if (!is_alive(p)) {
		end(p);
		return;
	}
	if (!fits)
		area_free(p);
	pthread_mutex_lock(&paged_lock);
	keep(p);
	pthread_mutex_unlock(&paged_lock);
}

void paged_release(struct paged_node *list)
{
	while (list) {
		struct paged_node *n = list;

		list = n->next;
		paged_put(n->is);
		free(n);
	}
}

static bool has_ended(const struct paged_node *n)
{
	return !n->place || done_known(n->place) || done_waited(n->place, n->ctx);
}

/* Release the nodes whose launches have ended, and those of a context that is gone. */
static void sweep(const struct ctx *gone)
{
	struct paged_node **at, *n, *over = NULL;

	pthread_mutex_lock(&paged_lock);
	for (at = &leaving; (n = *at);) {
		if (n->ctx != gone && !has_ended(n)) {
			at = &n->next;
			continue;
		}
		*at = n->next;
		n->next = over;
		over = n;
	}
	pthread_mutex_unlock(&paged_lock);
	paged_release(over);
}

void paged_leave(const struct graph_exec *x, struct paged_node *list)
{
	while (list) {
		struct paged_node *n = list;

		list = n->next;
		n->place = x->place;
		n->ctx = x->o.ctx;
		pthread_mutex_lock(&paged_lock);
		n->next = leaving;
		leaving = n;
		pthread_mutex_unlock(&paged_lock);
	}
	sweep(NULL);
}

void paged_forget_ctx(const struct ctx *c)
{
	struct paged **at, *p, *dead = NULL;

	sweep(c);
	pthread_mutex_lock(&paged_lock);
	for (at = &unused; (p = *at);) {
		if (p->ctx != c) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		kept -= p->room;
		p->next = dead;
		dead = p;
	}
	pthread_mutex_unlock(&paged_lock);
	while ((p = dead)) {
		dead = p->next;
		end(p);
	}
}

/* With an area of this size, if there is one. */
static struct paged *take_unused(const struct ctx *c, enum way way, uint64_t room)
{
	struct paged **at, **found = NULL, *p;

	pthread_mutex_lock(&paged_lock);
	for (at = &unused; *at && !(found && (*found)->room == room); at = &(*at)->next) {
		if ((*at)->ctx == c && (*at)->way == way && (!found || (*at)->room == room))
			found = at;
	}
	p = found ? *found : NULL;
	if (p) {
		*found = p->next;
		kept -= p->room;
	}
	pthread_mutex_unlock(&paged_lock);
	return p;
}

/* Not under the lock, which run() takes: to give arena memory back may wait for the worker. */
static void free_unused_areas(void)
{
	struct paged *list, *p;

	pthread_mutex_lock(&paged_lock);
	list = unused;
	unused = NULL;
	kept = 0;
	pthread_mutex_unlock(&paged_lock);
	while ((p = list)) {
		list = p->next;
		area_free(p);
		pthread_mutex_lock(&paged_lock);
		keep(p);
		pthread_mutex_unlock(&paged_lock);
	}
}

static int area_make(struct paged *p, uint64_t room)
{
	int r;

	if (p->room == room)
		return 0;
	area_free(p);
	p->area = pvgpu_arena_alloc(session(), room, false);
	if (!p->area) {
		free_unused_areas();
		p->area = pvgpu_arena_alloc(session(), room, false);
	}
	if (!p->area) {
		r = pvgpu_session_status(session());
		return r ? r : CUDA_ERROR_OUT_OF_MEMORY;
	}
	p->room = room;
	return 0;
}

/* ---- at the far end ---- */

static int add(const struct paged *p, const struct pvgpu_graph_node *is, const uint32_t *before,
	       uint32_t *number)
{
	return pvgpu_do_graph_add(session(), p->ctx->o.wire, p->inside->o.wire, is, sizeof(*is),
				  NULL, 0, before, before ? sizeof(*before) : 0, number);
}

static struct pvgpu_graph_node host_node(const struct paged *p)
{
	return (struct pvgpu_graph_node){.kind = CU_GRAPH_NODE_TYPE_HOST, .object = p->function};
}

/* Between the device and the area. */
static struct pvgpu_graph_node copy_of(const struct paged *p)
{
	const struct place area = {
		.addr = (uintptr_t)p->area, .pitch = p->box.width, .height = p->box.rows};
	struct box b = p->box;

	*(p->way == TO_DEVICE ? &b.src : &b.dst) = area;
	return copy_to_wire(&b);
}

static int build(struct paged *p)
{
	const struct pvgpu_graph_node host = host_node(p), copy = copy_of(p);
	uint32_t number = 0;
	int r = graph_new(&p->inside);

	if (r)
		return r;
	if (p->way == FROM_DEVICE)
		r = add(p, &copy, NULL, &p->copy);
	if (!r)
		r = add(p, &host, p->way == FROM_DEVICE ? &p->copy : NULL, &number);
	if (!r && p->way == TO_DEVICE)
		r = add(p, &copy, &number, &p->copy);
	if (r) {
		graph_drop(p->inside);
		p->inside = NULL;
	}
	return r;
}

static int set(const struct ctx *c, const struct graph *g, uint32_t number,
	       const struct pvgpu_graph_node *is)
{
	return pvgpu_do_graph_set(session(), c->o.wire, g->o.wire, number, is, sizeof(*is), NULL,
				  0);
}

/* Its area and its box are others. */
static int change(const struct paged *p)
{
	const struct pvgpu_graph_node copy = copy_of(p);

	return p->way == ON_HOST ? 0 : set(p->ctx, p->inside, p->copy, &copy);
}

static struct paged *make_new(struct ctx *c, enum way way)
{
	struct paged *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	*p = (struct paged){.ctx = c, .way = way};
	p->function = hostfunc_keep(run, p, c);
	if (p->function)
		return p;
	free(p);
	return NULL;
}

int paged_make(struct ctx *c, const struct box *b, struct paged **out)
{
	const enum way way = way_of(b);
	const uint64_t room = way == ON_HOST ? 0 : b->width * b->rows * b->depth;
	struct paged *p;
	int r;

	if (b->dst.side == SIDE_REGISTERED || b->src.side == SIDE_REGISTERED)
		atomic_store(&graphs_use_registered, true);
	sweep(NULL);
	p = take_unused(c, way, room);
	if (!p)
		p = make_new(c, way);
	if (!p)
		return CUDA_ERROR_OUT_OF_MEMORY;
	p->box = *b;
	r = area_make(p, room);
	p->references = 1;
	if (!r)
		r = p->inside ? change(p) : build(p);
	if (r)
		paged_put(p);
	else
		*out = p;
	return r;
}

/* ---- graphs inside of nodes ---- */

struct inner {
	struct wire_node node[2];
	uint32_t number[2], count;
};

/* Of a graph with more nodes: none. */
static int ask(const struct ctx *c, const struct graph *inside, struct inner *in)
{
	uint32_t total = 0, len = 0;
	int r = pvgpu_do_graph_nodes(session(), inside->o.wire, 0, &total, in->number,
				     sizeof(in->number), &len);

	in->count = total > 2 ? 0 : len / (uint32_t)sizeof(in->number[0]);
	for (uint32_t i = 0; i < in->count && !r; i++) {
		struct wire_node *n = &in->node[i];

		r = pvgpu_do_graph_get(session(), c->o.wire, inside->o.wire, in->number[i], &n->is,
				       sizeof(n->is), &len, n->params, sizeof(n->params), &n->len);
		if (!r && len != sizeof(n->is))
			r = pvgpu_broken(session(), "the worker described a graph's node wrongly");
	}
	return r;
}

int paged_change(const struct ctx *c, const struct graph *inside, const struct paged *p)
{
	const struct pvgpu_graph_node host = host_node(p), copy = copy_of(p);
	struct inner in;
	int r = ask(c, inside, &in);

	for (uint32_t i = 0; i < in.count && !r; i++)
		r = set(c, inside, in.number[i],
			in.node[i].is.kind == CU_GRAPH_NODE_TYPE_HOST ? &host : &copy);
	return r;
}

struct paged *paged_of(const struct ctx *c, const struct graph *inside)
{
	CUDA_HOST_NODE_PARAMS is;
	struct inner in;

	if (ask(c, inside, &in))
		return NULL;
	for (uint32_t i = 0; i < in.count; i++) {
		const struct pvgpu_graph_node *n = &in.node[i].is;

		if (n->kind == CU_GRAPH_NODE_TYPE_HOST && hostfunc_kept(n->object, &is) &&
		    is.fn == run)
			return is.userData;
	}
	return NULL;
}
