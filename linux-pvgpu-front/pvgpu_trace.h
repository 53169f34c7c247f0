/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Tracepoints: /sys/kernel/tracing/events/pvgpu. vgpu is N of /dev/pvgpuN. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM pvgpu

#if !defined(PVGPU_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define PVGPU_TRACE_H

#include <linux/tracepoint.h>

/* clang-format off */
/* The frontend's state changes; other is the backend's. */
TRACE_EVENT(pvgpu_state,
	TP_PROTO(int vgpu, unsigned int from, unsigned int to, unsigned int other),
	TP_ARGS(vgpu, from, to, other),
	TP_STRUCT__entry(
		__field(int, vgpu)
		__field(unsigned int, from)
		__field(unsigned int, to)
		__field(unsigned int, other)
	),
	TP_fast_assign(
		__entry->vgpu = vgpu;
		__entry->from = from;
		__entry->to = to;
		__entry->other = other;
	),
	TP_printk("vgpu=%d from=%u to=%u other=%u", __entry->vgpu, __entry->from, __entry->to,
		  __entry->other)
);

DECLARE_EVENT_CLASS(pvgpu_message,
	TP_PROTO(int vgpu, u32 op, u32 id, u32 session, int error),
	TP_ARGS(vgpu, op, id, session, error),
	TP_STRUCT__entry(
		__field(int, vgpu)
		__field(u32, op)
		__field(u32, id)
		__field(u32, session)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->vgpu = vgpu;
		__entry->op = op;
		__entry->id = id;
		__entry->session = session;
		__entry->error = error;
	),
	TP_printk("vgpu=%d op=0x%x id=%u session=%u error=%d", __entry->vgpu, __entry->op,
		  __entry->id, __entry->session, __entry->error)
);

/* On the control ring: a request, and an answer or event of the backend, also one that is dropped. */
DEFINE_EVENT(pvgpu_message, pvgpu_request,
	TP_PROTO(int vgpu, u32 op, u32 id, u32 session, int error),
	TP_ARGS(vgpu, op, id, session, error)
);
DEFINE_EVENT(pvgpu_message, pvgpu_answer,
	TP_PROTO(int vgpu, u32 op, u32 id, u32 session, int error),
	TP_ARGS(vgpu, op, id, session, error)
);

/* A session: number is the frontend's; what: open, lost, gone; value: error or enum pvgpu_end. */
TRACE_EVENT(pvgpu_session,
	TP_PROTO(int vgpu, u32 number, const char *what, int value),
	TP_ARGS(vgpu, number, what, value),
	TP_STRUCT__entry(
		__field(int, vgpu)
		__field(u32, number)
		__array(char, what, 8)
		__field(int, value)
	),
	TP_fast_assign(
		__entry->vgpu = vgpu;
		__entry->number = number;
		strscpy(__entry->what, what, sizeof(__entry->what));
		__entry->value = value;
	),
	TP_printk("vgpu=%d session=%u %s value=%d", __entry->vgpu, __entry->number, __entry->what,
		  __entry->value)
);

/* Grants were to end that the backend has mapped still; all: with those of before. */
TRACE_EVENT(pvgpu_held,
	TP_PROTO(unsigned int pages, unsigned int all),
	TP_ARGS(pages, all),
	TP_STRUCT__entry(
		__field(unsigned int, pages)
		__field(unsigned int, all)
	),
	TP_fast_assign(
		__entry->pages = pages;
		__entry->all = all;
	),
	TP_printk("pages=%u all=%u", __entry->pages, __entry->all)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE pvgpu_trace
#include <trace/define_trace.h>
