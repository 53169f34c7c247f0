/* SPDX-License-Identifier: MIT */
#include "tests/gpu/probe/parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void run_one(const struct part *p)
{
	while (p->name && strcmp(p->name, opt.role))
		p++;
	while (p->name && !p->run)
		p++;
	if (p->name)
		p->run();
}

/* How long a part may take, in ms. When one has hung, others will probably, too. */
static unsigned int limit_of(const struct part *p, bool hung)
{
	const unsigned int most_s = hung ? (opt.quick ? 2 : 5) : opt.quick ? 10 : p->limit_s;

	return 1000 * (p->limit_s < most_s ? p->limit_s : most_s);
}

void parts_run(const struct part *parts)
{
	bool hung = false;
	int n = 0, well = 0;

	if (opt.role) {
		run_one(parts);
		return;
	}
	for (const struct part *p = parts; p->name; p++, n++) {
		const unsigned int limit_ms = limit_of(p, hung);
		const uint64_t begin = now_ns();
		char prefix[32];

		snprintf(prefix, sizeof(prefix), "%s_", p->name);
		if (role_run(p->name, prefix, p->env, limit_ms))
			well++;
		else if (now_ns() - begin >= limit_ms * 1000000ull)
			hung = true;
	}
	say_intf(well, "parts_well_of_%d", n);
	if (well < n)
		say_lacking();
}

bool part_context(void)
{
	CUcontext ctx;
	CUdevice dev;

	return cuda_context(&dev, &ctx);
}

void say_intf(int64_t value, const char *key, ...)
{
	char name[96];
	va_list args;

	va_start(args, key);
	vsnprintf(name, sizeof(name), key, args);
	va_end(args);
	say_int(name, value);
}
