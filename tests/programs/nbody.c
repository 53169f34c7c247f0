/* SPDX-License-Identifier: MIT */
/* Bodies under gravity in double precision: the CPU must get the same bits, step after step. */
#include <math.h>

#include "tests/programs/common.h"

PTX(ptx_nbody);

struct body {
	double x, y, z, mass;
};

static void step_on_cpu(const struct body *from, struct body *to, struct body *v, uint32_t n,
			double dt)
{
	for (uint32_t i = 0; i < n; i++) {
		double ax = 0, ay = 0, az = 0;

		for (uint32_t j = 0; j < n; j++) {
			double dx = from[j].x - from[i].x, dy = from[j].y - from[i].y;
			double dz = from[j].z - from[i].z;
			double d2 = dx * dx + dy * dy + dz * dz + 0.01;
			double pull = from[j].mass / (d2 * sqrt(d2));

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
}

int main(int argc, char **argv)
{
	uint32_t n = (uint32_t)argument(argc, argv, 1, 96),
		 steps = (uint32_t)argument(argc, argv, 2, 6);
	size_t bytes = n * sizeof(struct body);
	struct body *b[2] = {host_alloc(bytes), host_alloc(bytes)}, *v = host_alloc(bytes),
		    *got = host_alloc(bytes);
	struct random r = {23};
	double dt = 0.01;
	CUdeviceptr db[2], dv;
	CUfunction step;

	start();
	memset(v, 0, bytes);
	for (uint32_t i = 0; i < n; i++) {
		b[0][i].x = random_next(&r) / 4294967296.0;
		b[0][i].y = random_next(&r) / 4294967296.0;
		b[0][i].z = random_next(&r) / 4294967296.0;
		b[0][i].mass = 1 + random_next(&r) % 5;
	}
	step = function(load(ptx_nbody), "step");
	db[0] = upload(b[0], bytes);
	db[1] = device_alloc(bytes);
	dv = upload(v, bytes);
	for (uint32_t s = 0; s < steps; s++) {
		LAUNCH(step, (n + 63) / 64, 64, 0, NULL, &db[s % 2], &db[(s + 1) % 2], &dv, &n,
		       &dt);
		step_on_cpu(b[s % 2], b[(s + 1) % 2], v, n, dt);
	}
	download(got, db[steps % 2], bytes);
	for (uint32_t i = 0; i < n; i++)
		CHECK(!memcmp(&got[i], &b[steps % 2][i], sizeof(*got)),
		      "body %u is at %.17g %.17g %.17g", i, got[i].x, got[i].y, got[i].z);
	printf("nbody: %u bodies, %u steps, digest %016llx\n", n, steps,
	       (unsigned long long)digest(got, bytes));
	CU(cuMemFree(db[0]));
	CU(cuMemFree(db[1]));
	CU(cuMemFree(dv));
	finish();
	free(b[0]);
	free(b[1]);
	free(v);
	free(got);
	return 0;
}
