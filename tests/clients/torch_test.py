# SPDX-License-Identifier: MIT
"""Debian 13's PyTorch for CUDA in a chroot, with our libcuda, libcudart and libnvidia-ml, through pvgpu on the simulated GPU: all but its
kernels (torch_run.py). They are machine code, and PTX for GPUs of 9.0 and later, neither of which is for the simulated GPU: it is one of 8.6
here, so that the PTX is not taken. Every symbol that PyTorch's libraries want of ours is there, with its version node. Its cuDNN is a stub made
of what its libraries import, and is not called. Needs root, a mirror of Debian's, 8 GB of disk and, the first time, half an hour."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent / "integration"), str(HERE.parent / "packaging")]
import chroot  # noqa: E402
import stubs  # noqa: E402
from pvgpu_env import PvgpuEnv, build_dir  # noqa: E402

SUITE = "trixie"
LIB = "usr/lib/x86_64-linux-gnu"
OURS = "libcuda.so.1", "libcudart.so.12", "libnvidia-ml.so.1"
LIMIT = 1200
# In place of the driver, and of cuDNN, whose package would fetch it from elsewhere.
CONTROL = """Package: pvgpu-test
Version: 1
Architecture: amd64
Maintainer: nobody <nobody@localhost>
Provides: libcuda1 (= 580), libcuda.so.1 (= 580), libnvidia-ml1 (= 580), libnvidia-ml.so.1 (= 580), nvidia-cudnn (= 9.99.0), nvidia-smi (= 580)
Description: what a test of pvgpu has in place of others
"""
UNDEFINED = re.compile(r"\sUND\s+(\w+)@(\S+)")


def imports(library):
    """(name, version node) of what a library wants of others."""
    said = subprocess.run(["readelf", "--wide", "--dyn-syms", library], capture_output=True, text=True, check=True).stdout
    return set(UNDEFINED.findall(said))


def exports(library):
    said = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    return {tuple(line.split()[-1].split("@@")) for line in said.splitlines()}


class Torch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0 or not shutil.which("debootstrap"):
            raise unittest.SkipTest("a chroot needs root and debootstrap")
        folder = pathlib.Path(build_dir()) / "torch"
        cls.system = chroot.Chroot(folder, SUITE, ("python3-torch-cuda",), "contrib non-free", first=cls.stand_in)
        try:
            cls.system.bootstrap()
        except chroot.Missing as e:
            raise unittest.SkipTest(str(e)) from e
        cls.addClassCleanup(cls.system.remove)
        cls.system.unpack()
        cls.root = cls.system.root
        cls.ours = cls.root / "opt/pvgpu"
        for path in cls.ours, cls.root / "mnt":
            path.mkdir(parents=True, exist_ok=True)
        for name in OURS:
            shutil.copy(os.path.join(build_dir(), "lib", name), cls.ours)
        shutil.copy(HERE / "torch_run.py", cls.ours)
        cls.libraries = [p for p in sorted((cls.root / LIB).glob("*.so*")) if not p.is_symlink() and p.stat().st_size > 0]
        cls.make_cudnn()

    @staticmethod
    def stand_in(root):
        """A package that provides what is ours, in the system before PyTorch is installed."""
        (root / "tmp/stand-in/DEBIAN").mkdir(parents=True)
        (root / "tmp/stand-in/DEBIAN/control").write_text(CONTROL)
        return "dpkg-deb --build /tmp/stand-in /tmp/stand-in.deb && dpkg -i /tmp/stand-in.deb"

    @classmethod
    def make_cudnn(cls):
        wanted = {n for p in cls.libraries for n, node in imports(p) if node == "libcudnn.so.9"}
        stubs.make(cls.ours, "libcudnn.so.9", {"libcudnn.so.9": wanted})

    def run_in(self, command, pvgpu):
        enter = 'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && mount --bind "$2" "$1/mnt" && exec chroot "$1" /usr/bin/env -i ' \
                'PATH=/usr/bin:/bin HOME=/root LC_ALL=C.UTF-8 OMP_NUM_THREADS=1 LD_LIBRARY_PATH=/opt/pvgpu PVGPU_SOCKET=/mnt/vgpu0.sock sh -c "$3"'
        done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", enter, "sh", self.root, pvgpu.run_dir, command],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stdout}\n{done.stderr}")
        return done

    def test_symbols(self):
        for name in OURS:
            have, seen = exports(self.ours / name), 0
            for library in self.libraries:
                wanted = {w for w in imports(library) if w[1] == name}
                self.assertEqual(wanted - have, set(), f"{library.name} wants of {name}")
                seen += len(wanted)
            self.assertTrue(seen or name != "libcudart.so.12", f"nobody wants anything of {name}")

    def check_backend(self, backend, conf):
        with PvgpuEnv(vgpus={"vgpu0": "1G"}, sim={"SIMCUDA_CC": "8.6"}) as pvgpu:
            done = self.run_in(f"{conf} python3 /opt/pvgpu/torch_run.py {backend}", pvgpu)
            self.assertIn("ok kernel", done.stdout)
            self.assertNotIn("pvgpu: this program brings", done.stderr)
            pvgpu.check_idle()
        return done.stdout

    def test_native(self):
        self.assertEqual(self.check_backend("native", "").count("ok "), 8)

    def test_expandable(self):
        self.check_backend("expandable", "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True")

    def test_async(self):
        self.check_backend("async", "PYTORCH_CUDA_ALLOC_CONF=backend:cudaMallocAsync")


if __name__ == "__main__":
    unittest.main()
