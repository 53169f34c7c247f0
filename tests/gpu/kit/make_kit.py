#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make the kit: a folder with all that a first hour on a GPU needs, for a host where nothing can be installed.

It has the shape of a build folder, so that the tests' own modules find their programs in it. Programs find the shared
libraries that they need in deps/ beside them, wherever the folder is put; of glibc they take the host's."""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parents[2]
MOST = 40 << 20
BINARIES = ["bin/pvgpud", "bin/pvgpu-worker", "bin/pvgpu-health", "bin/pvgpuctl", "lib/libcuda.so.1", "lib/libcublas.so.12",
            "lib/libcublas.so.13", "lib/libcublasLt.so.12", "lib/libcublasLt.so.13", "lib/libcudart.so.12", "lib/libcudart.so.13", "lib/libnvidia-ml.so.1"]
# Where the build has none of these, the stages that want it say so.
TESTS = ["tests/gpu-probe", "tests/gpu-trace", "tests/gpu-meter", "tests/gpu-compat.so"]
PYTHON = ["pvgpu_env.py", "programs.py", "run_programs.py", "meter.py"]
AT_HOME = ["make_kit.py", "rehearse.py", "report.py"]  # not for the host
# The host's: glibc and its dynamic linker. libcuda is what all of this is about.
HOSTS = re.compile(r"^(ld-linux.*|linux-vdso|lib(c|m|dl|rt|pthread|resolv|util|cuda|nvidia-ml))\.so")


def fail(text):
    sys.exit(f"gpu-kit: {text}")


def command(*words):
    done = subprocess.run([str(w) for w in words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    if done.returncode:
        fail(f"'{' '.join(map(str, words))}' failed: {done.stderr.strip()}")
    return done.stdout


def needed(path):
    """The shared libraries that a file needs beside glibc, and where they are here: also those that they need."""
    found = {}
    for line in command("ldd", path).splitlines():
        name, arrow, where = line.strip().partition(" => ")
        if not arrow or HOSTS.match(name):
            continue
        if where.startswith("not found"):
            fail(f"{path} needs {name}, which is not installed here")
        found[name] = where.split(" (")[0]
    return found


class Kit:
    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        self.deps = {}

    def binary(self, name):
        """A program or library of the build, without what is only for debuggers."""
        source, target = self.build / name, self.folder / name
        self.deps.update(libraries := needed(source))
        self._elf(source, target, "$ORIGIN/../deps" if libraries else "")

    @staticmethod
    def _elf(source, target, runpath):
        target.parent.mkdir(parents=True, exist_ok=True)
        command("strip", "--strip-debug", "-o", target, source)
        target.chmod(0o755)
        command("patchelf", *(["--set-rpath", runpath] if runpath else ["--remove-rpath"]), target)

    def libraries(self):
        for name, source in sorted(self.deps.items()):
            self._elf(os.path.realpath(source), self.folder / "deps" / name, "$ORIGIN")

    def text(self, source, name, mode=0o644):
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(mode)

    def files(self):
        return sorted(p for p in self.folder.rglob("*") if p.is_file())

    def glibc(self):
        """The newest version of glibc's symbols that anything in here wants."""
        wanted = {(2, 0)}
        for path in self.files():
            if path.read_bytes()[:4] == b"\x7fELF":
                out = command("readelf", "-W", "-V", path)
                wanted |= {(int(a), int(b)) for a, b in re.findall(r"Name: GLIBC_(\d+)\.(\d+)", out)}
        return "%d.%d" % max(wanted)

    def manifest(self, version):
        sizes = [(p.stat().st_size, p.relative_to(self.folder)) for p in self.files()]
        total = sum(size for size, _ in sizes)
        lines = [f"kit {version}", f"glibc {self.glibc()}", f"bytes {total}", "", *(f"{size:9} {name}" for size, name in sizes)]
        (self.folder / "MANIFEST").write_text("\n".join(lines) + "\n")
        return total


def commit():
    done = subprocess.run(["git", "describe", "--always", "--dirty", "--exclude=*"], cwd=TREE, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip() or "unknown"


def make(build, version):
    new = build / "gpu-kit.new"
    shutil.rmtree(new, ignore_errors=True)
    kit = Kit(build, new)
    programs = sorted(f"programs/{p.stem}" for p in (TREE / "tests" / "programs").glob("*.c"))
    optional = [n for n in [*programs, *TESTS] if (build / n).is_file()]
    for name in BINARIES + optional:
        kit.binary(name)
    kit.libraries()
    kit.text(HERE / "run", "run", 0o755)
    kit.text(build / "bin" / "pvgpu-run", "bin/pvgpu-run", 0o755)
    for path in sorted([*HERE.glob("*.py"), *HERE.glob("clients/*.py")]):
        if path.name not in AT_HOME:
            kit.text(path, f"kit/{path.relative_to(HERE)}")
    for path in sorted((HERE / "clients").glob("*.py")):
        kit.text(path, f"kit/clients/{path.name}")
    for name in PYTHON:
        kit.text(TREE / "tests" / "integration" / name, f"integration/{name}")
    for path in sorted((TREE / "tests" / "kernels").glob("*.ptx")):
        kit.text(path, f"kernels/{path.name}")
    kit.text(TREE / "tests" / "gpu" / "assumptions.def", "assumptions.def")
    kit.text(TREE / "tests" / "gpu" / "README.md", "README.md")
    kit.text(TREE / "LICENSE", "LICENSE")
    total = kit.manifest(version)
    if total > MOST:
        largest = sorted(kit.files(), key=lambda p: -p.stat().st_size)[:5]
        fail(f"{total / 2**20:.1f} MiB, more than the {MOST >> 20} MiB that a host takes; the largest: "
             + ", ".join(f"{p.relative_to(new)} {p.stat().st_size / 2**20:.1f} MiB" for p in largest))
    count = len(kit.files())
    shutil.rmtree(build / "gpu-kit", ignore_errors=True)
    new.rename(build / "gpu-kit")
    missing = [n for n in TESTS if n not in optional]
    print(f"gpu-kit: {build / 'gpu-kit'}: {total / 2**20:.1f} MiB in {count} files, kit {version}"
          + (f"; without {' '.join(missing)}" if missing else ""))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", type=pathlib.Path, default="build", help="the build folder (default %(default)s)")
    ap.add_argument("--version", required=True, help="pvgpu's version")
    args = ap.parse_args()
    make(args.build.resolve(), f"{args.version} ({commit()})")


if __name__ == "__main__":
    main()
