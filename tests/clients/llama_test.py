# SPDX-License-Identifier: MIT
"""llama.cpp, built from its source by clang with our own headers, decodes the same tokens through pvgpu as on the CPU and as directly on the simulated GPU.
The source is what PyPI's llama-cpp-python ships, of a version whose CUDA part is one file; the model is small and random (llama/model.py). Its kernels are
clang's PTX, linked with libdevice.py's functions; matrix products are cuBLAS', by the forwarding library. Needs numpy, clang and libclc."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path += [str(HERE), str(HERE.parent / "integration")]
import libdevice  # noqa: E402
import wheels  # noqa: E402
from pvgpu_env import PvgpuEnv, build_dir  # noqa: E402

VERSION, NUMPY, LIMIT = "0.2.20", "numpy>=1.24", 900
LIBCLC = "/usr/lib/clc/nvptx64--.bc"
HOST = ["-O2", "-DNDEBUG", "-D_GNU_SOURCE", "-w", "-I."]
CUDA = ["clang", "-x", "cuda", "--cuda-path=/nonexistent", "-nocudainc", "-nocudalib", "-Xclang", "-target-sdk-version=11.5", "-std=c++17", "-O2", "-DNDEBUG", "-w", "-include", "cuda_runtime.h", "-I.",
        "-Wno-unknown-cuda-version", f"-I{HERE}/llama", f"-I{ROOT}/libpvgpu/cudart/include", f"-I{ROOT}/libpvgpu/cuda/include", f"-I{ROOT}/libpvgpu"]


class Llama(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.build = pathlib.Path(build_dir()).resolve()
        cls.folder = cls.build / "llama"
        cls.folder.mkdir(exist_ok=True)
        if not os.path.exists(LIBCLC) or not shutil.which("clang"):
            raise unittest.SkipTest(f"needs clang and {LIBCLC} (Debian: libclc-14, libclc-19)")
        cls.python = cls.folder / "venv/bin/python"
        cls.source = cls.folder / f"llama_cpp_python-{VERSION}" / "vendor" / "llama.cpp"
        if not cls.source.exists():
            cls.download()
        program = cls.folder / "gpu/run"
        if not program.exists() or any(p.stat().st_mtime > program.stat().st_mtime for p in (HERE / "llama").iterdir()):
            cls.compile()
        cls.model = cls.folder / "model.gguf"
        subprocess.run([cls.python, HERE / "llama/model.py", cls.model], env={**os.environ, "PYTHONPATH": str(cls.source / "gguf-py")}, check=True)

    @classmethod
    def download(cls):
        wheels.pip(cls.folder, "install", NUMPY)
        wheels.pip(cls.folder, "download", "--no-deps", "--no-binary", "llama-cpp-python", "--dest", cls.folder, f"llama-cpp-python=={VERSION}")
        with tarfile.open(cls.folder / f"llama_cpp_python-{VERSION}.tar.gz") as archive:
            archive.extractall(cls.folder)

    @classmethod
    def tool(cls, *words):
        subprocess.run(words, cwd=cls.source, check=True)

    @classmethod
    def host(cls, out, *options):
        """What the host's compilers make, and the program."""
        for name in "ggml", "ggml-alloc", "ggml-backend", "ggml-quants":
            cls.tool("gcc", "-std=gnu11", *HOST, *options, "-c", "-o", out / f"{name}.o", f"{name}.c")
        for name in "llama.cpp", HERE / "llama/run.cpp":
            cls.tool("g++", "-std=c++17", *HOST, *options, "-c", "-o", out / (pathlib.Path(name).stem + ".o"), name)
        libraries = [f"-L{cls.build}/lib", "-l:libcudart.so.12", "-l:libcublas.so.12"] if options else []
        cls.tool("g++", "-o", out / "run", *sorted(out.glob("*.o")), *libraries, "-lpthread", "-lm")

    @classmethod
    def compile(cls):
        cpu, gpu = cls.folder / "cpu", cls.folder / "gpu"
        for out in cpu, gpu:
            out.mkdir(exist_ok=True)
        libdevice.make(LIBCLC, cls.folder / "cuda")
        cls.tool(*CUDA, "--cuda-device-only", "--cuda-gpu-arch=sm_70", "-Xclang", "-target-feature", "-Xclang", "+ptx64", "-Xclang", "-mlink-builtin-bitcode",
                 "-Xclang", cls.folder / "cuda/nvvm/libdevice/libdevice.10.bc", "-S", "-o", gpu / "ggml-cuda.ptx", "ggml-cuda.cu")
        cls.tool(sys.executable, ROOT / "tests/cudart/fatbin.py", gpu / "ggml-cuda.fatbin", "70", gpu / "ggml-cuda.ptx")
        cls.tool(*CUDA, "--cuda-host-only", "-Xclang", "-fcuda-include-gpubinary", "-Xclang", gpu / "ggml-cuda.fatbin", "-c", "-o", gpu / "ggml-cuda.o",
                 "ggml-cuda.cu")
        cls.host(cpu)
        cls.host(gpu, "-DGGML_USE_CUBLAS")

    def decode(self, kind, *libraries, **env):
        done = subprocess.run([self.folder / kind / "run", self.model, "99"], env={**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, libraries)), **env},
                              capture_output=True, text=True, timeout=LIMIT, check=False)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        return done.stdout, done.stderr

    def test_tokens(self):
        want, _ = self.decode("cpu")
        self.assertEqual(len(want.split()), 32)
        self.assertGreater(len(set(want.split())), 8, want)
        with PvgpuEnv(vgpus={"vgpu0": "1G"}) as pvgpu:
            direct, _ = self.decode("gpu", self.build / "simcuda", self.build / "lib", **pvgpu.sim)
            got, said = self.decode("gpu", self.build / "lib", PVGPU_SOCKET=pvgpu.socket(), PVGPU_LOG="calls")
            pvgpu.check_idle()
        products = {name for name in re.findall(r"\b(cublas\w*[gG]emm\w*)", said)}
        print("llama_test: " + " ".join(sorted(products)))
        self.assertRegex(said, r"offloaded (\d+)/\1 layers to GPU")
        self.assertEqual(direct, want)
        self.assertEqual(got, want)
        self.assertLessEqual({"cublasSgemm_v2", "cublasGemmEx"}, products)


if __name__ == "__main__":
    unittest.main()
