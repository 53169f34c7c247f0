# SPDX-License-Identifier: MIT
"""The tests that NVIDIA's Python bindings bring in their wheel, directly on the simulated GPU and through pvgpu.

The wheel's runtime calls are made of the driver API, so all of it is libcuda.so.1's. Each test must pass both ways. Tests that compile kernels by NVRTC
are not run: what NVIDIA's compilers make is not for the simulated GPU. Downloads 45 MB the first time."""
import os
import pathlib
import subprocess
import sys
import unittest
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent / "integration")]
import programs  # noqa: E402
import wheels  # noqa: E402
from pvgpu_env import PvgpuEnv, build_dir  # noqa: E402

WHEELS, LIMIT = ("cuda-python==12.6.0", "numpy==1.26.4", "pytest==8.3.4"), 600
FILES = "test_cuda.py", "test_cudart.py", "test_interoperability.py"


class CudaPython(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(build_dir()).resolve() / "cuda-python"
        cls.python = wheels.pip(cls.folder, "install", *WHEELS)  # they are for Python 3.8 to 3.12
        where = subprocess.run([cls.python, "-c", "import cuda.tests; print(cuda.tests.__path__[0])"], capture_output=True, text=True, check=True)
        cls.tests = pathlib.Path(where.stdout.strip())

    def run_suite(self, pvgpu, direct):
        """{test: what it says of its failure, None where it passes}"""
        found = self.folder / "found.xml"
        found.unlink(missing_ok=True)
        result = programs.run([self.python, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={found}", *(self.tests / f for f in FILES)],
                              pvgpu.guest_env(direct=direct), LIMIT)
        self.assertTrue(found.exists(), result.stdout.decode()[-3000:] + result.stderr.decode()[-3000:])
        outcomes = {}
        for case in xml.etree.ElementTree.parse(found).iter("testcase"):
            name = f"{case.get('classname').rsplit('.', 1)[-1]}.{case.get('name')}"
            skipped = case.find("skipped")
            if skipped is None:
                outcomes[name] = next((str(wrong.text) for tag in ("failure", "error") for wrong in case.findall(tag)), None)
            else:
                print(f"{name} skipped: {skipped.get('message')}", file=sys.stderr)
        return outcomes

    def check(self, outcomes, way):
        wrong = {name: text for name, text in outcomes.items() if text is not None}
        print(f"{way}: {len(outcomes) - len(wrong)} of {len(outcomes)} pass", file=sys.stderr)
        self.assertGreaterEqual(len(outcomes), 60, sorted(outcomes))
        self.assertFalse(wrong, f"{way}\n" + "\n".join(f"--- {name}\n{text[-1500:]}" for name, text in wrong.items()))

    def test_direct(self):
        with PvgpuEnv(build=build_dir()) as pvgpu:
            self.check(self.run_suite(pvgpu, direct=True), "directly on the simulated GPU")

    def test_pvgpu(self):
        with PvgpuEnv(build=build_dir()) as pvgpu:
            self.check(self.run_suite(pvgpu, direct=False), "through pvgpu")
            pvgpu.check_idle()


if __name__ == "__main__":
    unittest.main()
