#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draw what sim.json holds: plot.py SIM.JSON FOLDER writes latency.svg, shares.svg, cost.svg and fleet.svg.

SVG by hand: no library is needed, and the files are small enough to keep.
"""
import json
import math
import os
import sys

WIDTH, HEIGHT = 900, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 230, 36, 52  # what series are called stands on the right
COLOURS = ["#1b6ca8", "#d1495b", "#3a7d44", "#8d6a9f", "#c98a1b", "#4d4d4d"]
FONT = 'font-family="sans-serif" font-size="12"'


def esc(text):
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def num(x):
    return f"{x:.1f}".rstrip("0").rstrip(".")


class Axis:
    """Maps values to pixels; its ticks are round numbers."""

    def __init__(self, low, high, begin, end, log=False):
        self.log = log
        if log:
            self.low, self.high = math.floor(math.log10(low)), math.ceil(math.log10(high))
            if self.low == self.high:
                self.high += 1
        else:
            self.low, self.high = low, high if high > low else low + 1
        self.begin, self.end = begin, end

    def at(self, x):
        v = math.log10(max(x, 1e-12)) if self.log else x
        return self.begin + (v - self.low) / (self.high - self.low) * (self.end - self.begin)

    def ticks(self):
        if self.log:
            return [10 ** e for e in range(self.low, self.high + 1)]
        step = 10 ** math.floor(math.log10((self.high - self.low) / 4))
        for k in (1, 2, 5, 10):
            if (self.high - self.low) / (step * k) <= 8:
                step *= k
                break
        first = math.ceil(self.low / step)
        return [i * step for i in range(first, int(self.high / step + 1e-9) + 1)]


def frame(title, x, y, x_title, y_title):
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {FONT}>',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
           f'<text x="{LEFT}" y="20" font-size="14">{esc(title)}</text>']
    for t in x.ticks():
        p = num(x.at(t))
        out.append(f'<path d="M{p} {TOP}V{HEIGHT - BOTTOM}" stroke="#eee"/>'
                   f'<text x="{p}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{t:g}</text>')
    for t in y.ticks():
        p = num(y.at(t))
        out.append(f'<path d="M{LEFT} {p}H{WIDTH - RIGHT}" stroke="#eee"/>'
                   f'<text x="{LEFT - 6}" y="{p}" dy="4" text-anchor="end">{t:g}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">{esc(x_title)}</text>'
               f'<text transform="translate(14 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">'
               f'{esc(y_title)}</text>')
    return out


def legend(out, names):
    for i, name in enumerate(names):
        y = TOP + 14 + 16 * i
        x = WIDTH - RIGHT + 12
        out.append(f'<path d="M{x} {y}h16" stroke="{COLOURS[i % len(COLOURS)]}" stroke-width="2"/>'
                   f'<text x="{x + 22}" y="{y + 4}">{esc(name)}</text>')


def line(out, points, colour, dash=""):
    d = "M" + "L".join(f"{num(a)} {num(b)}" for a, b in points)
    out.append(f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')


def chart(title, series, x_title, y_title, log_x=False, log_y=False, y_from=None, y_to=None):
    """series: [(name, [(x, y), ...])]."""
    xs = [p[0] for _, points in series for p in points]
    ys = [p[1] for _, points in series for p in points]
    x = Axis(min(xs), max(xs), LEFT, WIDTH - RIGHT, log_x)
    y = Axis(min(ys) if y_from is None else y_from, max(ys) if y_to is None else y_to, HEIGHT - BOTTOM, TOP, log_y)
    out = frame(title, x, y, x_title, y_title)
    for i, (_, points) in enumerate(series):
        line(out, [(x.at(a), y.at(b)) for a, b in points], COLOURS[i % len(COLOURS)])
    legend(out, [name for name, _ in series])
    return "\n".join(out) + "\n</svg>\n"


def latency(rows):
    series = []
    for row, how in (("latency_p99_at_50_percent", "pvgpu"),
                     ("native_latency_p99_at_50_percent", "the GPU's own time-slicing")):
        if row not in rows:
            return None
        curve = rows[row]["details"]["latency_by_load"]
        for p in ("p50", "p99"):
            series.append((f"{p}, {how}", [(c["load_percent"], c[f"{p}_ms"]) for c in curve]))
    return chart("Latency by load: 16 vGPUs, Poisson requests of 4 ms", series, "load offered, % of the GPU", "ms",
                 log_y=True)


def shares(rows):
    d = rows.get("timeline_mean_error_250_ms", {}).get("details")
    if not d:
        return None
    series = [(s["name"], [(d["from_s"] + (i + 1) * d["window_s"], v) for i, v in enumerate(s["share"])])
              for s in d["series"]]
    return chart("Share of the GPU, windows of 250 ms", series, "s", "share", y_from=0, y_to=1)


def cost(rows):
    d = rows.get("decision_ns_1000_vgpus", {}).get("details")
    if not d:
        return None
    series = [("ns for all of a turn", [(c["vgpus"], c["ns"]) for c in d]),
              ("comparisons", [(c["vgpus"], c["steps"]) for c in d])]
    return chart("Cost of a decision", series, "vGPUs with work", "ns; comparisons", log_x=True, y_from=0)


def fleet(rows):
    bars = []
    for how in ("breadth-first", "depth-first", "least-loaded"):
        r = rows.get(f"fleet_10000_{how}")
        if r:
            bars.append((how, r["value"], r["details"]["gpus_used"]))
    if not bars:
        return None
    y = Axis(0, max(b[1] for b in bars) * 1.1, HEIGHT - BOTTOM, TOP)
    x = Axis(0, len(bars), LEFT, WIDTH - RIGHT)
    x.ticks = lambda: []
    out = frame("10,000 vGPUs on 500 GPUs: p99 of those that answer requests", x, y, "placement (GPUs in use)", "ms")
    for i, (how, ms, gpus) in enumerate(bars):
        a, b, top = x.at(i + 0.2), x.at(i + 0.8), y.at(ms)
        out.append(f'<rect x="{num(a)}" y="{num(top)}" width="{num(b - a)}" height="{num(HEIGHT - BOTTOM - top)}" '
                   f'fill="{COLOURS[i]}"/><text x="{num((a + b) / 2)}" y="{HEIGHT - BOTTOM + 16}" '
                   f'text-anchor="middle">{how} ({gpus})</text>')
    return "\n".join(out) + "\n</svg>\n"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as f:
        rows = {r["name"]: r for r in json.load(f)}
    os.makedirs(sys.argv[2], exist_ok=True)
    for name, draw in (("latency", latency), ("shares", shares), ("cost", cost), ("fleet", fleet)):
        svg = draw(rows)
        if svg:
            path = os.path.join(sys.argv[2], f"{name}.svg")
            with open(path, "w", encoding="utf-8") as f:
                f.write(svg)
            print(path)


if __name__ == "__main__":
    main()
