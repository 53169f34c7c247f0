/* SPDX-License-Identifier: MIT */
/* The functions that the device provides: vprintf, __assertfail, malloc, free, the one that sets
 * a graph's condition, and those of libraries, which are native code (simcuda_native). */
#include "tests/simcuda/ptx/exec.h"

#include <stdio.h>

#define TEXT_MAX 1024

static uint64_t argument(const struct warp *w, const struct call_arg *a, uint32_t lane)
{
	uint64_t v = 0;

	if (!a->is_row)
		return local_get(w->frame->params, lane, a->at, a->bytes);
	memcpy(&v, (const uint8_t *)row(w, a->at) + lane * (1u << a->cls), 1u << a->cls);
	return v;
}

static void result(struct warp *w, const struct call_arg *a, uint32_t lane, uint64_t v)
{
	if (!a->is_row)
		local_put(w->frame->params, lane, a->at, a->bytes, v);
	else
		memcpy((uint8_t *)row(w, a->at) + lane * (1u << a->cls), &v, 1u << a->cls);
}

static int assert_failed(struct warp *w, const struct call_site *s, uint32_t lane)
{
	const struct ptx_env *env = w->cta->env;
	char message[TEXT_MAX], file[TEXT_MAX], function[TEXT_MAX], text[4 * TEXT_MAX];
	int n;

	if (!guest_string(w, lane, argument(w, &s->params[0], lane), message, TEXT_MAX) ||
	    !guest_string(w, lane, argument(w, &s->params[1], lane), file, TEXT_MAX) ||
	    !guest_string(w, lane, argument(w, &s->params[3], lane), function, TEXT_MAX))
		return STEP_FAULT;
	n = snprintf(text, sizeof(text),
		     "%s:%u: %s: block: [%u,%u,%u], thread: [%u,%u,%u] Assertion `%s` failed.\n",
		     file, (uint32_t)argument(w, &s->params[2], lane), function, w->cta->id[0],
		     w->cta->id[1], w->cta->id[2], w->tid[0][lane], w->tid[1][lane],
		     w->tid[2][lane], message);
	env->print(env->arg, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
	return fault(w, lane, PTX_FAULT_ASSERT, 0);
}

int call_builtin(struct warp *w, const struct call_site *s, const struct func *f, uint32_t mask)
{
	const struct ptx_env *env = w->cta->env;

	for (uint32_t m = mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m);
		int32_t count = 0;
		int r;

		if (f->builtin == BUILTIN_ASSERTFAIL)
			return assert_failed(w, s, lane);
		if (f->builtin == BUILTIN_MALLOC) {
			uint64_t size = argument(w, &s->params[0], lane);

			result(w, &s->rets[0], lane, env->malloc ? env->malloc(env->arg, size) : 0);
			continue;
		}
		if (f->builtin == BUILTIN_FREE) {
			uint64_t at = argument(w, &s->params[0], lane);

			if (at && (!env->free || !env->free(env->arg, at)))
				return fault(w, lane, PTX_FAULT_ADDRESS, at);
			continue;
		}
		if (f->builtin == BUILTIN_NATIVE) {
			uint64_t bad = argument(w, &s->params[0], lane);

			if (!env->native || !env->native(env->arg, &bad))
				return fault(w, lane, PTX_FAULT_ADDRESS, bad);
			continue;
		}
		if (f->builtin == BUILTIN_CONDITION) {
			uint64_t h = argument(w, &s->params[0], lane);
			uint32_t v = (uint32_t)argument(w, &s->params[1], lane);

			if (!env->condition || !env->condition(env->arg, h, v))
				return fault(w, lane, PTX_FAULT_ADDRESS, h);
			continue;
		}
		r = device_printf(w, lane, argument(w, &s->params[0], lane),
				  argument(w, &s->params[1], lane), &count);
		if (r != STEP_NEXT)
			return r;
		if (s->ret_count)
			result(w, &s->rets[0], lane, (uint32_t)count);
	}
	return STEP_NEXT;
}
