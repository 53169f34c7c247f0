# SPDX-License-Identifier: MIT
"""Frameworks from PyPI whose kernels open compilers make, each trained or stepped on the CPU, directly on the simulated GPU and through pvgpu, with numbers
that agree: JAX and torch.compile with matrix products that are Triton's (mma.sync, ldmatrix, cp.async), Taichi with particles on a grid. Of NVIDIA's compilers
none runs, and nothing of theirs is loaded: libdevice.py has what stands for their parts. Ends with a line `N passed, N failed`.

Downloads 1 GB the first time; each framework takes some minutes. JAX needs root, as in jax_test.py. A framework that cannot be installed is skipped, with the reason."""
import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent / "integration")]
import jax_test  # noqa: E402
import libdevice  # noqa: E402
import stubs  # noqa: E402
import wheels  # noqa: E402
from pvgpu_env import PvgpuEnv, build_dir  # noqa: E402

LIMIT = 3000  # seconds of one run: kernels are compiled, and a machine may be busy
SIM = {"SIMCUDA_CC": "8.0", "SIMCUDA_PAGE_BOUNDS": "1", "SIMCUDA_VERBOSE": "1"}
COMMON = "numpy==2.4.6", "setuptools==80.9.0"
TORCH = ("torch==2.15.0", "triton==3.9.0", "sympy==1.14.0", "mpmath==1.3.0", "networkx==3.6.1", "jinja2==3.1.6", "markupsafe==3.0.3", "fsspec==2026.9.0",
         "filelock==3.20.0", "typing-extensions==4.15.0")
TAICHI = "taichi==1.7.4", "colorama==0.4.6", "dill==0.4.0", "rich==14.2.0", "pygments==2.19.2", "markdown-it-py==4.0.0", "mdurl==0.1.2"
# Libraries of NVIDIA's that PyTorch is linked with and pvgpu has not: the test calls none of their functions.
UNCALLED = "libcufft.so.12", "libcusolver.so.12", "libcusparse.so.12", "libnvrtc.so.13"


class Frameworks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.build = pathlib.Path(build_dir()).resolve()
        cls.folder = cls.build / "frameworks"
        cls.cuda = cls.folder / "cuda"
        if not os.path.exists(jax_test.LIBCLC):
            raise unittest.SkipTest(f"needs {jax_test.LIBCLC} (Debian: libclc-14, libclc-19)")
        libdevice.make(jax_test.LIBCLC, cls.cuda)
        # pvgpu's libraries over the simulated GPU's driver, as pvgpu-run wants them.
        cls.direct = cls.folder / "direct"
        cls.direct.mkdir(exist_ok=True)
        for library in [*(cls.build / "lib").glob("*.so*"), *(cls.build / "simcuda").glob("*.so*")]:
            link = cls.direct / library.name
            link.unlink(missing_ok=True)
            link.symlink_to(library)

    def numbers(self, command, env):
        """What a run prints: its numbers, a list for each line, and the libraries of CUDA that it has loaded."""
        done = subprocess.run([str(c) for c in command], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr[-8000:])
        rows = [[float(v) for v in line.split()] for line in done.stdout.splitlines() if re.fullmatch(r"[-\d. ]+", line.strip())]
        return rows, [line for line in done.stdout.splitlines() if line.startswith("/")]

    def on_gpu(self, command, direct, **env):
        with PvgpuEnv(vgpus={"vgpu0": "2G"}, sim=SIM) as pvgpu:
            before = pvgpu.guest_env(direct=direct, extra={"OMP_NUM_THREADS": "1", **env})
            before["LD_LIBRARY_PATH"] = env.get("LD_LIBRARY_PATH", "")
            before["PVGPU_LIBRARIES"] = str(self.direct if direct else self.build / "lib")
            got, libraries = self.numbers([self.build / "bin/pvgpu-run", *command], before)
            pvgpu.check_idle()
        driver = (self.build / ("simcuda" if direct else "lib") / "libcuda.so.1").resolve()
        self.assertIn(str(driver), libraries)
        return got

    def check(self, got, want, tolerance, what):
        self.assertEqual([len(row) for row in got], [len(row) for row in want], what)
        self.assertTrue(want, what)
        for a, b in zip(sum(got, []), sum(want, [])):
            self.assertLess(abs(a - b), tolerance * abs(b), f"{what}: {got}, and on the CPU {want}")

    def both_ways(self, tolerance, cpu, run):
        for way in "directly", "through pvgpu":
            with self.subTest(way):
                self.check(run(way == "directly"), cpu, tolerance, way)


class Jax(Frameworks):
    def test_jax(self):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root, for a /dev with the device file that JAX looks for")
        home = self.build / "jax"
        python = wheels.pip(home, "install", *jax_test.WHEELS)
        (home / "dev").mkdir(exist_ok=True)
        script = HERE / "jax_run.py", "matmul"
        cpu = self.numbers([python, *script], {**os.environ, "JAX_PLATFORMS": "cpu"})[0]

        def run(direct):
            dump = self.folder / f"jax-{'direct' if direct else 'pvgpu'}"
            subprocess.run(["rm", "-rf", dump], check=True)
            flags = jax_test.FLAGS.replace("--xla_gpu_enable_triton_gemm=false", "--xla_gpu_cublas_fallback=false") + f" --xla_dump_to={dump}"
            got = self.on_gpu(["unshare", "--mount", "sh", "-c", jax_test.SHOW, "sh", home / "dev", python, *script], direct, JAX_PLATFORMS="cuda",
                              XLA_PYTHON_CLIENT_PREALLOCATE="false", XLA_FLAGS=flags, CUDA_ROOT=str(self.cuda), PATH="/usr/sbin:/usr/bin:/sbin:/bin")
            self.assertTrue(any("mma.sync" in p.read_text() for p in dump.glob("*.ptx")), "no product is Triton's")
            self.assertFalse([p for p in dump.glob("*gpu_after_optimizations.txt") if "__cublas" in p.read_text()], "a product is cuBLAS's")
            return got

        self.both_ways(0.01, cpu, run)


class Torch(Frameworks):
    def test_torch(self):
        if not pathlib.Path(sysconfig.get_paths()["include"], "Python.h").exists():
            raise unittest.SkipTest("Triton compiles its launcher: needs Python.h (Debian: python3-dev)")
        home = self.folder / "torch"
        python = wheels.pip(home, "install", "--no-deps", *COMMON, *TORCH)
        libraries = next(home.glob("venv/lib/python3*/site-packages/torch/lib"))
        linked = home / "linked"
        linked.mkdir(exist_ok=True)
        wanted = stubs.wanted_of(libraries.glob("lib*.so"))
        for name in UNCALLED:
            stubs.make(linked, name, wanted[name])
        script = python, HERE / "torch_train.py"
        cpu = self.numbers([*script, "cpu"], {**os.environ, "LD_LIBRARY_PATH": f"{linked}:{self.direct}"})[0]

        def run(direct):
            caches = {f"{name}_CACHE_DIR": str(home / f"{name.lower()}-{'direct' if direct else 'pvgpu'}") for name in ("TORCHINDUCTOR", "TRITON")}
            subprocess.run(["rm", "-rf", *caches.values()], check=True)
            return self.on_gpu([*script, "cuda"], direct, LD_LIBRARY_PATH=str(linked), TRITON_LIBDEVICE_PATH=f"{self.cuda}/nvvm/libdevice/libdevice.10.bc",
                               TRITON_PTXAS_PATH=f"{self.cuda}/bin/ptxas", TRITON_PTXAS_BLACKWELL_PATH=f"{self.cuda}/bin/ptxas",
                               TRITON_LIBCUDA_PATH=str(self.direct), **caches)

        self.both_ways(0.001, cpu, run)


class Taichi(Frameworks):
    def test_taichi(self):
        home = self.folder / "taichi"
        python = wheels.pip(home, "install", "--no-deps", *COMMON, *TAICHI)
        ours = next(home.glob("venv/lib/python3*/site-packages/taichi/_lib/runtime/slim_libdevice.10.bc"))
        ours.write_bytes((self.cuda / "nvvm/libdevice/libdevice.10.bc").read_bytes())
        script = python, HERE / "taichi_run.py"
        cpu = self.numbers([*script, "cpu"], dict(os.environ))[0]
        self.both_ways(0.001, cpu, lambda direct: self.on_gpu([*script, "cuda"], direct))


class Result(unittest.TextTestResult):
    """Counts each way of each framework, not each framework."""
    passed = failed = 0

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        self.passed, self.failed = self.passed + (err is None), self.failed + (err is not None)


def main():
    known, loader = {c.__name__.lower(): c for c in (Jax, Torch, Taichi)}, unittest.defaultTestLoader
    unknown = set(sys.argv[1:]) - set(known)
    if unknown:
        sys.exit(f"unknown framework {', '.join(sorted(unknown))}: name some of {', '.join(known)}, or none for all")
    chosen = [known[name] for name in sys.argv[1:] or known]
    result = unittest.TextTestRunner(verbosity=2, resultclass=Result).run(unittest.TestSuite(loader.loadTestsFromTestCase(c) for c in chosen))
    broken = sum(1 for test, _ in result.errors + result.failures if not hasattr(test, "test_case"))
    print(f"{result.passed} passed, {result.failed + broken} failed" + (f", {len(result.skipped)} frameworks skipped" if result.skipped else ""))
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
