/* SPDX-License-Identifier: MIT */
/*
 * A tenant by hand that measures: obeys lines on standard input and answers each with one line of
 * JSON, so that its driver decides what is on the GPU when something happens, and can have
 * two of them take turns, one on the driver and one through pvgpu. An answer holds "command",
 * "result" ("ok" or the name of a CUresult, with "code" and the "call" that failed), then what was
 * found. Times are nanoseconds of CLOCK_MONOTONIC.
 */
#include "tests/gpu/meter/meter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct command {
	const char *name;
	command_fn *run;
	int least; /* words behind the name */
	const char *words, *text;
} commands[] = {
	{"open", do_open, 0, "[idle]",
	 "cuInit, primary context, module, first kernel but for `idle`: time and memory of each"},
	{"again", do_again, 0, "", "one more context, which becomes current"},
	{"where", do_where, 0, "", "the device's PCI bus id"},
	{"launch", do_launch, 1, "N", "empty kernels: the call, and in a row with their end"},
	{"awaited", do_awaited, 2, "CALL N",
	 "meminfo, synchronise or query: calls on an idle device that wait"},
	{"sync", do_sync, 2, "FLAG N [ITERATIONS]",
	 "kernel and cuStreamSynchronize, each; auto, spin, yield or blocking"},
	{"event", do_event, 1, "N", "cuEventRecord, and its end seen by cuEventSynchronize"},
	{"copy", do_copy, 4, "h2d|d2h pinned|pageable BYTES N",
	 "each with its end, and pinned ones in a row"},
	{"d2d", do_d2d, 2, "BYTES N", "within device memory"},
	{"hostreg", do_hostreg, 2, "BYTES N", "cuMemHostRegister, a copy from there, and its end"},
	{"release", do_release, 0, "", "what copies keep for the next one of the same size"},
	{"calibrate", do_calibrate, 1, "US",
	 "iterations of arithmetic that take so long on an idle GPU"},
	{"busy", do_busy, 2, "US SECONDS [INFLIGHT] [ITERATIONS] [AT_NS]",
	 "saturate the GPU, from AT_NS on: kernels done, also in each 100 ms from there"},
	{"latency", do_latency, 3, "US EVERY_US N [ITERATIONS]",
	 "one kernel and its end, every so often"},
	{"nap", do_nap, 2, "US N", "N kernels that compute nothing for so long, then their end"},
	{"memory", do_memory, 0, "", "what cuMemGetInfo and cuDeviceTotalMem say"},
	{"alloc", do_alloc, 1, "BYTES", "its address"},
	{"pin", do_pin, 1, "BYTES", "pinned host memory: its address"},
	{"free", do_free, 1, "ADDRESS", "of alloc"},
	{"fill", do_fill, 3, "ADDRESS BYTES N", "every byte becomes N"},
	{"scan", do_scan, 3, "ADDRESS BYTES N", "how many bytes are not 0, and how many are N"},
	{"scanpin", do_scanpin, 3, "ADDRESS BYTES N", "the same of pinned memory"},
	{"variable", do_variable, 1, "BYTES",
	 "a module with a variable of that size: the variable's address, the module"},
	{"unload", do_unload, 1, "MODULE", "of variable"},
	{"stain", do_stain, 1, "N", "every byte of a kernel's shared and local memory becomes N"},
	{"look", do_look, 1, "N",
	 "bytes of them, before a kernel writes any, that are not 0, and that are N"},
	{"limit", do_limit, 2, "stack|NUMBER VALUE", "cuCtxSetLimit, and what the limit is then"},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

uint64_t number(const struct words *w, int i, uint64_t fallback)
{
	return i < w->n ? strtoull(w->word[i], NULL, 0) : fallback;
}

static void obey(char *line)
{
	struct words w = {.word = {"", "", "", "", "", "", "", ""}};
	const char *name = strtok(line, " \t\n");
	const struct command *c = NULL;

	if (!name)
		return;
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(name, commands[i].name))
			c = &commands[i];
	for (char *p = strtok(NULL, " \t\n"); p && w.n < WORDS; p = strtok(NULL, " \t\n"))
		w.word[w.n++] = p;
	answer_begin(name);
	if (c && w.n >= c->least) {
		answer_end(c->run(&w));
		return;
	}
	say_text("usage", c ? c->words : "gpu-meter --help");
	answer_end(CUDA_ERROR_INVALID_VALUE);
}

static void usage(void)
{
	puts("usage: gpu-meter, and lines on standard input:");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %s %s\n      %s\n", commands[i].name, commands[i].words,
		       commands[i].text);
	puts("  quit\n      as a tidy program does; the end of input does the same");
}

int main(int argc, char **argv)
{
	char line[512];

	if (argc > 1) {
		usage();
		return strcmp(argv[1], "--help") ? 2 : 0;
	}
	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "quit\n"))
			break;
		obey(line);
	}
	do_close(NULL);
	return 0;
}
