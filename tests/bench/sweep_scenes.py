# SPDX-License-Identifier: MIT
"""The scenes of sweep.py: those with a name of their own, and a covering design over everything else.

In the covering design each pair of two factors' values, of which one is the number of tenants, the length of pieces or
the pool's mode, occurs together in some scene, unless it cannot be run in the
time or driven by two processors
(`feasible`). It is drawn anew at each start, and is always the same.
"""
import itertools
import random
import typing

# A lower class has one piece of 64 by relief (docs/scheduling-model.md). In pieces, for two of them:
RELIEF_PIECES = 128
MOST_S = 16.0   # the longest span of a scene, in seconds
LEAST_S = 2.0
TURNS_S = 0.08  # or so long for each tenant: ten turns of those that many tenants have
FILLS_US = 1000  # work in flight that lasts while a client learns of a piece's end and launches the next one
PIECES = 10     # longest pieces that fit into the span of the lightest tenant


class Part(typing.NamedTuple):
    """Streams of a program with pieces of one length; length 0: ten copies of 4 KiB each."""
    us: int
    depth: int = 64
    streams: int = 1
    think_us: int = 0
    small: int = 0    # kernels of 10 us behind each piece

    def spec(self):
        return f"{self.us}:{self.depth}:{self.streams}:{self.think_us}:{self.small}"

    def waits(self):
        """Does it wait for its results, so that it may have nothing on the GPU?"""
        return self.think_us > 0 or self.depth * self.streams == 1 or self.us * self.depth * self.streams < FILLS_US


class Tenant(typing.NamedTuple):
    parts: tuple
    weight: int = 100
    keys: str = ""      # more of the vGPU's settings
    most: float = 1.0   # its max-share
    start_ms: int = 0
    end_ms: int = 0     # 0: it stays

    def longest_s(self):
        return max(p.us for p in self.parts) * 1e-6


class Scene(typing.NamedTuple):
    name: str
    tenants: list
    exclusive: bool = False
    promise: tuple = ()   # parts of the GPU where they do not follow from weights and maxima
    shares: bool = True   # are they judged?
    # (tenant, part, what in microseconds its median piece may take longer than alone on the GPU directly)
    median: tuple = ()
    cap_s: float = MOST_S

    def stay(self):
        return [i for i, t in enumerate(self.tenants) if not t.end_ms]

    def settled_s(self):
        """When the last one has come or gone."""
        return max(max(t.start_ms, t.end_ms) for t in self.tenants) * 1e-3

    def parts(self):
        """By weight, or as promised, of those that stay; by the tenant's number."""
        if self.promise:
            return dict(enumerate(self.promise))
        total = sum(self.tenants[i].weight for i in self.stay())
        return {i: self.tenants[i].weight / total for i in self.stay()}

    def wanted_s(self):
        """Ten longest pieces x total weight / lightest weight; below a higher class two pieces of relief."""
        parts, longest = self.parts().values(), max(t.longest_s() for t in self.tenants)
        relief = RELIEF_PIECES * longest if 0 in parts else 0
        return max(LEAST_S, TURNS_S * len(self.tenants), PIECES * longest / min(p for p in parts if p > 0), relief)

    def span_s(self, cap_s=None):
        return min(self.wanted_s(), self.cap_s, cap_s or self.cap_s)

    def kind(self):
        """All tenants are alike but for their weights: the kind. Otherwise None."""
        kinds = {(t.parts, t.keys) for t in self.tenants}
        return kinds.pop()[0] if len(kinds) == 1 else None


WEIGHTS = (100, 200, 100, 400)
LONG_S = 24.0  # of scenes with pieces of a second: a defect of theirs shows after 20 s


def named():
    """Scenes in which release 0.1 gave other shares, waits or overlaps than promised."""
    def four(us):
        return Scene(f"four-{length(us)}", [Tenant((Part(us),), w, start_ms=300 * i) for i, w in enumerate(WEIGHTS)])

    def joins(us, exclusive, alone, cap_s):
        name = f"{'alone' if alone else 'joins'}-{length(us)}" + ("-exclusive" if exclusive else "")
        return Scene(name, [Tenant((Part(us),), 100), Tenant((Part(1000),), 400, start_ms=300 if alone else 0)], exclusive, cap_s=cap_s)

    def beside(name, us, high, low, promise):
        return Scene(f"{name}-{length(us)}", [Tenant((Part(1000),), 100, high), Tenant((Part(us),), *low)], promise=promise,
                     cap_s=2.5 * MOST_S if 0 in promise else MOST_S)

    def loop(us):
        return Scene(f"loop-beside-{length(us)}", [Tenant((Part(300, 1),), start_ms=300), Tenant((Part(us, 16),))], shares=False,
                     median=(0, 0, us * 1.1 + 500))

    def steps(name, first, second, exclusive=False):
        """Two programs that wait for each piece: (length, weight, pause)."""
        tenants = [Tenant((Part(us, 1, think_us=think),), w) for us, w, think in (first, second)]
        whole = first[1] + second[1]
        return Scene(f"steps-{name}" + ("-exclusive" if exclusive else ""), tenants, exclusive,
                     promise=(first[1] / whole, second[1] / whole), cap_s=6.0)

    def inner(name, busy, us=10, more_us=500):
        return Scene(f"inner-{name}", [Tenant((busy, Part(us, 1, think_us=2000)))], median=(0, 1, more_us))

    def streams(name, us, beside_us=0, think_us=0):
        other = [Tenant((Part(beside_us, 8, think_us=think_us),))] if beside_us else []
        return Scene(f"streams-100-{length(us)}-{name}", [Tenant((Part(us, 2, 100),)), *other], shares=not think_us)

    def many(n, us):
        return Scene(f"many-{n}-{length(us)}", [Tenant((Part(us, 2),))] * n)

    return [
        *map(four, (500, 1000, 5000, 42000, 50000, 100000)),
        joins(300000, False, True, MOST_S), joins(1000000, False, True, LONG_S),
        joins(300000, True, True, MOST_S), joins(1000000, True, True, LONG_S), joins(1000000, True, False, LONG_S),
        *(beside("class", us, "priority=high", (100, "priority=low"), (1, 0)) for us in (1000, 50000, 300000)),
        *(beside("minimum", us, "min-share=60%", (900,), (0.6, 0.4)) for us in (1000, 50000, 300000)),
        Scene("maximum-1ms", [Tenant((Part(1000),), 100, "max-share=25%", 0.25), Tenant((Part(1000),), 100)], promise=(0.25, 0.75)),
        Scene("maximum-100ms", [Tenant((Part(100000),), 400, "max-share=25%", 0.25), Tenant((Part(1000),), 100)], promise=(0.25, 0.75)),
        Scene("maxima-20ms", [Tenant((Part(20000),), 100, "max-share=20%", 0.2), Tenant((Part(20000),), 100, "max-share=30%", 0.3)],
              promise=(0.2, 0.3)),
        *(steps(length(us), (us, 400, 0), (us, 100, 0)) for us in (5000, 20000, 100000)),
        steps("20ms", (20000, 400, 0), (20000, 100, 0), True), steps("100ms-pauses-1ms", (100000, 400, 1000), (100000, 100, 1000)),
        steps("20ms-beside-100ms", (20000, 100, 0), (100000, 100, 0), True),
        *map(loop, (1000, 5000, 12000, 20000)),
        inner("4x1ms", Part(1000, 4)), inner("5x1ms", Part(1000, 5)), inner("8x1ms", Part(1000, 8)),
        inner("2x10ms", Part(10000, 2)), inner("3x10ms", Part(10000, 3)),
        inner("300ms-and-2", Part(300000, 1, small=2)), inner("copies-300ms", Part(300000, 2), us=0, more_us=1000),
        streams("alone", 500), streams("pausing", 500, 500, 1000), streams("beside", 500, 500),
        streams("alone", 20000), streams("beside", 20000, 500), streams("beside-20ms", 20000, 20000),
        *(many(n, 500) for n in (8, 32, 64, 100)), many(100, 1000),
    ]


def length(us):
    if us < 1000:
        return f"{us}us"
    return f"{us // 1000}ms" if us < 1000000 else f"{us // 1000000}s"


# ---- the covering design ----
FACTORS = {
    "tenants": (2, 4, 8, 32, 100),
    "us": (20, 100, 500, 2000, 5000, 20000, 50000, 100000, 300000, 1000000, 3000000),
    "depth": (1, 2, 8, 64),
    "streams": (1, 4, 16, 100),
    "exclusive": (False, True),
    "weights": ("equal", "1214"),
    "event": ("stay", "alone", "join", "leave"),
}
COVER_S = 10.0      # the longest span
LONGEST_CUT = 6.0   # a span may be cut by that factor
MOST_THREADS = 400
MOST_RATE = 20000   # pieces a second
MAIN = {"tenants", "us", "exclusive"}  # of each pair one is among these


def feasible(c):
    scene = made(c)
    rate = c["streams"] * 1e6 / c["us"]
    return (scene.wanted_s() <= LONGEST_CUT * scene.span_s() and c["tenants"] * c["streams"] <= MOST_THREADS
            and (c["streams"] == 1 or rate <= MOST_RATE))


def made(c):
    """The scene of a choice of the factors' values."""
    tenants = []
    for i in range(c["tenants"]):
        late = i >= c["tenants"] * 2 // 3
        start = 300 if c["event"] == "alone" and i else 700 if c["event"] == "join" and late else 0
        end = 1000 if c["event"] == "leave" and late and i > 1 else 0
        weight = WEIGHTS[i % 4] if c["weights"] == "1214" else 100
        tenants.append(Tenant((Part(c["us"], c["depth"], c["streams"]),), weight, start_ms=start, end_ms=end))
    words = [str(c["tenants"]), length(c["us"]), f"d{c['depth']}", f"s{c['streams']}", c["weights"], c["event"]]
    return Scene("-".join(words + (["exclusive"] if c["exclusive"] else [])), tenants, c["exclusive"], cap_s=COVER_S)


def pairs(c):
    return {p for p in itertools.combinations(c.items(), 2) if MAIN & {p[0][0], p[1][0]}}


def covering():
    """Each time the scene, of many that are drawn, that has the most pairs for its length which no scene has had."""
    draw = random.Random(37)
    rows = [r for r in (dict(zip(FACTORS, v)) for v in itertools.product(*FACTORS.values())) if feasible(r)]
    left = set().union(*map(pairs, rows))
    scenes = []
    while left:
        some = draw.sample(rows, 400)
        best = max(some, key=lambda c: len(pairs(c) & left) / (6 + made(c).span_s()))
        if not pairs(best) & left:
            best = next(c for c in rows if pairs(c) & left)
        left -= pairs(best)
        scenes.append(made(best))
    return scenes


def scenes():
    return named() + covering()


QUICK = ("four-500us", "four-50ms", "alone-300ms-exclusive", "class-50ms", "loop-beside-20ms", "inner-5x1ms", "many-32-500us")
QUICK_S = 4.0
