// SPDX-License-Identifier: MIT
// Fetches of mipmapped textures: by level, by gradients, and of the level that a plain fetch takes.
#include "device.h"

struct place {
	float x, y, z, level;
};

struct slope {
	float x, y, dx[2], dy[2];
};

KERNEL mip_level(float *out, u64 tex, const place *at, u32 n)
{
	for (u32 i = global_index(); i < n; i += global_count()) {
		float v, a, b, c;

		asm("tex.level.2d.v4.f32.f32 {%0, %1, %2, %3}, [%4, {%5, %6}], %7;"
		    : "=f"(v), "=f"(a), "=f"(b), "=f"(c)
		    : "l"(tex), "f"(at[i].x), "f"(at[i].y), "f"(at[i].level));
		out[i] = v;
	}
}

KERNEL mip_slope(float *out, u64 tex, const slope *at, u32 n)
{
	for (u32 i = global_index(); i < n; i += global_count()) {
		float v, a, b, c;

		asm("tex.grad.2d.v4.f32.f32 {%0, %1, %2, %3}, [%4, {%5, %6}], {%7, %8}, {%9, %10};"
		    : "=f"(v), "=f"(a), "=f"(b), "=f"(c)
		    : "l"(tex), "f"(at[i].x), "f"(at[i].y), "f"(at[i].dx[0]), "f"(at[i].dx[1]),
		      "f"(at[i].dy[0]), "f"(at[i].dy[1]));
		out[i] = v;
	}
}

KERNEL mip_plain(float *out, u64 tex, const place *at, u32 n)
{
	for (u32 i = global_index(); i < n; i += global_count()) {
		float v, a, b, c;

		asm("tex.2d.v4.f32.f32 {%0, %1, %2, %3}, [%4, {%5, %6}];"
		    : "=f"(v), "=f"(a), "=f"(b), "=f"(c)
		    : "l"(tex), "f"(at[i].x), "f"(at[i].y));
		out[i] = v;
	}
}

KERNEL mip_line(float *out, u64 tex, const place *at, u32 n)
{
	for (u32 i = global_index(); i < n; i += global_count()) {
		float v, a, b, c;

		asm("tex.level.1d.v4.f32.f32 {%0, %1, %2, %3}, [%4, {%5}], %6;"
		    : "=f"(v), "=f"(a), "=f"(b), "=f"(c)
		    : "l"(tex), "f"(at[i].x), "f"(at[i].level));
		out[i] = v;
	}
}

KERNEL mip_box(float *out, u64 tex, const place *at, u32 n)
{
	for (u32 i = global_index(); i < n; i += global_count()) {
		float v, a, b, c;

		asm("tex.level.3d.v4.f32.f32 {%0, %1, %2, %3}, [%4, {%5, %6, %7, %7}], %8;"
		    : "=f"(v), "=f"(a), "=f"(b), "=f"(c)
		    : "l"(tex), "f"(at[i].x), "f"(at[i].y), "f"(at[i].z), "f"(at[i].level));
		out[i] = v;
	}
}

// z is the layer's number.
KERNEL mip_layers(float *out, u64 tex, const place *at, u32 n)
{
	for (u32 i = global_index(); i < n; i += global_count()) {
		float v, a, b, c;

		asm("tex.level.a2d.v4.f32.f32 {%0, %1, %2, %3}, [%4, {%5, %6, %7, %7}], %8;"
		    : "=f"(v), "=f"(a), "=f"(b), "=f"(c)
		    : "l"(tex), "r"((u32)at[i].z), "f"(at[i].x), "f"(at[i].y), "f"(at[i].level));
		out[i] = v;
	}
}

// A level's texels, as a surface: each is doubled.
KERNEL mip_double(u64 surface, u32 nx, u32 ny)
{
	for (u32 i = global_index(); i < nx * ny; i += global_count()) {
		u32 x = 4 * (i % nx), y = i / nx;
		float v;

		asm volatile("suld.b.2d.b32.trap %0, [%1, {%2, %3}];"
			     : "=f"(v)
			     : "l"(surface), "r"(x), "r"(y));
		asm volatile("sust.b.2d.b32.trap [%0, {%1, %2}], %3;" ::"l"(surface), "r"(x),
			     "r"(y), "f"(v * 2));
	}
}
