# SPDX-License-Identifier: MIT
"""JAX from its wheels, as they are, by pvgpu-run on the simulated GPU: a small transformer is trained, with the losses that the CPU gives (jax_run.py).
NVIDIA's wheels of the runtime and of CUPTI are installed beside, which JAX opens by their absolute paths, and ours are the ones that are loaded.
Every kernel is PTX that XLA's LLVM makes; matrix products are XLA's own, by cuBLASLt, whose simulated stand-in computes for the worker.
Needs root, for a /dev with the device file that JAX looks for; downloads a quarter of a gigabyte the first time."""
import os
import pathlib
import re
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent / "integration")]
import libdevice  # noqa: E402
import wheels  # noqa: E402
from pvgpu_env import PvgpuEnv, build_dir  # noqa: E402

VERSION, LIMIT = "0.10.2", 1200
WHEELS = f"jax=={VERSION}", f"jax-cuda13-plugin=={VERSION}", f"jax-cuda13-pjrt=={VERSION}", "nvidia-cuda-runtime==13.0.96", "nvidia-cuda-cupti==13.0.85"
LIBCLC = "/usr/lib/clc/nvptx64--.bc"
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
FLAGS = "--xla_gpu_autotune_level=0 --xla_gpu_enable_triton_gemm=false --xla_gpu_enable_libnvptxcompiler=false --xla_gpu_enable_libnvjitlink=false"


class Jax(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.build = pathlib.Path(build_dir()).resolve()
        cls.folder = cls.build / "jax"
        if os.geteuid() != 0 or not os.path.exists(LIBCLC):
            raise unittest.SkipTest(f"needs root, and {LIBCLC} (Debian: libclc-14, libclc-19)")
        cls.python = wheels.pip(cls.folder, "install", *WHEELS)
        libdevice.make(LIBCLC, cls.folder / "cuda")
        (cls.folder / "dev").mkdir(exist_ok=True)

    def train(self, before=(), **env):
        done = subprocess.run([*before, self.python, HERE / "jax_run.py", "matmul"], env={**os.environ, **env}, capture_output=True, text=True, timeout=LIMIT, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        waits = re.search(r"^awaited (.*)\n", done.stdout, re.M)
        self.awaited = waits and float(waits[1])
        self.control = float(re.search(r"^control (.*)\n", done.stdout, re.M)[1])
        lines = re.sub(r"^(?:awaited|control) .*\n", "", done.stdout, flags=re.M).split()
        return [float(v) for v in lines if not v.startswith("/")], [v for v in lines if v.startswith("/")], done.stderr

    def test_training(self):
        """As an A100 and as an H100: XLA makes other code for each."""
        want = self.train(JAX_PLATFORMS="cpu")[0]
        control = self.control
        for capability in "8.0", "9.0":
            with self.subTest(capability=capability):
                self.train_on(capability, want, control)

    def train_on(self, capability, want, control):
        with PvgpuEnv(vgpus={"vgpu0": "2G"}, sim={"SIMCUDA_CC": capability}) as pvgpu:
            got, libraries, err = self.train(["unshare", "--mount", "sh", "-c", SHOW, "sh", self.folder / "dev", self.build / "bin/pvgpu-run"],
                                             PVGPU_SOCKET=pvgpu.socket(), JAX_PLATFORMS="cuda", XLA_PYTHON_CLIENT_PREALLOCATE="false",
                                             XLA_FLAGS=FLAGS, CUDA_ROOT=f"{self.folder}/cuda", PATH="/usr/sbin:/usr/bin:/sbin:/bin")
            pvgpu.check_idle()
        print(f"jax_test: {self.awaited} awaited calls a step, compute capability {capability}")
        self.assertLessEqual(self.awaited, 4)
        self.assertEqual(len(got), len(want))
        for a, b in zip(got, want):
            self.assertLess(abs(a - b), 0.01 * abs(b), (got, want))
        self.assertLess(got[-1], got[0] / 2)
        self.assertAlmostEqual(self.control, control, delta=0.001 * abs(control))
        self.assertLessEqual({"libcuda.so.1", "libcudart.so.13", "libcupti.so.13", "libcudnn.so.9", "libcublasLt.so.13"}, {pathlib.Path(p).name for p in libraries}, err)
        ours = {p.name for p in (self.build / "lib").iterdir()}
        self.assertEqual([p for p in libraries if pathlib.Path(p).name in ours and not p.startswith(f"{self.build}/lib/")], [])


if __name__ == "__main__":
    unittest.main()
