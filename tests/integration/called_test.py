# SPDX-License-Identifier: MIT
"""Each symbol of libcuda that works is called by a test program, with success and with a refusal, as logs of PVGPU_LOG=calls show.

called.expected lists the exceptions: never (no program calls it), right (never refused), wrong (only refused). A call that is on the list
without need fails, too. UPDATE=1 writes it."""
import os
import pathlib
import re
import sys
import tempfile
import unittest

import programs
from pvgpu_env import PvgpuEnv, build_dir

sys.path[:0] = [str(programs.TREE / "libpvgpu" / "protocol" / "gen"), str(programs.TREE / "libpvgpu" / "tools")]
import calls  # noqa: E402
import exports  # noqa: E402

EXPECTED = pathlib.Path(__file__).resolve().parent / "called.expected"
CALL = re.compile(r"pvgpu \S+ \d+ (\w+)\(.* = (\w+)(?: \(\d+\))? <")
LIMIT = 300


def working():
    symbols = exports.parse(exports.API, exports.read_results())
    exports.forward(symbols, calls.parse_files([str(p) for p in exports.HERE.parent.glob("[0-9]*.api")]).calls)
    return [s.name for s in symbols if s.disposition != "refuse"]


def outcomes(log, seen):
    with open(log, errors="replace", encoding="utf-8") as lines:
        for line in lines:
            if match := CALL.match(line):
                # Whether work is done already is no refusal.
                seen.setdefault(match[1], set()).add(match[2].replace("CUDA_ERROR_NOT_READY", "CUDA_SUCCESS"))


def judge(results):
    if not results:
        return "never"
    if "CUDA_SUCCESS" not in results:
        return "wrong"
    return "right" if len(results) == 1 else None


class Called(unittest.TestCase):
    def test_each_symbol(self):
        build, seen = pathlib.Path(build_dir()), {}
        with PvgpuEnv(build=str(build)) as pvgpu, tempfile.TemporaryDirectory(prefix="pvgpu-called-") as folder:
            for name in programs.names(build):
                log = pathlib.Path(folder) / "log"
                env = {**pvgpu.guest_env(), "PVGPU_LOG": "calls", "PVGPU_LOG_FILE": str(log)}
                self.assertEqual(programs.run([build / "programs" / name], env, LIMIT).status, 0, name)
                outcomes(log, seen)
                log.unlink()
                pvgpu.check_idle()
        found = {name: judge(seen.get(name)) for name in working()}
        found = {name: kind for name, kind in found.items() if kind}
        if os.environ.get("UPDATE"):
            EXPECTED.write_text("# Symbols that no test program calls (never), never has refused (right), or only has refused (wrong); by called_test.py.\n" +
                                "".join(f"{name} {kind}\n" for name, kind in sorted(found.items())))
        listed = dict(line.split() for line in EXPECTED.read_text().splitlines() if not line.startswith("#"))
        wrong = {n: f"{found.get(n)}, listed as {listed.get(n)}" for n in found.keys() | listed.keys() if found.get(n) != listed.get(n)}
        self.assertEqual(wrong, {})
        kinds = list(found.values())
        print(f"{len(working())} symbols work; never called: {kinds.count('never')}, never refused: {kinds.count('right')}, "
              f"only refused: {kinds.count('wrong')}", file=sys.stderr)


if __name__ == "__main__":
    unittest.main()
