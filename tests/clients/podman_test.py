# SPDX-License-Identifier: MIT
"""Podman, as Debian has it, runs containers with vGPUs by the specification that `pvgpuctl cdi` writes. The container has a shell, the C library and
test programs; pvgpu's libraries come from the specification. Needs root, podman and runc. PVGPU_BUILD: the build folder."""
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
from cdi_test import LIBRARIES, Placed, cdi  # noqa: E402
from pvgpu_env import LIMIT, wait_for  # noqa: E402

CDI = pathlib.Path("/run/cdi")  # where engines look; other files there are hidden from the test
GLIBC = "lib/x86_64-linux-gnu"
# Podman's own state goes into the test's folder. No network, and limits as they are: neither is the test's subject.
PODMAN = ["podman", "--runtime", "runc", "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "none"]
RUN = ["run", "--rm", "--interactive", "--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]
MOUNTED = f'mount --bind "$1" {CDI} && shift && exec "$@"'


def make_root(root, programs):
    for folder in "usr/bin", f"usr/{GLIBC}", "usr/lib64", "programs", "proc", "dev", "sys", "etc", "run", "tmp":
        (root / folder).mkdir(parents=True)
    for folder in "bin", "lib", "lib64":
        (root / folder).symlink_to(f"usr/{folder}")
    shutil.copy("/bin/dash", root / "usr/bin/sh")
    shutil.copy("/lib64/ld-linux-x86-64.so.2", root / "usr/lib64")
    for library in "libc.so.6", "libm.so.6":
        shutil.copy(f"/{GLIBC}/{library}", root / "usr" / GLIBC)
    shutil.copy(pathlib.Path(programs, "vecadd"), root / "programs")


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("podman") and shutil.which("runc"), "needs root, podman and runc")
class Podman(unittest.TestCase):
    def start(self, env, *devices):
        """A shell in a container with these devices."""
        state = ["--root", f"{env.dir}/storage", "--runroot", f"{env.dir}/runroot"]
        words = [*PODMAN, *state, *RUN, *(w for d in devices for w in ("--device", f"pvgpu/vgpu={d}")), "--rootfs", f"{env.dir}/root", "/bin/sh"]
        return subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", MOUNTED, "sh", f"{env.dir}/cdi", *words],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ask(self, shell, command):
        shell.stdin.write(f"{command}; echo ended $?\n")
        shell.stdin.flush()
        said = []
        for line in shell.stdout:
            if line.startswith("ended "):
                return "".join(said), int(line.split()[1])
            said.append(line)
        raise AssertionError(f"podman has ended: {shell.stderr.read()}")

    def end(self, shell):
        shell.communicate(timeout=LIMIT)
        self.assertEqual(shell.returncode, 0)

    def test_containers(self):
        CDI.mkdir(exist_ok=True)
        with Placed() as env:
            make_root(pathlib.Path(env.dir, "root"), os.path.join(env.build, "programs"))
            os.mkdir(f"{env.dir}/cdi")
            done = cdi(env, "--libraries", LIBRARIES, "--output", f"{env.dir}/cdi/pvgpu.json")
            self.assertEqual(done.returncode, 0, done.stderr)
            shell = self.start(env, "own")
            said, status = self.ask(shell, "/programs/vecadd")
            self.assertEqual((status, "vecadd: " in said), (0, True), said)
            self.assertEqual(env.read("/vgpu/own/sessions-total"), "1")
            env.restart()
            wait_for("a session of the next pvgpud", lambda: self.ask(shell, "/programs/vecadd")[1] == 0)
            self.end(shell)
            # Two in one container: a program names its socket.
            shell = self.start(env, "own", "shared")
            for name, socket in (("own", "own/vgpu.sock"), ("shared", "shared.sock")):
                before = int(env.read(f"/vgpu/{name}/sessions-total"))
                said, status = self.ask(shell, f"PVGPU_SOCKET=/run/pvgpu/{socket} /programs/vecadd")
                self.assertEqual((status, env.read(f"/vgpu/{name}/sessions-total")), (0, str(before + 1)), said)
            self.end(shell)
            shell = self.start(env, "nosuch")
            self.assertRegex(shell.communicate(timeout=LIMIT)[1], "pvgpu/vgpu=nosuch")
            self.assertNotEqual(shell.returncode, 0)
            shutil.rmtree(f"{env.dir}/root", ignore_errors=True)


if __name__ == "__main__":
    unittest.main()
