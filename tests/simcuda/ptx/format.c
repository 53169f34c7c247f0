/* SPDX-License-Identifier: MIT */
/*
 * printf of device code. The format comes from the guest and is parsed here. The C library only
 * gets single conversions, rebuilt from checked parts, with exactly one argument each.
 */
#include "tests/simcuda/ptx/exec.h"

#include <stdio.h>

#define FORMAT_MAX 8192
#define OUTPUT_MAX 32768
#define WIDTH_MAX  4096
#define STRING_MAX 8192

struct output {
	char text[OUTPUT_MAX];
	size_t used;
};

struct args {
	struct warp *w;
	uint32_t lane;
	uint64_t at;
	int32_t count;
};

struct conversion {
	char flags[8];
	int width, precision; /* -1: not given */
	bool is_long;
	char letter;
};

static void append(struct output *o, const char *s, size_t n)
{
	if (n > OUTPUT_MAX - o->used)
		n = OUTPUT_MAX - o->used;
	memcpy(o->text + o->used, s, n);
	o->used += n;
}

/* Arguments lie one after the other, each aligned to its size of 4 or 8. */
static bool next_arg(struct args *a, uint32_t bytes, uint64_t *v)
{
	a->at = (a->at + bytes - 1) & ~(uint64_t)(bytes - 1);
	*v = 0;
	if (!guest_read(a->w, a->lane, a->at, v, bytes))
		return false;
	a->at += bytes;
	return true;
}

static bool number_or_star(const char **p, struct args *a, int *n)
{
	uint64_t v;

	if (**p == '*') {
		(*p)++;
		if (!next_arg(a, 4, &v))
			return false;
		*n = (int32_t)v;
		return true;
	}
	*n = 0;
	while (**p >= '0' && **p <= '9') {
		if (*n < WIDTH_MAX)
			*n = *n * 10 + (**p - '0');
		(*p)++;
	}
	return true;
}

/* After the %: flags, width, precision, length, letter. */
static bool parse_conversion(const char **p, struct args *a, struct conversion *c)
{
	size_t n = 0;

	memset(c, 0, sizeof(*c));
	c->width = c->precision = -1;
	while (**p && strchr("-+ #0", **p)) {
		if (!strchr(c->flags, **p) || !n)
			c->flags[n++] = **p;
		if (n > 5)
			n = 5;
		(*p)++;
	}
	c->flags[n] = 0;
	if ((**p >= '1' && **p <= '9') || **p == '*') {
		if (!number_or_star(p, a, &c->width))
			return false;
		if (c->width < 0) {
			c->flags[n] = '-';
			c->flags[n + 1] = 0;
			c->width = c->width > -WIDTH_MAX ? -c->width : WIDTH_MAX;
		}
		c->width = c->width < WIDTH_MAX ? c->width : WIDTH_MAX;
	}
	if (**p == '.') {
		(*p)++;
		if (!number_or_star(p, a, &c->precision))
			return false;
		c->precision = c->precision < WIDTH_MAX ? c->precision : WIDTH_MAX;
	}
	while (**p && strchr("hlLqjzt", **p)) {
		c->is_long |= **p != 'h' && **p != 'L';
		(*p)++;
	}
	c->letter = **p;
	if (**p)
		(*p)++;
	return true;
}

/* "%", the flags, the numbers if given, then the length and letter that fit the argument's C type.
 */
static void rebuild(const struct conversion *c, const char *length, char *out, size_t size)
{
	int n = snprintf(out, size, "%%%s", c->flags);

	if (c->width >= 0)
		n += snprintf(out + n, size - (size_t)n, "%d", c->width);
	if (c->precision >= 0)
		n += snprintf(out + n, size - (size_t)n, ".%d", c->precision);
	snprintf(out + n, size - (size_t)n, "%s%c", length, c->letter);
}

#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static bool convert(struct output *o, struct args *a, const struct conversion *c)
{
	char format[64], text[2 * WIDTH_MAX + 512], string[STRING_MAX];
	uint64_t v;
	double d;
	int n;

	switch (c->letter) {
	case 'd':
	case 'i':
	case 'u':
	case 'o':
	case 'x':
	case 'X':
		if (!next_arg(a, c->is_long ? 8 : 4, &v))
			return false;
		if (!c->is_long && (c->letter == 'd' || c->letter == 'i'))
			v = (uint64_t)(int64_t)(int32_t)v;
		rebuild(c, "ll", format, sizeof(format));
		n = snprintf(text, sizeof(text), format, (unsigned long long)v);
		break;
	case 'c':
		if (!next_arg(a, 4, &v))
			return false;
		rebuild(c, "", format, sizeof(format));
		n = snprintf(text, sizeof(text), format, (int)(uint8_t)v);
		break;
	case 's':
		if (!next_arg(a, 8, &v))
			return false;
		if (!v)
			snprintf(string, sizeof(string), "(null)");
		else if (!guest_string(a->w, a->lane, v, string,
				       c->precision >= 0 && c->precision + 1 < STRING_MAX
					       ? (uint32_t)c->precision + 1
					       : STRING_MAX))
			return false;
		if (c->width < 0) {
			append(o, string, strlen(string));
			a->count++;
			return true;
		}
		rebuild(c, "", format, sizeof(format));
		n = snprintf(text, sizeof(text), format, string);
		break;
	case 'p':
		if (!next_arg(a, 8, &v))
			return false;
		n = snprintf(text, sizeof(text), "%#llx", (unsigned long long)v);
		break;
	default:
		if (!next_arg(a, 8, &v))
			return false;
		memcpy(&d, &v, sizeof(d));
		rebuild(c, "", format, sizeof(format));
		n = snprintf(text, sizeof(text), format, d);
	}
	a->count++;
	if (n > 0)
		append(o, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
	return true;
}

static bool run(struct output *o, struct args *a, const char *p)
{
	while (*p) {
		size_t plain = strcspn(p, "%");
		struct conversion c;

		append(o, p, plain);
		p += plain;
		if (!*p)
			break;
		p++;
		if (!parse_conversion(&p, a, &c))
			return false;
		if (c.letter == '%')
			append(o, "%", 1);
		else if (c.letter && strchr("diuoxXcspfFeEgGaA", c.letter)) {
			if (!convert(o, a, &c))
				return false;
		}
	}
	return true;
}

/* The number of arguments printed; -1 without a format. */
int device_printf(struct warp *w, uint32_t lane, uint64_t format, uint64_t args, int32_t *result)
{
	const struct ptx_env *env = w->cta->env;
	struct args a = {.w = w, .lane = lane, .at = args};
	char text[FORMAT_MAX];
	struct output o;

	*result = -1;
	if (!format)
		return STEP_NEXT;
	o.used = 0;
	if (!guest_string(w, lane, format, text, FORMAT_MAX) || !run(&o, &a, text))
		return STEP_FAULT;
	if (o.used)
		env->print(env->arg, o.text, o.used);
	*result = a.count;
	return STEP_NEXT;
}
