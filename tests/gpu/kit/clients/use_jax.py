# SPDX-License-Identifier: MIT
"""JAX on its CUDA plugin, which works by way of NVIDIA's runtime."""
import sys

from client import absent, check

try:
    import jax
    import jax.numpy as jnp
except ImportError as e:
    absent(f"JAX cannot be imported: {e}")


def main():
    try:
        devices = jax.devices("cuda")
    except RuntimeError as e:
        if "Unknown backend" in str(e):
            absent("JAX is here without its CUDA plugin")
        sys.exit(f"client: {e}")
    a = jax.device_put(jnp.arange(4096, dtype=jnp.int32).reshape(64, 64), devices[0])
    check("add", (a + 3 * a).ravel().tolist(), [4 * i for i in range(4096)])
    check("product", [int(jax.jit(lambda m: (m @ m).sum())(a % 7))], [sum_of_product(7)])


def sum_of_product(modulus):
    m = [[(64 * i + k) % modulus for k in range(64)] for i in range(64)]
    columns = [sum(row[k] for row in m) for k in range(64)]
    return sum(columns[k] * sum(m[k]) for k in range(64))


main()
