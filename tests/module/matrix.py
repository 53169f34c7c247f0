#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Build pvgpu.ko for the kernels of several Debian suites, from the tree that `make install` makes for dkms, alone.

    matrix.py --tree TREE --work FOLDER [--refresh] [KERNEL...]

Each kernel gets two builds by its own suite's compiler. The first runs what dkms.conf says, with warnings of kernel and
sparse as errors; the probes must find what that kernel is known to have. The second takes those probes for failed that
only older kernels, or such without the later security fixes, fail. A suite that cannot be had is skipped.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import suite

SUITES = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie", "newest": "sid"}
# The first of these kernels that has what a probe looks for.
SINCE = {"baseline": "5.10", "lateeoi": "5.10", "sysfs_emit": "5.10", "try_end_access": "5.10", "kmemcg_type": "5.10",
         "end_access_page": "6.1", "remove_void": "6.1",
         "not_essential": "6.1", "vm_flags_set": "6.12", "vanished": "newest"}
# The last of them that has it.
UNTIL = {"kmemcg_type": "5.10"}
# What older kernels lack, and what builds with the fallback on these, too.
OLD = ["lateeoi", "sysfs_emit", "not_essential", "try_end_access"]
STRICT = "PVGPU_STRICT=1 W=1 C=2 CF=-Wsparse-error"
DKMS = "var/lib/dkms"


def expected(kernel):
    order = list(SUITES)
    at = order.index(kernel)
    return {name for name, since in SINCE.items() if order.index(since) <= at <= order.index(UNTIL.get(name, order[-1]))}


def build(s, tree, name, extra):
    """As dkms does it: the tree copied under dkms' folder, the command of dkms.conf. Its folder, output and status."""
    version = re.search(r'^PACKAGE_VERSION="(.*)"$', (tree / "dkms.conf").read_text(), re.M)[1]
    place = s.root / DKMS / name / "pvgpu" / version / "build"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(tree, place)
    done = s.run(f"export MAKEFLAGS=-j{os.cpu_count() or 1}; kernel_source_dir=/lib/modules/{s.release()}/build; "
                 f"dkms_tree=/{DKMS}/{name}; . /{place.relative_to(s.root)}/dkms.conf; eval \"${{MAKE[0]}} {extra}\"")
    return place, done.stdout, done.returncode


def probed(place):
    lines = (place / "pvgpu_probed.h").read_text()
    return {name.lower() for name, value in re.findall(r"PVGPU_HAS_(\w+) (\d)", lines) if value == "1"}


def problems(s, tree, kernel, log):
    """What is wrong with the builds for this kernel: a text, empty if nothing is."""
    place, said, status = build(s, tree, "strict", STRICT)
    log.write_text(f"# {STRICT}\n{said}")
    if status or not (place / "pvgpu.ko").is_file():
        return "does not build"
    if warned := re.findall(r".*\b(?:warning|error):.*", said):
        return warned[0]
    if (found := probed(place)) != expected(kernel):
        return f"probes differ from what is known: {' '.join(sorted(found ^ expected(kernel)))}"
    place, said, status = build(s, tree, "old", f"PVGPU_STRICT=1 PVGPU_PROBES_OFF='{' '.join(OLD)}'")
    with log.open("a") as f:
        f.write(f"# without {' '.join(OLD)}\n{said}")
    if status or probed(place) & set(OLD):
        return f"does not build without {', '.join(OLD)}"
    return ""


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--tree", type=pathlib.Path, required=True, help="the installed source tree")
    ap.add_argument("--work", type=pathlib.Path, required=True, help="folder for packages and builds")
    ap.add_argument("--refresh", action="store_true", help="the suites' newest packages instead of those here")
    ap.add_argument("kernel", nargs="*", help=f"of {', '.join(SUITES)}; default: all")
    args = ap.parse_args()
    if unknown := set(args.kernel) - set(SUITES):
        ap.error(f"no kernel {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    args.work.mkdir(parents=True, exist_ok=True)
    failed, built = 0, 0
    for kernel in args.kernel or SUITES:
        begun = time.monotonic()
        s = suite.Suite(args.work, SUITES[kernel])
        log = args.work / f"{SUITES[kernel]}.log"
        try:
            s.fetch(args.refresh)
            why = problems(s, args.tree, kernel, log)
        except suite.Missing as e:
            print(f"skip {kernel:8} {s.name} cannot be had: {e}", flush=True)
            continue
        except subprocess.TimeoutExpired as e:
            why = f"no end within {e.timeout:.0f} s"
        built += 1
        failed += bool(why)
        print(f"{'FAIL' if why else 'ok  '} {kernel:8} {s.release()}: {why or 'strict with sparse, and as on an old kernel'} "
              f"({time.monotonic() - begun:.0f} s)", flush=True)
        if why:
            lines = log.read_text().splitlines() if log.is_file() else []
            wrong = [n for n in lines if "error" in n or "warning" in n] or lines
            print("".join(f"     {n}\n" for n in wrong[:20]) + f"     all of it: {log}", flush=True)
    print(f"{built - failed} passed, {failed} failed, {len(args.kernel or SUITES) - built} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
