// SPDX-License-Identifier: MIT
// Texture fetches and surface accesses by object.
#include "device.h"

struct four {
	float x, y, z, w;
};

struct words {
	u32 x, y, z, w;
};

INLINE four fetch_2d(u64 tex, float x, float y)
{
	four v;

	asm("tex.2d.v4.f32.f32 {%0, %1, %2, %3}, [%4, {%5, %6}];"
	    : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
	    : "l"(tex), "f"(x), "f"(y));
	return v;
}

INLINE words words_2d(u64 tex, float x, float y)
{
	words v;

	asm("tex.2d.v4.u32.f32 {%0, %1, %2, %3}, [%4, {%5, %6}];"
	    : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
	    : "l"(tex), "f"(x), "f"(y));
	return v;
}

// out[i]: the fetch at (at[2 * i], at[2 * i + 1])
KERNEL tex_2d(four *out, u64 tex, const float *at, u32 n)
{
	for (u32 i = global_index(); i < n; i += global_count())
		out[i] = fetch_2d(tex, at[2 * i], at[2 * i + 1]);
}

KERNEL tex_2d_words(words *out, u64 tex, const float *at, u32 n)
{
	for (u32 i = global_index(); i < n; i += global_count())
		out[i] = words_2d(tex, at[2 * i], at[2 * i + 1]);
}

// Texels by number, before the first and behind the last, too.
KERNEL tex_line(words *out, u64 tex, int first, u32 n)
{
	for (u32 i = global_index(); i < n; i += global_count()) {
		words v;

		asm("tex.1d.v4.u32.s32 {%0, %1, %2, %3}, [%4, {%5}];"
		    : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
		    : "l"(tex), "r"(first + (int)i));
		out[i] = v;
	}
}

// Every texel of a box, x fastest.
KERNEL tex_3d(words *out, u64 tex, u32 nx, u32 ny, u32 nz)
{
	for (u32 i = global_index(); i < nx * ny * nz; i += global_count()) {
		float x = (float)(i % nx) + 0.5f, y = (float)(i / nx % ny) + 0.5f;
		float z = (float)(i / nx / ny) + 0.5f;
		words v;

		asm("tex.3d.v4.u32.f32 {%0, %1, %2, %3}, [%4, {%5, %6, %7, %7}];"
		    : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
		    : "l"(tex), "f"(x), "f"(y), "f"(z));
		out[i] = v;
	}
}

KERNEL tex_layers(words *out, u64 tex, u32 nx, u32 ny, u32 nz)
{
	for (u32 i = global_index(); i < nx * ny * nz; i += global_count()) {
		float x = (float)(i % nx) + 0.5f, y = (float)(i / nx % ny) + 0.5f;
		words v;

		asm("tex.a2d.v4.u32.f32 {%0, %1, %2, %3}, [%4, {%5, %6, %7, %7}];"
		    : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
		    : "l"(tex), "r"(i / nx / ny), "f"(x), "f"(y));
		out[i] = v;
	}
}

// to[x, y] = from[x, y] * 3 + x + y, words; what lies outside of `to` is not written.
KERNEL surf_2d(u64 to, u64 from, u32 nx, u32 ny)
{
	for (u32 i = global_index(); i < nx * ny; i += global_count()) {
		u32 x = i % nx, y = i / nx, v;

		asm volatile("suld.b.2d.b32.clamp %0, [%1, {%2, %3}];"
			     : "=r"(v)
			     : "l"(from), "r"(4 * x), "r"(y));
		asm volatile("sust.b.2d.b32.zero [%0, {%1, %2}], %3;" ::"l"(to), "r"(4 * x), "r"(y),
			     "r"(v * 3 + x + y));
	}
}

// An image turned about its middle, sampled between its texels; c, s: cosine and sine.
KERNEL rotate(float *out, u64 tex, u32 nx, u32 ny, float c, float s)
{
	for (u32 i = global_index(); i < nx * ny; i += global_count()) {
		float x = ((float)(i % nx) + 0.5f) / (float)nx - 0.5f;
		float y = ((float)(i / nx) + 0.5f) / (float)ny - 0.5f;

		out[i] = fetch_2d(tex, x * c - y * s + 0.5f, y * c + x * s + 0.5f).x;
	}
}
