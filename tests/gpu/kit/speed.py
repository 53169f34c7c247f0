# SPDX-License-Identifier: MIT
"""What a call costs natively and through pvgpu, side by side in the same seconds, so that a change of the machine's or the
GPU's speed meets both."""
import itertools

from meters import MeterError, Meters, alternate, compared, short
from stage import Failed, Item, Stage

STAGE = Stage("speed", "launches, waits and copies: native and pvgpu in turn, and ratios", limit_s=150, needs=["tests/gpu-meter"])


def items(ctx):
    yield Item("start", start, limit_s=60)
    yield Item("launch", launch, limit_s=40)
    yield Item("waits", waits, limit_s=60)
    for kind, way in itertools.product(("pinned", "pageable"), ("h2d", "d2h")):
        yield Item(f"{kind}_{way}", copies(kind, way), limit_s=60)
    yield Item("within", within, limit_s=60)


class Both:
    """One meter on the driver and one through pvgpu. What one command finds is kept when another fails, which the item does
    then in the end."""

    def __init__(self, ctx):
        self.ctx, self.wrong = ctx, []

    def __enter__(self):
        self.env = self.ctx.pvgpu(vgpus={"vgpu0": "memory=0"})
        self.env.__enter__()
        self.meters = Meters(self.ctx, self.env)
        try:
            self.pair = self.meters.open(), self.meters.open("vgpu0")
        except BaseException as e:
            self.__exit__(type(e), e, None)
            raise
        return self

    def run(self, name, *command, rounds=5, only=None):
        try:
            values = alternate(self.pair, command, 2 if self.ctx.quick else rounds, only, max(1, self.ctx.remaining()))
        except (MeterError, Failed) as e:
            self.wrong.append(f"{name}: {e}")
            return
        self.ctx.keep(**{f"{name}_{k}" if name else k: v for k, v in values.items()})

    def __exit__(self, kind, value, trace):
        # Their sessions have to be gone before pvgpud is asked whether anything is left.
        self.meters.__exit__(kind, value, trace)
        self.env.__exit__(kind, value, trace)
        if kind is None and self.wrong:
            raise Failed("; ".join(self.wrong))


def start(ctx):
    """From the start of the process to the end of its first kernel."""
    rounds = 2 if ctx.quick else 5
    found = {}
    with ctx.pvgpu(vgpus={"vgpu0": "memory=0"}) as env, Meters(ctx, env) as meters:
        for i in range(rounds):
            for side in ((0, 1) if i % 2 == 0 else (1, 0)):
                if side:
                    env.wait_spare()
                m = meters.begin("vgpu0" if side else None)
                said = meters.opened(m)
                meters.close([m])
                for key in ("start_ns", "init_ns", "context_ns", "module_ns", "first_kernel_ns"):
                    found.setdefault(key, ([], []))[side].append(said[key])
    return compared(found)


def launch(ctx):
    with Both(ctx) as both:
        both.run("", "launch", 500 if ctx.quick else 20000, rounds=9)


def waits(ctx):
    n = 50 if ctx.quick else 2000
    with Both(ctx) as both:
        for call in ("meminfo", "synchronise", "query"):
            both.run(call, "awaited", call, n)
        for flag in ("auto", "spin", "yield", "blocking"):
            both.run(flag, "sync", flag, n)
        # A kernel long enough that a wait which spins for a while and then sleeps is asleep.
        iterations = both.pair[0].do("calibrate", 200)["iterations"]
        for flag in ("auto", "blocking"):
            both.run(f"{flag}_200us", "sync", flag, n // 10, iterations)
        both.run("", "event", n)


def copies(kind, way):
    def measure(ctx):
        sizes = [4096 << 3 * i for i in range(4 if ctx.quick else 6)] + ([] if ctx.quick else [1 << 30])
        skipped = []
        with Both(ctx) as both:
            for size in sizes:
                # The largest takes seconds a round, with the check of each byte.
                if size >= 128 << 20 and ctx.remaining() < 35:
                    skipped.append(short(size))
                    continue
                large = size >= 128 << 20
                both.run(short(size), "copy", way, kind, size, max(3, min(200, (64 << 20) // size)), rounds=2 if large else 5,
                         only=("copy_p50",) if size < 256 << 10 else ("copy_gbps", "row_gbps"))
        return {"not_measured": skipped} if skipped else None

    return measure


def within(ctx):
    """Copies within device memory, and registered memory of the application's own."""
    with Both(ctx) as both:
        for size in ((1 << 20,) if ctx.quick else (1 << 20, 256 << 20)):
            both.run(f"d2d_{short(size)}", "d2d", size, 20)
            both.run(f"hostreg_{short(size)}", "hostreg", size, 3, rounds=3)
