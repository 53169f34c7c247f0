# SPDX-License-Identifier: MIT
"""JAX from its wheels, as they are, by pvgpu-run on the simulated GPU: a small transformer is trained, with the losses that the CPU gives (jax_run.py).
NVIDIA's wheels of the runtime and of CUPTI are installed beside, which JAX opens by their absolute paths, and ours are the ones that are loaded.
Every kernel is PTX that XLA's LLVM makes; matrix products are XLA's own, by cuBLASLt, whose simulated stand-in computes for the worker.
Needs root, for a /dev with the device file that JAX looks for; downloads a quarter of a gigabyte the first time."""
import os
import pathlib
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent / "integration")]
import jax_env  # noqa: E402
from pvgpu_env import PvgpuEnv, build_dir  # noqa: E402

LIMIT = 1200
# A /dev with little else; the simulated GPU's file lies in /dev/shm.
SHOW = """set -e
mount -t tmpfs none "$1"
mkdir "$1/dev" "$1/dev/shm"
for f in null zero full random urandom; do touch "$1/dev/$f"; mount --bind "/dev/$f" "$1/dev/$f"; done
mount --bind /dev/shm "$1/dev/shm"
ln -s /proc/self/fd "$1/dev/fd"
ln -s null "$1/dev/nvidiactl"
mount --rbind "$1/dev" /dev
shift
exec "$@"
"""


class Jax(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.build = pathlib.Path(build_dir()).resolve()
        cls.folder = cls.build / "jax"
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root")
        cls.python = jax_env.make(cls.folder)
        (cls.folder / "dev").mkdir(exist_ok=True)

    def train(self, before=(), **env):
        done = subprocess.run([*before, self.python, HERE / "jax_run.py", "matmul"], env={**os.environ, **env}, capture_output=True, text=True, timeout=LIMIT, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return jax_env.said(done.stdout)

    def test_training(self):
        """As an A100 and as an H100: XLA makes other code for each."""
        want = self.train(JAX_PLATFORMS="cpu")
        for capability in "8.0", "9.0":
            with self.subTest(capability=capability):
                self.train_on(capability, want)

    def train_on(self, capability, want):
        with PvgpuEnv(vgpus={"vgpu0": "2G"}, sim={"SIMCUDA_CC": capability}) as pvgpu:
            got = self.train(["unshare", "--mount", "sh", "-c", SHOW, "sh", self.folder / "dev", self.build / "bin/pvgpu-run"],
                             PVGPU_SOCKET=pvgpu.socket(), **jax_env.on_gpu(self.folder), PATH="/usr/sbin:/usr/bin:/sbin:/bin")
            pvgpu.check_idle()
        print(f"jax_test: {got.awaited} awaited calls a step, compute capability {capability}")
        self.assertEqual(jax_env.wrong(got, want, self.build / "lib"), "")


if __name__ == "__main__":
    unittest.main()
