/* SPDX-License-Identifier: MIT */
/*
 * Textures and surfaces. What a fetch gives is the CUDA programming guide's, "Texture Fetching":
 * filtered fetches weigh texels with 8 bits of fraction. What no document says is done like this:
 * an object of another geometry than the instruction's, or of none, is a fault; channels that the
 * texels lack are 0, 0 and 1; integers of 8 and 16 bits that come back as such are filtered like
 * others and rounded, which FFmpeg's scalers rely on (unproven), those of 32 bits are not filtered.
 * Levels of mipmapped arrays are chosen as graphics APIs choose them (unproven, too): a fetch that
 * names none is of level 0; by gradients it is the binary logarithm of the longer one, in texels of
 * level 0; then the texture's bias is added, and the result kept within its bounds. Integers are of
 * the nearer level.
 */
#include "tests/simcuda/ptx/exec.h"

#include <math.h>

static const uint8_t texel_bytes[] = {1, 2, 4, 1, 2, 4, 2, 4};

/* One channel of each: as it is, or as a float. */
union word {
	uint32_t u;
	float f;
};

struct fetch {
	struct warp *w;
	const struct ptx_texture *t;
	const struct ptx_level *level;
	bool to_float; /* integers become fractions of one */
};

static bool gives_float(const struct ptx_texture *t)
{
	return t->texel >= PTX_HALF ||
	       (!t->as_integer && t->texel != PTX_U32 && t->texel != PTX_S32);
}

static union word channel(const struct fetch *f, const uint8_t *at)
{
	union word v = {0};
	uint16_t h;

	switch (f->t->texel) {
	case PTX_U8:
		v.u = *at;
		if (f->to_float)
			v.f = (float)*at / 255;
		break;
	case PTX_S8:
		v.u = (uint32_t)(int8_t)*at;
		if (f->to_float)
			v.f = fmaxf((float)(int8_t)*at / 127, -1);
		break;
	case PTX_U16:
	case PTX_S16:
	case PTX_HALF:
		memcpy(&h, at, sizeof(h));
		v.u = f->t->texel == PTX_S16 ? (uint32_t)(int16_t)h : h;
		if (f->t->texel == PTX_HALF)
			v.f = half_to_float(h);
		else if (f->to_float)
			v.f = f->t->texel == PTX_U16 ? (float)h / 65535
						     : fmaxf((float)(int16_t)h / 32767, -1);
		break;
	default:
		memcpy(&v, at, sizeof(v));
		break;
	}
	return v;
}

/* The texel of an axis for any number; -1: the border. */
static int64_t wrapped(int64_t i, int64_t n, enum ptx_wrap how)
{
	int64_t k;

	if (i >= 0 && i < n)
		return i;
	switch (how) {
	case PTX_WRAP:
		k = i % n;
		return k < 0 ? k + n : k;
	case PTX_MIRROR:
		k = i % (2 * n);
		k = k < 0 ? k + 2 * n : k;
		return k < n ? k : 2 * n - 1 - k;
	case PTX_BORDER:
		return -1;
	default:
		return i < 0 ? 0 : n - 1;
	}
}

static enum ptx_wrap wrap_of(const struct ptx_texture *t, uint32_t axis)
{
	enum ptx_wrap how = t->wrap[axis];

	/* the guide: both are for normalised coordinates only, else they clamp */
	return !t->is_normalized && (how == PTX_WRAP || how == PTX_MIRROR) ? PTX_CLAMP : how;
}

/* The border has the texels' precision, as one of them that the device keeps (an H200 does). */
static float border(const struct fetch *f, uint32_t c)
{
	static const float most[] = {
		[PTX_U8] = 255, [PTX_U16] = 65535, [PTX_S8] = 127, [PTX_S16] = 32767};
	const enum ptx_texel texel = f->t->texel;
	const float v = f->t->border[c];

	if (!f->to_float || texel >= PTX_HALF || texel == PTX_U32 || texel == PTX_S32)
		return v;
	return roundf(fmaxf(fminf(v, 1), texel == PTX_U8 || texel == PTX_U16 ? 0 : -1) *
		      most[texel]) /
	       most[texel];
}

/* at: numbers of texels, any; the layer is in place already. False: a fault. */
static bool read_texel(const struct fetch *f, uint32_t lane, const int64_t at[3], uint32_t dims,
		       union word out[4])
{
	const struct ptx_texture *t = f->t;
	const uint32_t bytes = texel_bytes[t->texel];
	const struct ptx_level *v = f->level;
	uint64_t addr = v->base, stride[3] = {(uint64_t)bytes * t->channels, v->pitch, v->slice};

	for (uint32_t i = 0; i < 3; i++) {
		int64_t k = i < dims ? wrapped(at[i], v->size[i], wrap_of(t, i)) : at[i];

		if (k < 0 || (t->is_buffer && k != at[i])) {
			for (uint32_t c = 0; c < 4; c++)
				out[c].f = t->is_buffer ? 0 : border(f, c);
			if (!f->to_float && !t->is_buffer)
				for (uint32_t c = 0; c < 4; c++)
					out[c].u = (uint32_t)(int64_t)t->border[c];
			return true;
		}
		addr += (uint64_t)k * stride[i];
	}
	if (!address_allowed(f->w->cta, addr, (uint32_t)stride[0], false)) {
		fault(f->w, lane, PTX_FAULT_ADDRESS, addr);
		return false;
	}
	out[1].u = out[2].u = 0;
	if (f->to_float)
		out[3].f = 1;
	else
		out[3].u = 1;
	for (uint32_t c = 0; c < t->channels; c++)
		out[c] = channel(f, (const uint8_t *)(uintptr_t)addr + c * bytes);
	return true;
}

static int64_t to_number(float x)
{
	return x >= 1e9f ? 1000000000 : x > -1e9f ? (int64_t)floorf(x) : x < 0 ? -1000000000 : 0;
}

/* Two, four or eight texels, each by how near it is. */
static bool filtered(const struct fetch *f, uint32_t lane, const float x[3], int64_t layer_at[3],
		     uint32_t dims, union word out[4])
{
	float weight[3] = {0}, sum[4] = {0};
	int64_t first[3], at[3];

	memcpy(at, layer_at, sizeof(at));
	for (uint32_t i = 0; i < dims; i++) {
		const float b = x[i] - 0.5f;

		first[i] = to_number(b);
		if (b > -1e9f && b < 1e9f)
			weight[i] = floorf((b - floorf(b)) * 256 + 0.5f) / 256;
	}
	for (uint32_t corner = 0; corner < 1u << dims; corner++) {
		union word v[4];
		float part = 1;

		for (uint32_t i = 0; i < dims; i++) {
			part *= corner >> i & 1 ? weight[i] : 1 - weight[i];
			at[i] = first[i] + (corner >> i & 1);
		}
		if (part == 0)
			continue;
		if (!read_texel(f, lane, at, dims, v))
			return false;
		for (uint32_t c = 0; c < 4; c++)
			sum[c] += part * (f->to_float ? v[c].f : (float)(int32_t)v[c].u);
	}
	for (uint32_t c = 0; c < 4; c++) {
		if (f->to_float)
			out[c].f = sum[c];
		else
			out[c].u = (uint32_t)(int32_t)floorf(sum[c] + 0.5f);
	}
	return true;
}

/* One channel of the four texels around a place, counter-clockwise from the lower left one. */
static bool gathered(const struct fetch *f, uint32_t lane, const float x[3], int64_t layer_at[3],
		     uint32_t c, union word out[4])
{
	static const uint8_t dx[] = {0, 1, 1, 0}, dy[] = {1, 1, 0, 0};
	int64_t at[3];

	memcpy(at, layer_at, sizeof(at));
	for (uint32_t n = 0; n < 4; n++) {
		union word v[4];

		at[0] = to_number(x[0] - 0.5f) + dx[n];
		at[1] = to_number(x[1] - 0.5f) + dy[n];
		if (!read_texel(f, lane, at, 2, v))
			return false;
		out[n] = v[c];
	}
	return true;
}

static bool fits(const struct ptx_texture *t, const struct tex_op *op)
{
	return t && t->dims == op->dims && t->layered == (op->layered != 0);
}

static int64_t layer_of(const struct ptx_texture *t, uint32_t wanted, uint32_t dims)
{
	return wanted < t->size[dims] ? wanted : (int64_t)t->size[dims] - 1;
}

static bool sample_level(const struct fetch *f, const struct tex_op *op, uint32_t lane,
			 union word out[4])
{
	const struct ptx_texture *t = f->t;
	struct warp *w = f->w;
	int64_t at[3] = {0};
	float x[3];

	if (op->layered)
		at[op->dims] = layer_of(t, ((const uint32_t *)row(w, op->layer))[lane], op->dims);
	for (uint32_t i = 0; i < op->dims; i++) {
		if (!op->is_float) {
			at[i] = ((const int32_t *)row(w, op->at[i]))[lane];
			continue;
		}
		x[i] = ((const float *)row(w, op->at[i]))[lane];
		if (t->is_normalized)
			x[i] *= (float)f->level->size[i];
		at[i] = to_number(x[i]);
	}
	if (op->gather)
		return gathered(f, lane, x, at, op->gather - 1u, out);
	if (op->is_float && t->is_linear && t->texel != PTX_U32 && t->texel != PTX_S32 &&
	    !t->is_buffer)
		return filtered(f, lane, x, at, op->dims, out);
	return read_texel(f, lane, at, op->dims, out);
}

/* The logarithm of a gradient's length in texels of the first level. */
static float detail(struct warp *w, const struct tex_op *op, const struct ptx_texture *t,
		    uint32_t direction, uint32_t lane)
{
	float sum = 0;

	for (uint32_t i = 0; i < op->dims; i++) {
		const float d =
			((const float *)row(w, op->by[direction][i]))[lane] * (float)t->size[i];

		sum += d * d;
	}
	return log2f(sum) / 2;
}

static float level_of(struct warp *w, const struct tex_op *op, const struct ptx_texture *t,
		      uint32_t lane)
{
	float level = 0;

	if (op->level_by == LEVEL_GIVEN)
		level = ((const float *)row(w, op->by[0][0]))[lane];
	else if (op->level_by == LEVEL_BY_GRADIENTS)
		level = fmaxf(detail(w, op, t, 0, lane), detail(w, op, t, 1, lane));
	level = fminf(fmaxf(level + t->bias, t->least_level), t->most_level);
	return fminf(fmaxf(level, 0), (float)(t->levels - 1));
}

static bool sample(struct warp *w, const struct tex_op *op, const struct ptx_texture *t,
		   uint32_t lane, union word out[4])
{
	struct fetch f = {.w = w, .t = t, .level = t->level, .to_float = gives_float(t)};
	const float level = t->levels > 1 ? level_of(w, op, t, lane) : 0;
	float below = floorf(level), part = floorf((level - below) * 256 + 0.5f) / 256;
	union word next[4];

	if (!t->mixes_levels || !f.to_float || op->gather) {
		below = floorf(level + 0.5f);
		part = 0;
	}
	f.level = &t->level[(uint32_t)below];
	if (!sample_level(&f, op, lane, out))
		return false;
	if (part == 0)
		return true;
	f.level++;
	if (!sample_level(&f, op, lane, next))
		return false;
	for (uint32_t c = 0; c < 4; c++)
		out[c].f += part * (next[c].f - out[c].f);
	return true;
}

static const struct ptx_texture *find(struct warp *w, uint64_t handle, bool is_surface)
{
	const struct ptx_env *env = w->cta->env;

	return env->texture ? env->texture(env->arg, handle, is_surface) : NULL;
}

int op_tex(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct tex_op *op = i->ptr;
	const uint64_t *handle = row(w, i->a);
	const struct ptx_texture *t = NULL;
	uint32_t out[4][LANES];
	uint64_t last = 0;

	for (uint32_t m = mask; m; m &= m - 1) {
		const uint32_t l = (uint32_t)__builtin_ctz(m);
		union word v[4];

		if (!t || handle[l] != last)
			t = find(w, last = handle[l], false);
		if (!fits(t, op))
			return fault(w, l, PTX_FAULT_ADDRESS, handle[l]);
		if (!sample(w, op, t, l, v))
			return STEP_FAULT;
		for (uint32_t c = 0; c < 4; c++)
			out[c][l] = v[c].u;
	}
	for (uint32_t c = 0; c < 4; c++)
		put32(row(w, op->regs[c]), out[c], mask);
	return STEP_NEXT;
}

/* Where a surface's bytes are; 0: outside, and nothing is to be done. False: a fault. */
static bool surface_place(struct warp *w, const struct tex_op *op, const struct ptx_texture *t,
			  uint32_t lane, uint64_t *addr)
{
	const uint32_t bytes = (uint32_t)op->bytes * op->count;
	const int64_t row_bytes = (int64_t)t->size[0] * texel_bytes[t->texel] * t->channels;
	const uint64_t stride[3] = {1, t->pitch, t->slice};
	int64_t at[3] = {0};

	if (op->layered)
		at[op->dims] = layer_of(t, ((const uint32_t *)row(w, op->layer))[lane], op->dims);
	*addr = t->base;
	for (uint32_t i = 0; i < 3; i++) {
		const int64_t last = i ? (int64_t)t->size[i] - 1 : row_bytes - (int64_t)bytes;
		int64_t k = i < op->dims ? ((const int32_t *)row(w, op->at[i]))[lane] : at[i];

		if (i < op->dims && (k < 0 || k > last)) {
			if (op->outside == OUTSIDE_TRAP || last < 0) {
				fault(w, lane, PTX_FAULT_ADDRESS, (uint64_t)k);
				return false;
			}
			if (op->outside == OUTSIDE_ZERO) {
				*addr = 0;
				return true;
			}
			k = k < 0 ? 0 : last;
		}
		if (!i && k & (bytes - 1)) {
			fault(w, lane, PTX_FAULT_MISALIGNED, (uint64_t)k);
			return false;
		}
		*addr += (uint64_t)k * stride[i];
	}
	if (address_allowed(w->cta, *addr, bytes, op->store))
		return true;
	fault(w, lane, PTX_FAULT_ADDRESS, *addr);
	return false;
}

int op_surface(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct tex_op *op = i->ptr;
	const uint64_t *handle = row(w, i->a);
	const uint32_t count = op->count < 4 ? op->count : 4;
	uint64_t v[4][LANES] = {0}, addr;

	for (uint32_t c = 0; c < count && op->store; c++)
		get_wide(w, op->regs[c], (enum cls)op->cls, v[c]);
	for (uint32_t m = mask; m; m &= m - 1) {
		const uint32_t l = (uint32_t)__builtin_ctz(m);
		const struct ptx_texture *t = find(w, handle[l], true);

		if (!fits(t, op))
			return fault(w, l, PTX_FAULT_ADDRESS, handle[l]);
		if (!surface_place(w, op, t, l, &addr))
			return STEP_FAULT;
		for (uint32_t c = 0; c < count && addr; c++) {
			void *at = (void *)(uintptr_t)(addr + c * op->bytes);

			if (op->store)
				memcpy(at, &v[c][l], op->bytes);
			else
				memcpy(&v[c][l], at, op->bytes);
		}
	}
	for (uint32_t c = 0; c < count && !op->store; c++)
		put_wide(w, op->regs[c], (enum cls)op->cls, v[c], mask);
	return STEP_NEXT;
}

int op_query(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct tex_op *op = i->ptr;
	const uint64_t *handle = row(w, i->a);
	uint32_t out[LANES] = {0};

	for (uint32_t m = mask; m; m &= m - 1) {
		const uint32_t l = (uint32_t)__builtin_ctz(m);
		const struct ptx_texture *t = find(w, handle[l], op->is_surface);
		uint32_t levels, level = 0;

		if (!t)
			return fault(w, l, PTX_FAULT_ADDRESS, handle[l]);
		levels = t->levels ? t->levels : 1;
		if (op->level_by == LEVEL_GIVEN)
			level = ((const uint32_t *)row(w, op->by[0][0]))[l];
		if (op->what == QUERY_LEVELS)
			out[l] = levels;
		else if (level >= levels)
			out[l] = 0;
		else if (op->what < t->dims)
			out[l] = t->level[level].size[op->what];
		else if (op->what == QUERY_LAYERS && t->layered)
			out[l] = t->size[t->dims];
	}
	put32(row(w, i->d), out, mask);
	return STEP_NEXT;
}
