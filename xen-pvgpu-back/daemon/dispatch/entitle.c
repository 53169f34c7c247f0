/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/dispatch/entitle.h"

#define SLIP_COMMANDS 2u         /* commands issued late in one closing that are tolerated */
#define SLIPS         4u         /* closings with late commands that are tolerated in a burst */
#define SLIP_NS       250000000u /* time for one more such closing */
#define BLANK_NS      200000000u /* the longest that the report of ended work may take */
/* The longest that an adopted worker may go without a report: it works until it gets to read of its
 * gate, which takes long on a machine where everything starts again at once. */
#define UNKNOWN_NS 30000000000ull

void entitle_init(struct entitle *e, bool busy, uint64_t now)
{
	/* An adopted worker's number of issued commands is not known yet: UINT64_MAX is never
	 * exceeded. */
	*e = (struct entitle){.unknown_ns = busy ? now + UNKNOWN_NS : 0,
			      .draining = busy,
			      .slips = SLIPS,
			      .slips_ns = now,
			      .since_ns = now,
			      .at_close = busy ? UINT64_MAX : 0};
}

static bool says_blank(const struct pvgpu_gate_report *r)
{
	return !r->drained && !r->oldest_ns;
}

static void count(struct entitle *e, const struct pvgpu_gate_report *r, uint64_t now)
{
	uint64_t d = now > e->since_ns ? now - e->since_ns : 0;

	e->since_ns += d;
	if (e->open)
		e->total_ns += d;
	else if (e->draining)
		e->drain_ns += d;
	/* The report must be blank at both ends of the interval, which may be long. */
	if (!e->open && e->blank && says_blank(r))
		e->blank_ns += d;
}

/* The part of a drain of `ns` that counts; `blank`: time in which the worker reported no unfinished
 * work. */
static uint64_t drained(uint64_t ns, uint64_t blank)
{
	uint64_t vain = blank > BLANK_NS ? blank - BLANK_NS : 0;

	return ns > vain ? ns - vain : 0;
}

static void end_drain(struct entitle *e)
{
	if (!e->late && !e->first)
		e->total_ns += drained(e->drain_ns, e->blank_ns);
	e->drain_ns = 0;
	e->draining = e->first = false;
}

static bool has_reported(const struct pvgpu_gate_report *r)
{
	return r->commands || r->wants || r->drained;
}

/* The first report of an adopted worker is taken as its number of commands when its gate closed. */
static void look_unknown(struct entitle *e, const struct pvgpu_gate_report *r, uint64_t now)
{
	if (!e->unknown_ns || (!has_reported(r) && now < e->unknown_ns))
		return;
	e->unknown_ns = 0;
	if (e->at_close == UINT64_MAX)
		e->at_close = r->commands;
	if (!has_reported(r) && e->draining)
		end_drain(e);
}

/*
 * A single look may fall between two stores of the worker. So a report counts as blank only if all
 * looks find it so and the number of commands stays. A gate that opens for a moment in between
 * makes no difference.
 */
static void look_blank(struct entitle *e, const struct pvgpu_gate_report *r)
{
	if (r->drained || r->oldest_ns || r->commands > e->at_blank)
		e->blank_ns = 0;
	if (r->commands > e->at_blank)
		e->at_blank = r->commands;
	e->blank = !e->unknown_ns && (r->commands || r->wants) && says_blank(r);
}

/* The worker has issued commands while its gate was closed. Is that tolerated this time? */
static bool slip(struct entitle *e, uint64_t commands, uint64_t now)
{
	uint64_t more = now > e->slips_ns ? (now - e->slips_ns) / SLIP_NS : 0;

	if (commands - e->at_close > SLIP_COMMANDS || e->late)
		return false;
	if (e->slipped)
		return true;
	e->slips = e->slips + more < SLIPS ? e->slips + (unsigned int)more : SLIPS;
	e->slips_ns += more * SLIP_NS;
	if (!e->slips)
		return false;
	e->slips--;
	e->slipped = true;
	return true;
}

void entitle_gate(struct entitle *e, bool open, const struct pvgpu_gate_report *r, uint64_t now)
{
	bool was_open = e->open;

	count(e, r, now);
	look_unknown(e, r, now);
	if (was_open && !open) {
		e->at_close = e->unknown_ns ? UINT64_MAX : r->commands;
		e->late = e->slipped = false;
		e->draining = !r->drained;
		/* The first command since the last drain may be in the middle of its issue. It
		 * shows up before the GPU has it, and not at all if the worker then sees that the
		 * gate has been closed: until it does there is nothing to drain. at_drained may be
		 * one too high, when an announcement was withdrawn between two reads of the report;
		 * then the command itself tells since when it runs. */
		e->first = !e->unknown_ns && e->draining && r->commands <= e->at_drained &&
			   !r->oldest_ns;
	} else if (!was_open && r->commands > e->at_close) {
		e->late = !slip(e, r->commands, now);
		e->first = false;
		if (e->late) {
			e->drain_ns = 0;
			e->late_commands = r->commands - e->at_close;
		}
		e->draining = !e->late && (e->draining || !r->drained);
	}
	e->open = open;
	if (e->draining && (open || r->drained))
		end_drain(e);
	look_blank(e, r);
	if (r->drained && r->commands > e->at_drained)
		e->at_drained = r->commands;
}

uint64_t entitle_ns(const struct entitle *e, uint64_t now)
{
	uint64_t d = now > e->since_ns ? now - e->since_ns : 0;

	if (e->open)
		return e->total_ns + d;
	if (!e->draining || e->first)
		return e->total_ns;
	return e->total_ns + drained(e->drain_ns + d, e->blank_ns + (e->blank ? d : 0));
}
