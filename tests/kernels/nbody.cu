/* SPDX-License-Identifier: MIT */
/* Bodies under gravity, double precision; every operation is rounded once, so a CPU gets the same bits. */
#include "device.h"

struct body {
	double x, y, z, mass;
};

struct velocity {
	double x, y, z, unused;
};

KERNEL step(const body *from, body *to, velocity *v, u32 n, double dt)
{
	u32 i = global_index();
	double ax = 0, ay = 0, az = 0;

	if (i >= n)
		return;
	for (u32 j = 0; j < n; j++) {
		double dx = from[j].x - from[i].x, dy = from[j].y - from[i].y, dz = from[j].z - from[i].z;
		double d2 = dx * dx + dy * dy + dz * dz + 0.01;
		double pull = from[j].mass / (d2 * __nvvm_sqrt_rn_d(d2));

		ax += dx * pull;
		ay += dy * pull;
		az += dz * pull;
	}
	v[i].x += ax * dt;
	v[i].y += ay * dt;
	v[i].z += az * dt;
	to[i].x = from[i].x + v[i].x * dt;
	to[i].y = from[i].y + v[i].y * dt;
	to[i].z = from[i].z + v[i].z * dt;
	to[i].mass = from[i].mass;
}
