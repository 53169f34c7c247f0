#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The offloading tests of GCC's own libgomp, directly on the simulated GPU and through pvgpu.

The tests come from the source of the GCC that is installed (--source, or --fetch gets it from Debian). libgomp.expected says for
each test what it does on the simulated GPU: pass, fail, or compile (it does not compile, as where it is for another device). A test
that does otherwise directly, or does not do through pvgpu what it does directly, fails the run. Tests that are not in the list are
run, and shown, and fail only when the two ways differ; --update writes the list."""
import concurrent.futures
import fnmatch
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parents[1] / "integration"))
import programs  # noqa: E402
import suite  # noqa: E402
from pvgpu_env import PvgpuEnv  # noqa: E402

EXPECTED, LISTED = HERE / "libgomp.expected", "gcc-12"  # another compiler has other tests
SUITES = ("libgomp.c/target-*.c", "libgomp.c-c++-common/target-*.c", "libgomp.oacc-c-c++-common/*.c")
RUN_LIMIT, COMPILE_LIMIT = 180, 300
DIRECTIVE = re.compile(r"\{\s*dg-([a-z-]+)\s+(.*?)\s*\}\s*(?:\*/)?\s*$", re.M)
FOR_ANOTHER = re.compile(r"amdgcn|gcn|x86_64|i\?86|offload_device_shared_as|host_device|openacc_host_selected|radeon")


class Test:
    """One source of the suite, as its directives say."""

    def __init__(self, path, pattern):
        self.path, self.name = path, f"{path.parent.name}/{path.name}"
        self.openacc = "oacc" in pattern
        self.runs, self.should_fail, self.options, self.sources, self.env = True, False, [], [], {}
        for word, rest in DIRECTIVE.findall(path.read_text(errors="replace")):
            selector = re.search(r"\{\s*(?:target|xfail)?(.*)\}", rest)
            if selector and FOR_ANOTHER.search(selector[1]) and "!" not in selector[1]:
                continue
            if word == "do":
                self.runs = rest.split()[0] == "run"
            elif word == "shouldfail":
                self.should_fail = "this-really-should-fail" not in rest
            elif word == "set-target-env-var":
                name, value = shlex.split(rest)[:2]
                self.env[name] = value
            elif word in ("additional-options", "options"):
                self.options += shlex.split(re.match(r'"((?:[^"\\]|\\.)*)"', rest)[1]) if rest.startswith('"') else []
            elif word == "additional-sources":
                self.sources += [path.parent / s for s in shlex.split(rest.strip('"'))]

    def compile(self, gcc, build, to):
        flags = ["-fopenacc", "-DACC_DEVICE_TYPE_nvidia=1", "-DACC_MEM_SHARED=0"] if self.openacc else ["-fopenmp"]
        # some call the driver, too: with our cuda.h
        flags += ["-I", str(self.path.parents[3] / "include"), "-I", str(programs.TREE / "libpvgpu/cuda/include"),
                  "-L", str(build / "stubs")]
        options = [o for o in self.options if "-foffload=" not in o]
        command = [gcc, "-O2", "-w", "-no-pie", "-foffload=nvptx-none", "-foffload-options=-lm", "-foffload-options=-latomic",
                   "-foffload-options=-Wa,--no-verify", *flags, *options, "-o", str(to), str(self.path),
                   *map(str, self.sources), "-lm"]
        try:
            return not subprocess.run(command, cwd=self.path.parent, capture_output=True, timeout=COMPILE_LIMIT).returncode
        except subprocess.TimeoutExpired:
            return False

    def outcome(self, result):
        return "pass" if result.status is not None and (result.status != 0) == self.should_fail else "fail"


def collect(source, patterns):
    found = []
    for pattern in SUITES:
        found += [t for t in (Test(p, pattern) for p in sorted(source.glob(pattern))) if t.runs]
    return [t for t in found if not patterns or any(fnmatch.fnmatch(t.name, f"*{p}*") for p in patterns)]


def environment(env, test):
    return {**env, "OMP_TARGET_OFFLOAD": "mandatory", "ACC_DEVICE_TYPE": "nvidia", **test.env}


def run_one(pvgpu, gcc, folder, test):
    """(directly, through pvgpu)"""
    program = pathlib.Path(folder) / test.name.replace("/", "-")
    if not test.compile(gcc, pathlib.Path(pvgpu.build), program):
        return "compile", "compile"
    ways = [test.outcome(programs.run([program], environment(pvgpu.guest_env(direct=direct), test), RUN_LIMIT))
            for direct in (True, False)]
    program.unlink()
    return tuple(ways)


def fetch(folder):
    """The suite from Debian's source package of the installed GCC."""
    archive = suite.fetch(folder, compiler())
    inner = next(n for n in subprocess.run(["tar", "tf", archive], capture_output=True, text=True, check=True).stdout.split()
                 if re.search(r"/gcc-[\d.]+-dfsg\.tar\.xz$", n))
    subprocess.run(f"tar xOf {archive} {inner} | tar xJ -C {folder} --wildcards '*/libgomp/testsuite/*' '*/include/gomp-constants.h'", shell=True, check=True)


def compiler():
    versions = sorted(int(p.parts[-4]) for p in pathlib.Path("/usr/lib/gcc").glob("*/*/accel/nvptx-none/mkoffload"))
    if not versions:
        raise SystemExit("no GCC that offloads to nvptx: install gcc-12-offload-nvptx (make packages)")
    return f"gcc-{versions[0]}"


def main():
    args = suite.parse_args(__doc__, "folder libgomp/testsuite of GCC's source")
    place = args.build.resolve() / "gcc-source"
    source = args.source or next(place.glob("*/libgomp/testsuite"), None)
    if not source and args.fetch:
        fetch(place)
        source = next(place.glob("*/libgomp/testsuite"), None)
    if not source:
        raise SystemExit(f"no libgomp/testsuite: name it with --source, or get it with --fetch (it goes to {place})")
    tests, results = collect(source.resolve(), args.tests), {}
    with PvgpuEnv(build=args.build, max_sessions=4 * args.jobs) as pvgpu, tempfile.TemporaryDirectory() as folder, \
            concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        runs = {pool.submit(run_one, pvgpu, compiler(), folder, t): t.name for t in tests}
        for done in concurrent.futures.as_completed(runs):
            results[runs[done]] = done.result()
            print(f"{runs[done]}: {' '.join(done.result())}", flush=True)
    if args.update:
        suite.write_expected(EXPECTED, "What libgomp's offloading tests (GCC 12.2) do on the simulated GPU; made by libgomp.py --update.", results)
    return suite.report(results, suite.read_expected(EXPECTED) if compiler() == LISTED else {})


if __name__ == "__main__":
    os.environ.pop("LD_LIBRARY_PATH", None)
    sys.exit(main())
