# SPDX-License-Identifier: MIT
"""A small model of llama's kind with random weights, of which a part has 16 bits: model.py FILE, with llama.cpp's gguf on the path."""
import sys

import gguf
import numpy

WIDTH, INNER, LAYERS, HEADS, WORDS = 64, 192, 3, 4, 288  # its kernels take rows of multiples of 64


def main(path):
    random = numpy.random.default_rng(43)
    out = gguf.GGUFWriter(path, "llama")
    out.add_context_length(128)
    out.add_embedding_length(WIDTH)
    out.add_block_count(LAYERS)
    out.add_feed_forward_length(INNER)
    out.add_rope_dimension_count(WIDTH // HEADS)
    out.add_head_count(HEADS)
    out.add_head_count_kv(HEADS)
    out.add_layer_norm_rms_eps(1e-5)
    words = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % i for i in range(256)]
    out.add_tokenizer_model("llama")
    out.add_token_list(words + ["word%d" % i for i in range(WORDS - len(words))])
    out.add_token_scores([0.0] * WORDS)
    out.add_token_types([2, 3, 3] + [6] * 256 + [1] * (WORDS - len(words)))
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)

    def weights(name, rows, columns, kind):
        out.add_tensor(name + ".weight", (random.standard_normal((rows, columns)) / columns ** 0.5).astype(kind))

    def norm(name):
        out.add_tensor(name + ".weight", (1 + random.standard_normal(WIDTH) / 8).astype(numpy.float32))

    weights("token_embd", WORDS, WIDTH, numpy.float32)
    for i in range(LAYERS):
        # A layer with 32 bits, and others.
        kind = numpy.float32 if i == 1 else numpy.float16
        for part in "attn_q", "attn_k", "attn_v", "attn_output":
            weights(f"blk.{i}.{part}", WIDTH, WIDTH, kind)
        for part in "ffn_gate", "ffn_up":
            weights(f"blk.{i}.{part}", INNER, WIDTH, kind)
        weights(f"blk.{i}.ffn_down", WIDTH, INNER, kind)
        norm(f"blk.{i}.attn_norm")
        norm(f"blk.{i}.ffn_norm")
    norm("output_norm")
    weights("output", WORDS, WIDTH, numpy.float32)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    main(sys.argv[1])
