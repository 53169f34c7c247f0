#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every test program, directly on the far end's libcuda.so.1 and through pvgpu: the output must be the same.

Prints `ok name` or `FAIL name` with the differences, and a summary; ends with 1 when a program failed."""
import argparse
import difflib
import os
import pathlib
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import programs  # noqa: E402
from pvgpu_env import PvgpuEnv  # noqa: E402


def print_reports(folder):
    for path in sorted(pathlib.Path(folder).glob("report.*")) if folder else ():
        print(f"--- {path.name}\n{path.read_text(errors='replace')}---", flush=True)
        path.unlink()


def report(name, problems, results, reports=None):
    """Print status and errors of each run, the difference of the outputs (of a single run: its end), and what sanitizers
    wrote into the folder reports."""
    print(f"FAIL {name}: {'; '.join(problems)}")
    for title, result in results.items():
        status = "did not end in time" if result.status is None else f"status {result.status}"
        print(f"  {title}: {status}\n{programs.excerpt(result.stderr)}", end="")
    outputs = [r.stdout.decode(errors="replace").splitlines(True) for r in results.values()]
    lines = list(difflib.unified_diff(*outputs, *results, n=1)) if len(outputs) == 2 else outputs[0][-8:]
    print(programs.excerpt("".join(lines).encode(), 40), end="", flush=True)
    print_reports(reports)


def sanitizers(folder):
    """Errors that a sanitizer finds end the program, a worker too, whose own output nobody sees: reports go to files."""
    os.environ.setdefault("PVGPU_SANDBOX", "off")
    for name, options in (("ASAN", "detect_leaks=0"), ("UBSAN", "halt_on_error=1:print_stacktrace=1"),
                          ("TSAN", "halt_on_error=1:second_deadlock_stack=1:atexit_sleep_ms=0")):
        os.environ.setdefault(f"{name}_OPTIONS", f"{options}:log_path={folder}/report")


def copying_worker(build, folder):
    """A worker that does not register the guest's memory with CUDA, as on systems where that is not safe."""
    script = pathlib.Path(folder) / "worker"
    script.write_text(f'#!/bin/sh\nexec {build}/bin/pvgpu-worker --no-zero-copy "$@"\n')
    script.chmod(0o755)
    return script


def gpu_library(asked):
    """The folder of NVIDIA's libcuda for --gpu, or None."""
    places = [asked] if asked else ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/local/nvidia/lib64",
                                    "/usr/lib/x86_64-linux-gnu/nvidia/current", "/usr/local/cuda/compat"]
    if not pathlib.Path("/dev/nvidiactl").exists():
        return None
    return next((p for p in places if (pathlib.Path(p) / "libcuda.so.1").exists()), None)


def direct_only(folder_of, names, library, limit):
    failed = []
    with tempfile.TemporaryDirectory(prefix="pvgpu-programs-") as folder:
        env = programs.direct_env(library, {"SIMCUDA_GPU": f"{folder}/gpu"})
        for name in names:
            result = programs.run([folder_of / name], env, limit)
            if result.status == 0:
                print(f"ok   {name} ({result.seconds:.1f} s)", flush=True)
            else:
                failed.append(name)
                report(name, ["fails"], {"directly": result})
    return failed


def both(env, build, name, limit, guest=None, folder="programs"):
    """Run one program both ways; returns problems and results."""
    command = [build / folder / name]
    direct = programs.run(command, env.guest_env(direct=True), limit)
    through = programs.run([*(guest(name) if guest else []), *command], env.guest_env(), limit)
    problems = [] if direct.status == 0 else ["fails directly"]
    if through.status != 0:
        problems.append("fails through pvgpu")
    different = direct.differs(through)
    if different:
        problems.append(" and ".join(different) + " differ")
    try:
        env.check_idle()
    except TimeoutError as left:
        problems.append(f"left behind: {left}")
    return problems, {"directly": direct, "through pvgpu": through}


def through_pvgpu(build, names, limit, library, guest=None, folder="programs", reports=None, **env):
    """Returns names of failed programs. guest: name -> words before the program that goes through pvgpu; reports: the
    folder of sanitizers' reports."""
    failed = []
    with PvgpuEnv(build=build, libcuda=f"{library}/libcuda.so.1", **env) as pvgpu:
        for name in names:
            problems, results = both(pvgpu, build, name, limit, guest, folder)
            if problems:
                failed.append(name)
                report(name, problems, results, reports)
            else:
                spent = ", ".join(f"{r.seconds:.1f} s {how}" for how, r in results.items())
                print(f"ok   {name} ({spent})", flush=True)
        if failed:
            print(f"--- end of pvgpud's log\n{pvgpu.log_tail()}\n---")
    return failed


def parse_args():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    args.add_argument("--build", default="build", type=pathlib.Path, help="build folder")
    args.add_argument("--san", default="", help="the build is instrumented so: longer limits, errors end programs")
    args.add_argument("--no-zero-copy", action="store_true", help="workers copy the guest's memory")
    args.add_argument("--gpu", action="store_true", help="NVIDIA's libcuda as the far end; skips where there is none")
    args.add_argument("--libcuda-dir", default="", help="with --gpu: where it is")
    args.add_argument("--direct-only", action="store_true", help="on the far end only, not through pvgpu")
    args.add_argument("--limit", type=float, default=0, help="seconds for one run")
    args.add_argument("--folder", default="programs", help="the build's folder that has them, and tests' that has their sources")
    args.add_argument("--without", default="", help="names of programs that are left out")
    args.add_argument("programs", nargs="*", help="only these")
    args = args.parse_args()
    args.build = args.build.resolve()
    args.limit = args.limit or (400 if args.san else 90)
    return args


def main():
    args = parse_args()
    library = args.build / "simcuda"
    if args.gpu:
        library = gpu_library(args.libcuda_dir)
        if not library:
            print("SKIP programs on a GPU: no /dev/nvidiactl or no libcuda.so.1 of NVIDIA's")
            return 0
    left_out = args.without.split()
    names = args.programs or [n for n in programs.names(args.build, args.folder) if n not in left_out]
    missing = [n for n in names if not (args.build / args.folder / n).exists()]
    if not names or missing:
        print(f"no programs in {args.build}/{args.folder}: {' '.join(missing)}", file=sys.stderr)
        return 1
    if args.direct_only:
        failed = direct_only(args.build / args.folder, names, library, args.limit)
    else:
        with tempfile.TemporaryDirectory(prefix="pvgpu-programs-") as folder:
            if args.san:
                sanitizers(folder)
            worker = copying_worker(args.build, folder) if args.no_zero_copy else None
            failed = through_pvgpu(args.build, names, args.limit, library, folder=args.folder, reports=folder, worker=worker)
            print_reports(folder)
    print(f"{len(names) - len(set(failed) & set(names))} of {len(names)} programs are right"
          + (f"; failed: {' '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
