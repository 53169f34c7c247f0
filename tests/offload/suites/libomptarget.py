#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tests of LLVM's own offloading library, directly on the simulated GPU and through pvgpu.

They come from the source of the LLVM that is installed (--source, or --fetch gets it from Debian) and run under its lit, with Debian's
clang, device runtime and libomptarget.rtl.cuda.so. No tool of NVIDIA's takes part: toolkit.py stands in for the assembler and the device linker.
libomptarget.expected says for each test what it does on the simulated GPU: pass or fail. A test that does otherwise directly, or does not do
through pvgpu what it does directly, fails the run. Tests that are not in the list are run, and shown, and fail only when the two ways differ."""
import fnmatch
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parents[1] / "integration"))
import suite  # noqa: E402
import toolkit  # noqa: E402
from pvgpu_env import PvgpuEnv  # noqa: E402

EXPECTED, VERSION = HERE / "libomptarget.expected", "14"  # another LLVM has other tests
LLVM = pathlib.Path(f"/usr/lib/llvm-{VERSION}")
TARGET = "nvptx64-nvidia-cuda"
TARGETS = f"{TARGET} x86_64-pc-linux-gnu amdgcn-amd-amdhsa aarch64-unknown-linux-gnu powerpc64-ibm-linux-gnu powerpc64le-ibm-linux-gnu"
RUN_LIMIT = 120
# What LLVM's build writes for its lit.cfg. The device runtime of 14 is the "new" one, which lit.cfg takes for a target of another name.
SITE = """
config.test_c_compiler, config.test_cxx_compiler = "{llvm}/bin/clang", "{llvm}/bin/clang++"
config.test_compiler_features = ["clang"]
config.test_openmp_flags = "-fopenmp -L{llvm}/lib -w"
config.test_extra_flags = "-Xopenmp-target -march=sm_70"
config.cuda_path, config.cuda_libdir, config.cuda_test_arch = "{cuda}", "", "70"
config.libomptarget_obj_root = "{work}"
config.library_dir = config.omp_host_rtl_directory = "{llvm}/lib"
config.omp_header_directory = "{llvm}/lib/clang/14.0.6/include"
config.operating_system = "Linux"
config.libomptarget_all_targets = "{targets}".split()
config.libomptarget_current_target = "{target}"
config.libomptarget_filecheck, config.libomptarget_not = "{llvm}/bin/FileCheck", "{llvm}/bin/not"
config.libomptarget_debug = False
lit_config.load_config(config, "{source}/lit.cfg")
config.environment.update({env!r})
config.substitutions = [(name, "timeout {limit} %t" if name == "%libomptarget-run-{target}" else
                         text.replace("-fno-openmp-target-new-runtime", "-fopenmp-target-new-runtime")) for name, text in config.substitutions]
"""


def run_lit(source, folder, name, env, args):
    """{test: pass or fail}, without those that are for other devices"""
    work = pathlib.Path(folder) / name
    work.mkdir()
    kept = {k: v for k, v in env.items() if k.startswith(("PVGPU", "SIMCUDA", "LD_"))}
    (work / "lit.site.cfg").write_text(SITE.format(llvm=LLVM, cuda=f"{folder}/cuda", work=work, targets=TARGETS, target=TARGET, source=source,
                                                   limit=RUN_LIMIT, env={**kept, "OMP_TARGET_OFFLOAD": "mandatory"}))
    command = [sys.executable, LLVM / "build/utils/lit/lit.py", "-v", "-j", str(args.jobs), "--output", work / "out.json", work]
    if args.tests:
        command[-1:-1] = ["--filter", "|".join(fnmatch.translate(f"*{t}*") for t in args.tests)]
    with open(args.build / f"libomptarget-{name}.log", "w", encoding="utf-8") as log:
        subprocess.run(command, env=env, stdout=log, stderr=subprocess.STDOUT, check=False)
    codes = {t["name"].split(" :: ")[-1]: t["code"] for t in json.loads((work / "out.json").read_text())["tests"]}
    return {name: "pass" if code in ("PASS", "XFAIL") else "fail" for name, code in codes.items() if code not in ("UNSUPPORTED", "EXCLUDED", "SKIPPED")}


def fetch(folder):
    archive = suite.fetch(folder, f"llvm-toolchain-{VERSION}")
    subprocess.run(["tar", "xf", archive, "-C", folder, "--wildcards", "*/openmp/libomptarget/test/*"], check=True)


def main():
    args = suite.parse_args(__doc__, "folder openmp/libomptarget/test of LLVM's source")
    place = args.build.resolve() / "llvm-source"
    if not (LLVM / "lib/libomptarget.rtl.cuda.so").exists() or not (LLVM / "bin/FileCheck").exists():
        print(f"SKIP libomptarget's tests: no offloading LLVM {VERSION}: apt-get install libomp-{VERSION}-dev llvm-{VERSION}-tools")
        return 0
    source = args.source or next(place.glob("*/openmp/libomptarget/test"), None)
    if not source and args.fetch:
        fetch(place)
        source = next(place.glob("*/openmp/libomptarget/test"), None)
    if not source:
        raise SystemExit(f"no libomptarget/test: name it with --source, or get it with --fetch (it goes to {place})")
    with PvgpuEnv(build=args.build, max_sessions=4 * args.jobs) as pvgpu, tempfile.TemporaryDirectory() as folder:
        toolkit.make(f"{folder}/cuda", LLVM / "bin/clang")
        direct, through = (run_lit(source.resolve(), folder, name, pvgpu.guest_env(direct=name == "direct"), args) for name in ("direct", "through"))
        pvgpu.check_idle()
    results = {name: (direct[name], through.get(name, "not run")) for name in direct}
    for name, ways in sorted(results.items()):
        print(f"{name}: {' '.join(ways)}")
    if args.update:
        suite.write_expected(EXPECTED, "What libomptarget's tests (LLVM 14.0.6) do on the simulated GPU; made by libomptarget.py --update.", results)
    return suite.report(results, suite.read_expected(EXPECTED))


if __name__ == "__main__":
    os.environ.pop("LD_LIBRARY_PATH", None)
    sys.exit(main())
