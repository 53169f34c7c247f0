#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run the whole kit without a GPU: in a bare Debian system (base and python3), without network, with the simulated GPU where a
driver would be. All must be as expected.py says. Packages and the unpacked system stay in BUILD/gpu-rehearsal."""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys

import expected
import make_kit
import results

sys.path.insert(0, str(make_kit.TREE / "tests" / "module"))
import suite  # noqa: E402

BASE = ["base-files", "base-passwd", "bash", "coreutils", "dash", "debianutils", "diffutils", "findutils", "grep", "gzip", "hostname",
        "libc-bin", "mawk", "sed", "tar", "util-linux"]
DRIVER = "usr/local/nvidia/lib64"
# A place that only root may enter, like a user's home.
KIT = "root/somewhere/gpu-kit"
# Runs by the name of their folder: settings of the simulated GPU and words for the kit. The first has copies of 1 GiB, and many
# tenants. What the stage risky does over and over is to read all memory, which takes long here.
RUNS = {"out": ("SIMCUDA_MEMORY=16G", ""), "risky": ("", "--quick --risky risky")}
ENTER = """
mount -t tmpfs none "$1/dev" && mkdir "$1/dev/shm" && for n in null zero urandom; do touch "$1/dev/$n"; mount --bind /dev/$n "$1/dev/$n"; done
mount -t tmpfs none "$1/dev/shm" && mount -t tmpfs none "$1/tmp" && mount -t tmpfs none "$1/run" && mount -t proc none "$1/proc" || exit 1
exec chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin /bin/bash -c "$2"
"""


class Bare(suite.Suite):
    """A Debian system as a container image has it."""

    def __init__(self, folder, name):
        super().__init__(folder, name, packages=["python3"], tools=BASE)

    def finish(self):
        super().finish()
        for name in ("root", "run", "var/tmp"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        for name in ("passwd", "group"):
            shutil.copy(self.root / f"usr/share/base-passwd/{name}.master", self.root / "etc" / name)

    def watch(self, command, limit_s):
        """A shell command with the system as its root, without network; what it says is shown. Its status."""
        me = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child"]
        return subprocess.run([*me, "sh", "-c", ENTER, "sh", self.root, command], stdin=subprocess.DEVNULL, timeout=limit_s,
                              check=False).returncode


def put_kit(root, build):
    """The kit, and the simulated GPU as the driver with its libraries beside it."""
    shutil.rmtree(root / KIT, ignore_errors=True)
    for name in RUNS:
        shutil.rmtree(root / "root" / name, ignore_errors=True)
    shutil.copytree(build / "gpu-kit", root / KIT)
    (root / "root").chmod(0o700)
    driver = root / DRIVER
    shutil.rmtree(driver, ignore_errors=True)
    driver.mkdir(parents=True)
    for name in ("libcuda.so.1", "libnvidia-ml.so.1"):
        source = build / "simcuda" / name
        shutil.copy(source, driver)
        make_kit.command("patchelf", "--set-rpath", "$ORIGIN", driver / name)
        for needed, path in make_kit.needed(source).items():
            shutil.copy(os.path.realpath(path), driver / needed)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", type=pathlib.Path, default="build", help="the build folder (default %(default)s)")
    ap.add_argument("--suite", default="bookworm", help="of Debian (default %(default)s)")
    ap.add_argument("--refresh", action="store_true", help="download the packages again")
    args = ap.parse_args()
    build = args.build.resolve()
    bare = Bare(build / "gpu-rehearsal", args.suite)
    try:
        bare.fetch(args.refresh)
    except suite.Missing as e:
        sys.exit(f"gpu-kit-rehearsal: no Debian system to rehearse in: {e}")
    put_kit(bare.root, build)
    found, data = [], {}
    for name, (settings, words) in RUNS.items():
        status = bare.watch(f"{settings} /{KIT}/run /root/{name} {words}", limit_s=1500)
        data[name] = results.read(bare.root / "root" / name)
        found += [f"run {words} ended with {status}"] if status else []
    whole = data["out"]
    whole["stages"]["risky"] = data["risky"]["stages"]["risky"]
    (build / "gpu-rehearsal" / "results.json").write_text(json.dumps(whole, indent=1))
    found += expected.problems(whole)
    for line in found:
        print(f"FAIL {line}")
    total = sum(len(s["items"]) for s in whole["stages"].values()) + len(expected.assumptions.rows())
    print(f"{max(0, total - len(found))} passed, {len(found)} failed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
