# SPDX-License-Identifier: MIT
"""Trains a small transformer by JAX on the device that JAX_PLATFORMS names and prints the losses, one a line. Matrix products are sums of
products; with the argument `matmul`, XLA's own. Then the libraries of CUDA that are loaded, a path a line; and, by pvgpu, `awaited N`, the calls of one of the
last steps that waited for an answer (the median: in some step XLA asks again and again whether the GPU is ready); and `control N`, which loops and branches have made."""
import ctypes
import re
import statistics
import sys

import jax
import jax.numpy as jnp
import numpy

LAYERS, WIDTH, HEADS, WORDS, LENGTH, BATCH, STEPS, STEADY = 2, 16, 2, 11, 8, 4, 12, 4


def product(a, b):
    return a @ b if "matmul" in sys.argv[1:] else (a[..., :, None] * b[..., None, :, :]).sum(-2)


def norm(x):
    return (x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)


def parameters():
    random = numpy.random.default_rng(7)
    made = lambda *shape: jnp.asarray(random.normal(0, 0.2, shape), jnp.float32)
    return {"words": made(WORDS, WIDTH), "places": made(LENGTH, WIDTH),
            "layers": {"qkv": made(LAYERS, WIDTH, 3 * WIDTH), "out": made(LAYERS, WIDTH, WIDTH), "up": made(LAYERS, WIDTH, 4 * WIDTH),
                       "down": made(LAYERS, 4 * WIDTH, WIDTH)}}


def layer(x, p):
    heads = lambda t: t.reshape(BATCH, LENGTH, HEADS, WIDTH // HEADS).swapaxes(1, 2)
    q, k, v = (heads(t) for t in jnp.split(product(norm(x), p["qkv"][None]), 3, -1))
    scores = product(q, k.swapaxes(-1, -2)) / (WIDTH // HEADS) ** 0.5
    scores = jnp.where(jnp.tril(jnp.ones((LENGTH, LENGTH), bool)), scores, -1e9)
    mixed = product(jax.nn.softmax(scores), v).swapaxes(1, 2).reshape(BATCH, LENGTH, WIDTH)
    x = x + product(mixed, p["out"][None])
    return x + product(jax.nn.gelu(product(norm(x), p["up"][None])), p["down"][None]), None


def loss(p, text):
    x, _ = jax.lax.scan(layer, p["words"][text] + p["places"], p["layers"])
    logits = product(norm(x)[:, :-1], p["words"].T[None])
    right = jax.nn.one_hot(text[:, 1:], WORDS)
    return -(jax.nn.log_softmax(logits) * right).sum(-1).mean()


@jax.jit
def step(p, first, second, count, text):
    """Adam."""
    value, g = jax.value_and_grad(loss)(p, text)
    first = jax.tree.map(lambda m, d: 0.9 * m + 0.1 * d, first, g)
    second = jax.tree.map(lambda v, d: 0.99 * v + 0.01 * d * d, second, g)
    change = lambda w, m, v: w - 0.01 * (m / (1 - 0.9 ** count)) / (jnp.sqrt(v / (1 - 0.99 ** count)) + 1e-8)
    return jax.tree.map(change, p, first, second), first, second, value


@jax.jit
def control(x):
    """A loop that goes on while the data says so, with a branch and a switch in each round."""
    def one(state):
        count, v = state
        v = jax.lax.cond(count % 2 == 0, lambda v: v * 1.5, lambda v: v + 0.25, v)
        return count + 1, jax.lax.switch(count % 3, [lambda v: v * 0.5, lambda v: -v, lambda v: v + 1], v)
    count, v = jax.lax.while_loop(lambda s: (s[0] < 40) & (jnp.abs(s[1]).sum() < 1000), one, (0, x))
    return count + v.sum()


def awaited():
    """Calls so far that waited for an answer; None: the driver is not pvgpu's."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        driver = re.search(r"/\S*/libcuda\.so\.1", maps.read())
    count = getattr(ctypes.CDLL(driver[0]), "pvgpuAwaited", None) if driver else None
    if count:
        count.restype = ctypes.c_uint64
    return count() if count else None


def main():
    p = parameters()
    first = second = jax.tree.map(jnp.zeros_like, p)
    text = jnp.asarray((numpy.arange(BATCH)[:, None] * 3 + numpy.arange(LENGTH) * 2) % WORDS)
    counts = []
    for count in range(1, STEPS + 1):
        before = awaited()
        p, first, second, value = step(p, first, second, jnp.float32(count), text)
        print(f"{float(value):.6f}", flush=True)
        if before is not None:
            counts.append(awaited() - before)
    if counts:
        print(f"awaited {statistics.median(counts[-STEADY:])}")
    print(f"control {float(control(jnp.arange(8.0)))}")
    with open("/proc/self/maps", encoding="utf-8") as maps:
        print(*sorted(set(re.findall(r"/\S*/lib(?:cu|nvidia|nccl)\S*", maps.read()))), sep="\n")


if __name__ == "__main__":
    main()
