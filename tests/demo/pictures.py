#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""README's pictures, from real runs: docs/pictures/top.svg shows `pvgpuctl top` in a terminal while four vGPUs share the simulated GPU, and
docs/pictures/demo.svg what `make demo` has printed, whose output is given as a file.

    pictures.py [--build DIR] [--demo FILE]      without --demo: top alone
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
from pvgpu_env import PvgpuEnv, program, wait_for  # noqa: E402
import terminal  # noqa: E402

PICTURES = HERE.parents[1] / "docs" / "pictures"
COLUMNS, LINES = 80, 24
VGPUS = {"web1": "memory=1G,weight=400", "web2": "memory=1G,weight=200", "train": "memory=4G,weight=200,max_share=20%", "batch": "memory=2G,weight=100,priority=low"}
BUSY = ["occupy", "1000000000", "2000", "16"]
LIMIT = 120


def top(build):
    """The last of four looks, of which each covers five seconds."""
    with PvgpuEnv(vgpus=VGPUS, build=build, sim={"SIMCUDA_MEMORY": "16G"}) as env:
        busy = [env.popen([os.path.join(env.build, "programs", BUSY[0]), *BUSY[1:]], name=n, stdout=subprocess.DEVNULL) for n in VGPUS]
        wait_for("work of all", lambda: all(int(env.read(f"/vgpu/{n}/launches")) for n in VGPUS))
        words = ["top", "--interval", "5", "--count", "4"]
        screen = terminal.run([program("pvgpuctl", env.build), *words, "--run-dir", env.run_dir], COLUMNS, LINES, LIMIT)
        for p in busy:
            p.kill()
            p.wait()
    return ["$ pvgpuctl top", *screen.text()]


def story(text):
    """What the demo says, from its first step on, without the lines that tell a reader who waits that it goes on."""
    lines = [line.rstrip() for line in text.splitlines()]
    first = next(n for n, line in enumerate(lines) if re.match(r"\[\d+/", line))
    kept = [line for line in lines[first:] if not re.match(r" +\.\.\. \d+ s: |lab: ", line)]
    return [re.sub(r"/\S+/build/", "build/", line) for n, line in enumerate(kept) if line or (n and kept[n - 1])]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build", help="the build folder (default %(default)s)")
    ap.add_argument("--demo", help="output of `make demo`")
    args = ap.parse_args()
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / "top.svg").write_text(terminal.svg(top(args.build), "pvgpuctl top: four vGPUs on one simulated GPU", COLUMNS))
    if args.demo:
        lines = story(pathlib.Path(args.demo).read_text())
        (PICTURES / "demo.svg").write_text(terminal.svg(["$ make demo", *lines], "make demo: four guests on real Xen share one simulated GPU"))


if __name__ == "__main__":
    main()
