/* SPDX-License-Identifier: MIT */
/*
 * A small transformer decoder: attention, normalisation, matrix-vector products, softmax and
 * sampling. The kernels' lengths differ, the host copies a little for each token and computes
 * between tokens.
 *
 *   decoder [TOKENS]             compares each token's logits with the same model on the CPU
 *   decoder bench SECONDS [US]   prints "ready", waits for a byte, and then prints how many tokens
 *                                a second it has decoded; US: of processor after each token
 */
#include <math.h>
#include <time.h>
#include <unistd.h>

#include "tests/programs/common.h"

PTX(ptx_decoder);

enum {
	WIDTH = 64,
	HEADS = 4,
	LAYERS = 4,
	HIDDEN = 192,
	WORDS = 256,
	CONTEXT = 64,
	LANES = 32,
	STORE = 0,
	ADD = 1,
	RECTIFY = 2
};

/* The weights, one after the other. */
struct layer {
	float before[WIDTH], q[WIDTH * WIDTH], k[WIDTH * WIDTH], v[WIDTH * WIDTH], o[WIDTH * WIDTH];
	float between[WIDTH], up[HIDDEN * WIDTH], down[WIDTH * HIDDEN];
};
struct model {
	struct layer layer[LAYERS];
	float after[WIDTH], head[WORDS * WIDTH];
};
struct state {
	float x[WIDTH], n[WIDTH], q[WIDTH], mixed[WIDTH], hidden[HIDDEN], logits[WORDS];
	float keys[LAYERS][CONTEXT * WIDTH], values[LAYERS][CONTEXT * WIDTH];
};

static struct model model;
static struct state cpu;
static float words[WORDS][WIDTH], places[CONTEXT][WIDTH];
static CUdeviceptr on_gpu, state;
static CUfunction normalise, multiply, attend;

static float weight_of(struct random *r)
{
	return ((float)(random_next(r) % 2001) - 1000.0f) / 4000.0f;
}

static void fill(struct random *r, float *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		v[i] = weight_of(r);
}

static void make_model(void)
{
	struct random r = {11};

	fill(&r, (float *)&model, sizeof(model) / sizeof(float));
	fill(&r, words[0], (size_t)WORDS * WIDTH);
	fill(&r, places[0], (size_t)CONTEXT * WIDTH);
}

/* ---- on the CPU, in the kernels' order ---- */

static float add_up(float part[LANES])
{
	for (int by = LANES / 2; by; by /= 2)
		for (int i = 0; i < by; i++)
			part[i] += part[i + by];
	return part[0];
}

static float power(float x)
{
	const float y = x * 1.44269504f;
	const int n = (int)y - 1;
	const float f = y - (float)n;
	uint32_t bits;
	float p, scale;

	if (n < -125)
		return 0;
	p = ((0.0554906f * f + 0.2402265f) * f + 0.6931472f) * f + 1.0f;
	bits = (uint32_t)(n + 127) << 23;
	memcpy(&scale, &bits, sizeof(scale));
	return p * scale;
}

static void cpu_normalise(const float *x, const float *w, float *out)
{
	float part[LANES] = {0}, scale;

	for (int i = 0; i < WIDTH; i++)
		part[i % LANES] += x[i] * x[i];
	scale = 1.0f / sqrtf(add_up(part) / (float)WIDTH + 0.00001f);
	for (int i = 0; i < WIDTH; i++)
		out[i] = x[i] * scale * w[i];
}

static void cpu_multiply(const float *w, const float *x, float *out, int rows, int columns, int how)
{
	for (int row = 0; row < rows; row++) {
		float part[LANES] = {0}, sum;

		for (int i = 0; i < columns; i++)
			part[i % LANES] += w[row * columns + i] * x[i];
		sum = add_up(part);
		if (how == ADD)
			sum += out[row];
		out[row] = how == RECTIFY && sum < 0 ? 0 : sum;
	}
}

static void cpu_attend(const float *q, const float *keys, const float *values, float *out, int n)
{
	const int size = WIDTH / HEADS;
	const float scale = 1.0f / sqrtf((float)size);

	for (int head = 0; head < HEADS; head++) {
		float weight[CONTEXT], most, total = 0;
		const int from = head * size;

		for (int t = 0; t < n; t++) {
			float sum = 0;

			for (int i = 0; i < size; i++)
				sum += q[from + i] * keys[t * WIDTH + from + i];
			weight[t] = sum * scale;
		}
		most = weight[0];
		for (int t = 1; t < n; t++)
			most = weight[t] > most ? weight[t] : most;
		for (int t = 0; t < n; t++) {
			weight[t] = power(weight[t] - most);
			total += weight[t];
		}
		for (int i = 0; i < size; i++) {
			float sum = 0;

			for (int t = 0; t < n; t++)
				sum += weight[t] * values[t * WIDTH + from + i];
			out[from + i] = sum / total;
		}
	}
}

static void cpu_step(int place)
{
	for (int i = 0; i < LAYERS; i++) {
		const struct layer *l = &model.layer[i];
		float *keys = cpu.keys[i], *values = cpu.values[i];

		cpu_normalise(cpu.x, l->before, cpu.n);
		cpu_multiply(l->q, cpu.n, cpu.q, WIDTH, WIDTH, STORE);
		cpu_multiply(l->k, cpu.n, keys + place * WIDTH, WIDTH, WIDTH, STORE);
		cpu_multiply(l->v, cpu.n, values + place * WIDTH, WIDTH, WIDTH, STORE);
		cpu_attend(cpu.q, keys, values, cpu.mixed, place + 1);
		cpu_multiply(l->o, cpu.mixed, cpu.x, WIDTH, WIDTH, ADD);
		cpu_normalise(cpu.x, l->between, cpu.n);
		cpu_multiply(l->up, cpu.n, cpu.hidden, HIDDEN, WIDTH, RECTIFY);
		cpu_multiply(l->down, cpu.hidden, cpu.x, WIDTH, HIDDEN, ADD);
	}
	cpu_normalise(cpu.x, model.after, cpu.n);
	cpu_multiply(model.head, cpu.n, cpu.logits, WORDS, WIDTH, STORE);
}

/* ---- on the GPU ---- */

/* The place of a member on the device. */
#define WEIGHTS(member) (on_gpu + offsetof(struct model, member))
#define STATE(member)   (state + offsetof(struct state, member))

static void gpu_normalise(CUdeviceptr x, CUdeviceptr w, CUdeviceptr out)
{
	uint32_t n = WIDTH;

	LAUNCH(normalise, 1, LANES, 0, NULL, &x, &w, &out, &n);
}

static void gpu_multiply(CUdeviceptr w, CUdeviceptr x, CUdeviceptr out, uint32_t rows,
			 uint32_t columns, uint32_t how)
{
	LAUNCH(multiply, rows, LANES, 0, NULL, &w, &x, &out, &columns, &how);
}

static void gpu_attend(CUdeviceptr keys, CUdeviceptr values, uint32_t n)
{
	CUdeviceptr q = STATE(q), out = STATE(mixed);
	uint32_t size = WIDTH / HEADS;

	LAUNCH(attend, HEADS, LANES, 0, NULL, &q, &keys, &values, &out, &n, &size);
}

static void gpu_step(uint32_t place)
{
	const size_t row = (size_t)place * WIDTH * sizeof(float);

	for (size_t i = 0; i < LAYERS; i++) {
		const CUdeviceptr keys = STATE(keys) + i * sizeof(cpu.keys[0]);
		const CUdeviceptr values = STATE(values) + i * sizeof(cpu.values[0]);
		const CUdeviceptr l = on_gpu + i * sizeof(struct layer);

		gpu_normalise(STATE(x), l + offsetof(struct layer, before), STATE(n));
		gpu_multiply(l + offsetof(struct layer, q), STATE(n), STATE(q), WIDTH, WIDTH,
			     STORE);
		gpu_multiply(l + offsetof(struct layer, k), STATE(n), keys + row, WIDTH, WIDTH,
			     STORE);
		gpu_multiply(l + offsetof(struct layer, v), STATE(n), values + row, WIDTH, WIDTH,
			     STORE);
		gpu_attend(keys, values, place + 1);
		gpu_multiply(l + offsetof(struct layer, o), STATE(mixed), STATE(x), WIDTH, WIDTH,
			     ADD);
		gpu_normalise(STATE(x), l + offsetof(struct layer, between), STATE(n));
		gpu_multiply(l + offsetof(struct layer, up), STATE(n), STATE(hidden), HIDDEN, WIDTH,
			     RECTIFY);
		gpu_multiply(l + offsetof(struct layer, down), STATE(hidden), STATE(x), WIDTH,
			     HIDDEN, ADD);
	}
	gpu_normalise(STATE(x), WEIGHTS(after), STATE(n));
	gpu_multiply(WEIGHTS(head), STATE(n), STATE(logits), WORDS, WIDTH, STORE);
}

/* One token: its logits. */
static void decode(uint32_t word, uint32_t place, float logits[WORDS])
{
	float x[WIDTH];

	for (int i = 0; i < WIDTH; i++)
		x[i] = words[word][i] + places[place][i];
	memcpy(cpu.x, x, sizeof(x));
	CU(cuMemcpyHtoD(STATE(x), x, sizeof(x)));
	gpu_step(place);
	CU(cuMemcpyDtoH(logits, STATE(logits), sizeof(cpu.logits)));
}

/* A word at random, by the softmax of the logits. */
static uint32_t sample(const float logits[WORDS], struct random *r)
{
	float most = logits[0], total = 0, weight[WORDS];
	float at;

	for (int i = 1; i < WORDS; i++)
		most = logits[i] > most ? logits[i] : most;
	for (int i = 0; i < WORDS; i++) {
		weight[i] = power(logits[i] - most);
		total += weight[i];
	}
	at = total * ((float)(random_next(r) % 65536) / 65536.0f);
	for (uint32_t i = 0; i < WORDS; i++) {
		if (at < weight[i])
			return i;
		at -= weight[i];
	}
	return WORDS - 1;
}

static void check(uint32_t tokens)
{
	struct random r = {5};
	float logits[WORDS];
	uint32_t word = 1;
	uint64_t all = 0;

	for (uint32_t t = 0; t < tokens; t++) {
		decode(word, t % CONTEXT, logits);
		cpu_step((int)(t % CONTEXT));
		for (int i = 0; i < WORDS; i++)
			CHECK(logits[i] == cpu.logits[i], "token %u: logit %d is %.9g, not %.9g", t,
			      i, (double)logits[i], (double)cpu.logits[i]);
		word = sample(logits, &r);
		all = all * 31 + word;
	}
	printf("decoder: %u tokens, digest %016llx\n", tokens, (unsigned long long)all);
}

static double seconds_now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void bench(double seconds, double busy_us)
{
	struct random r = {5};
	float logits[WORDS];
	uint32_t word = 1, n = 0;
	double begun, end, until;
	char go;

	for (uint32_t t = 0; t < 4; t++)
		decode(word, t, logits);
	puts("ready");
	if (read(0, &go, 1) != 1)
		exit(1);
	begun = seconds_now(CLOCK_MONOTONIC);
	end = begun + seconds;
	while (seconds_now(CLOCK_MONOTONIC) < end) {
		decode(word, n++ % CONTEXT, logits);
		word = sample(logits, &r);
		until = seconds_now(CLOCK_THREAD_CPUTIME_ID) + busy_us * 1e-6;
		while (seconds_now(CLOCK_THREAD_CPUTIME_ID) < until)
			;
	}
	printf("tokens_per_s %.2f\n", n / (seconds_now(CLOCK_MONOTONIC) - begun));
}

int main(int argc, char **argv)
{
	CUmodule module;

	start();
	make_model();
	module = load(ptx_decoder);
	normalise = function(module, "normalise");
	multiply = function(module, "multiply");
	attend = function(module, "attend");
	on_gpu = upload(&model, sizeof(model));
	state = device_alloc(sizeof(struct state));
	if (argc > 2 && !strcmp(argv[1], "bench"))
		bench(atof(argv[2]), argc > 3 ? atof(argv[3]) : 0);
	else
		check((uint32_t)argument(argc, argv, 1, 3));
	CU(cuMemFree(on_gpu));
	CU(cuMemFree(state));
	finish();
	return 0;
}
