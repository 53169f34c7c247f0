#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Is each mend held by a test? The mends after the first attacks of a hostile frontend (docs/security.md, "What it took once") are taken out
of a copy of the tree, one at a time; the tests that are named with each must fail then.

  tests/check/mends.py --build build [NAME...]
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# What unit tests do not need.
LEFT_OUT = ("lab", "fuzz", "module", "next-version", "packages", "unit", "tests", "bin", "programs", "cudart")
LIMIT = 1800


@dataclass
class Mend:
    name: str
    source: str
    mended: str      # occurs once in source
    without: str
    program: str     # the unit test's program
    tests: tuple     # those that must fail


DAEMON = "xen-pvgpu-back/daemon"
MENDS = [
    Mend("removal-of-nothing", f"{DAEMON}/xen/xenctl_chunk.c",
         '\tif (!k) {\n\t\txenctl_answer(c, req, 0, "%s", "");',
         '\tif (!k) {\n\t\tif (s)\n\t\t\tuncount(s, m->size < s->arena ? m->size : s->arena);\n\t\txenctl_answer(c, req, 0, "%s", "");',
         "adopt_test", ("chunks_are_on_record",)),
    Mend("word-of-the-worker", f"{DAEMON}/xen/xenctl_chunk.c",
         "\treturn k->known && !is_marked(s, k);", "\treturn !is_marked(s, k) || k;",
         "xenctl_chunk_test", ("removed_chunks_that_stay", "removed_chunks_that_stay_after_a_restart", "failed_chunks_count")),
    Mend("added-anew", f"{DAEMON}/xen/xenctl_chunk.c",
         "if (k && same(k, m) && k->state == XEN_CHUNK_UNSURE && free_if_gone(s, k))\n\t\tk = NULL;",
         "if (k && same(k, m) && k->state == XEN_CHUNK_UNSURE) {\n\t\tchunk_free(s, k);\n\t\tk = NULL;\n\t}",
         "xenctl_chunk_test", ("unsure_chunks_that_stay",)),
    Mend("promises", f"{DAEMON}/xen/xenbus_keys.c",
         "if (!portion_fits(&grants, n + 1))", "if (!portion_fits(&grants, 1))",
         "admission_test", ("promises_must_fit",)),
    Mend("adopted-ring", f"{DAEMON}/xen/xenctl_session.c",
         "\txenctl_count(w, ring_pages);\n\tfor", "\txenctl_count(w, ring_pages ? 1 : 0);\n\tfor",
         "adopt_test", ("the_record_counts",)),
    Mend("part-of-others", f"{DAEMON}/rules/portion.c",
         "less(unused, others->owed + own)", "less(unused, own)",
         "xenctl_chunk_test", ("another_vgpus_part",)),
    Mend("surplus", f"{DAEMON}/workers/spares.c",
         "watch_surplus(p, have > want);", "watch_surplus(p, false);",
         "xenctl_open_test", ("spares_return_to_their_number",)),
    Mend("backend-first", "xen-pvgpu-back/toolstack/attach.c",
         "\terr = store_remove(s, path);\n\treturn err ? err : remove_backend_parents(s, ids);",
         "\terr = store_remove(s, path);\n\tvgpu_path(PVGPU_TREE_FRONTEND, ids, NULL, path);\n\terr = err ? err : store_remove(s, path);\n"
         "\treturn err ? err : remove_backend_parents(s, ids);",
         "ctl_attach_test", ("removal_while_the_guest_writes",)),
    Mend("time-limit", "xen-pvgpu-back/toolstack/store.c",
         "if (s->until > 0 && store_now() >= s->until)", "if (s->until < 0)",
         "ctl_attach_test", ("conflicts_have_a_time_limit",)),
    Mend("time-of-each-guest", "xen-pvgpu-back/attachd/reconcile.c",
         "k->store->until = store_now() + ONE_S;", "k->store->until += 0 * ONE_S;",
         "attachd_test", ("each_has_its_own_time",)),
    Mend("one-start-each", f"{DAEMON}/workers/open.c",
         "|| o->vgpu->counted == d->counts)", ")",
         "xenctl_open_test", ("openings_take_turns",)),
    Mend("turns", f"{DAEMON}/workers/open.c",
         "(!best || o->vgpu->served < best->vgpu->served)", "!best",
         "xenctl_open_test", ("openings_take_turns",)),
    Mend("bogus-rings", f"{DAEMON}/guard/faults.c",
         "w->end == PVGPU_END_PROTOCOL)", "w->end == PVGPU_END_PROTOCOL && w->device_error)",
         "xenctl_open_test", ("bogus_rings_are_faults",)),
    Mend("one-slow-start", f"{DAEMON}/workers/pool.h",
         "p->failures > (p->device_memory ? 1u : 0u)", "p->failures > 0",
         "xenctl_open_test", ("one_slow_start",)),
    Mend("own-state", f"{DAEMON}/xen/xenbus.c",
         'key = ours && !own_key(ours) && strcmp(ours, "state") != 0;', "key = ours && !own_key(ours);",
         "xenbus_events_test", ("looks_are_apart",)),
    Mend("look-ms", f"{DAEMON}/xen/xenbus.c",
         "\tif (age < LOOK_MS)\n", "\tif (age < 1)\n",
         "xenbus_events_test", ("looks_are_apart",)),
    Mend("budget-of-looks", f"{DAEMON}/xen/xenbus.c",
         "\tif (!x->stirred || budget_take(", "\tif (x || budget_take(",
         "xenbus_events_test", ("a_storm_has_its_limit", "a_storm_without_end")),
    Mend("size-costs", "libpvgpu/ring/control.h",
         "return 1 + (uint32_t)(m->u.chunk.size / 4096 / PVGPU_CTL_UNIT_PAGES);", "return 1;",
         "xenctl_chunk_test", ("large_chunks_cost",)),
    Mend("slices", f"{DAEMON}/xen/xenctl_map.c",
         "m->s ? forward(m) : back(m)", "m->s ? forward(m) || (m->s && forward(m)) : back(m)",
         "xenctl_chunk_test", ("large_chunks_in_slices",)),
    Mend("bogus-chunks", f"{DAEMON}/xen/xenctl_chunk.c",
         "\tif (error == EINVAL)\n", "\tif (error == EINVAL && s->failed > FAILED_MAX)\n",
         "xenctl_chunk_test", ("failed_chunks_count",)),
]


def copy_of_tree(build, into):
    """The files of the tree and what is built of them, with their times, so that only what changes is compiled."""
    names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                           stdout=subprocess.PIPE, timeout=60).stdout.decode().split("\0")
    for name in names:
        if name and (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, into / name)
    for part in sorted((ROOT / build).iterdir()):
        if part.name in LEFT_OUT:
            continue
        if part.is_dir():
            shutil.copytree(part, into / "build" / part.name, symlinks=True)
        else:
            shutil.copy2(part, into / "build" / part.name)


def make(tree, programs):
    env = {**os.environ, "MAKEFLAGS": ""}
    done = subprocess.run(["make", "--no-print-directory", "-j2", "B=build", *(f"build/unit/{p}" for p in sorted(programs))],
                          cwd=tree, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT)
    if done.returncode:
        sys.exit(f"mends: the copy does not build:\n{done.stdout[-4000:]}")


def failed(tree, program):
    """The tests of a program that fail, with what each says."""
    env = {**os.environ, "CK_DEFAULT_TIMEOUT": "60", "CK_TIMEOUT_MULTIPLIER": "5", "SIMCUDA_GPU": f"/dev/shm/pvgpu-mends-{os.getpid()}"}
    try:
        out = subprocess.run([tree / "build/unit" / program], cwd=tree, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             timeout=LIMIT).stdout
    finally:
        pathlib.Path(env["SIMCUDA_GPU"]).unlink(missing_ok=True)
    if "Checks:" not in out:
        sys.exit(f"mends: {program} did not run to its end:\n{out[-2000:]}")
    return {m[1]: m[2] for m in re.finditer(r"^\S+:[FE]:[^:]*:(\w+):\d+: (.*)$", out, re.M)}


def without(tree, m):
    """What fails without the mend; the tree is as before then."""
    path = tree / m.source
    text = path.read_text()
    if text.count(m.mended) != 1:
        sys.exit(f"mends: {m.name}: {m.source} has {text.count(m.mended)} times: {m.mended!r}")
    path.write_text(text.replace(m.mended, m.without))
    try:
        make(tree, [m.program])
        return failed(tree, m.program)
    finally:
        path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("names", nargs="*", metavar="NAME")
    a = parser.parse_args()
    unknown = set(a.names) - {m.name for m in MENDS}
    if unknown:
        parser.error(f"no mend {', '.join(sorted(unknown))}; there are {', '.join(m.name for m in MENDS)}")
    chosen = [m for m in MENDS if not a.names or m.name in a.names]
    bad = 0
    with tempfile.TemporaryDirectory(prefix="pvgpu-mends-") as folder:
        tree = pathlib.Path(folder)
        copy_of_tree(a.build, tree)
        programs = {m.program for m in chosen}
        make(tree, programs)
        for p in sorted(programs):
            if failed(tree, p):
                sys.exit(f"mends: {p} fails with every mend in its place: {failed(tree, p)}")
        for m in chosen:
            said = without(tree, m)
            missing = [t for t in m.tests if t not in said]
            bad += bool(missing)
            for t in m.tests:
                print(f"{'FAIL' if t in missing else 'ok  '} {m.name}: {t}: {said.get(t, 'does not notice it')}", flush=True)
    print(f"{len(chosen) - bad} passed, {bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
