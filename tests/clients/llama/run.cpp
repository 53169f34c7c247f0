/* SPDX-License-Identifier: MIT */
/* llama.cpp decodes: run MODEL LAYERS prints the tokens that follow a prompt, the likeliest each
 * time, with so many layers on the GPU. */
#include "llama.h"

#include <cstdio>
#include <cstdlib>
#include <vector>

enum { PROMPT = 48, TOKENS = 32 };

/* Behind the last token of what was decoded, the only one of which there are logits. */
static llama_token likeliest(llama_context *ctx, const llama_model *model)
{
	const float *logits = llama_get_logits(ctx);
	llama_token best = 0;

	for (llama_token i = 1; i < llama_n_vocab(model); i++)
		if (logits[i] > logits[best])
			best = i;
	return best;
}

static void decode(llama_context *ctx, std::vector<llama_token> &tokens, int past)
{
	if (llama_decode(ctx, llama_batch_get_one(tokens.data(), (int)tokens.size(), past, 0))) {
		fprintf(stderr, "llama_decode failed\n");
		exit(1);
	}
}

int main(int argc, char **argv)
{
	llama_model_params with = llama_model_default_params();
	llama_context_params size = llama_context_default_params();
	std::vector<llama_token> tokens;
	llama_context *ctx;
	llama_model *model;
	int past = 0;

	if (argc != 3)
		return 2;
	llama_backend_init(false);
	with.n_gpu_layers = atoi(argv[2]);
	size.n_ctx = 128;
	size.n_batch = PROMPT;
	size.n_threads = size.n_threads_batch = 1;
	model = llama_load_model_from_file(argv[1], with);
	ctx = model ? llama_new_context_with_model(model, size) : NULL;
	if (!ctx)
		return 1;
	for (int i = 0; i < PROMPT; i++)
		tokens.push_back(3 + i * 7 % 250);
	for (int i = 0; i < TOKENS; i++) {
		decode(ctx, tokens, past);
		past += (int)tokens.size();
		tokens = {likeliest(ctx, model)};
		printf("%d ", tokens[0]);
	}
	printf("\n");
	llama_free(ctx);
	llama_free_model(model);
	llama_backend_free();
	return 0;
}
