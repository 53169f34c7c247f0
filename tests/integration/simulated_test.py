# SPDX-License-Identifier: MIT
"""pvgpud without a GPU: it reports that, and serves a simulated one with --simulated."""
import os
import subprocess
import tempfile
import unittest

from pvgpu_env import PvgpuEnv, build_dir, program, wait_for


def pvgpuctl(run_dir, *words):
    return subprocess.run([program("pvgpuctl"), "--run-dir", run_dir, *words], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=240)


class NoGpu(unittest.TestCase):
    def test_list_says_why(self):
        with PvgpuEnv(libcuda="/nowhere/libcuda.so.1") as env:
            wait_for("the reason", lambda: env.read("/pool/default/failure"))
            out = pvgpuctl(env.run_dir, "list").stdout
            self.assertRegex(out, r"vgpu0 .* no GPU: .*/nowhere/libcuda\.so\.1")
            self.assertNotIn("open\n", out)

    def test_a_gpu(self):
        with PvgpuEnv() as env:
            env.wait_spare()
            self.assertEqual(env.read("/pool/default/failure"), "")
            self.assertRegex(pvgpuctl(env.run_dir, "list").stdout, r"vgpu0 .* open\n")


class Simulated(unittest.TestCase):
    def test_two_commands(self):
        """The two commands of README."""
        with tempfile.TemporaryDirectory() as d:
            run, env = os.path.join(d, "run"), dict(os.environ)
            gpu = os.path.join(d, "gpu")
            with open(os.path.join(d, "log"), "w+") as log:
                daemon = subprocess.Popen([program("pvgpud"), "--simulated", "--run-dir", run, "--vgpu", "try:memory=1G",
                                           "--set", f"env=SIMCUDA_GPU={gpu}"],
                                          stdin=subprocess.DEVNULL, stderr=log, env=env)
                try:
                    sock = os.path.join(run, "try.sock")
                    wait_for("its socket", lambda: os.path.exists(sock))
                    r = subprocess.run([os.path.join(build_dir(), "programs", "vecadd")], stdout=subprocess.PIPE, text=True,
                                       env={**env, "PVGPU_SOCKET": sock, "LD_LIBRARY_PATH": os.path.join(build_dir(), "lib")},
                                       timeout=120)
                    self.assertEqual(r.returncode, 0)
                    self.assertIn("vecadd: ", r.stdout)
                    self.assertIn("open", pvgpuctl(run, "list").stdout)
                finally:
                    daemon.terminate()
                    daemon.wait(240)
                log.seek(0)
                self.assertIn("the GPU is a simulated one: ", log.read())
                self.assertEqual(daemon.returncode, 0)


class Profiles(unittest.TestCase):
    """Profiles and tenants at the local link's door: pvgpuctl set."""
    TENANT = "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90"

    def test_set(self):
        with PvgpuEnv() as env, tempfile.TemporaryDirectory() as site:
            env.wait_spare()
            with open(os.path.join(site, "profiles.conf"), "w") as f:
                f.write("[profile small]\nmemory = 128M\nweight = 50\n[profile large]\nmemory = 256M\nmax-share = 50%\n[profile bad]\nx = 1\n")
            r = pvgpuctl(env.run_dir, "set", "vgpu0", "--profile", "small", "--tenant", self.TENANT, "--site-dir", site)
            self.assertEqual((r.returncode, r.stderr), (0, ""))
            now = {k: env.read("/vgpu/vgpu0/" + k) for k in ("memory", "weight", "max-share", "pool")}
            self.assertEqual(now, {"memory": str(128 << 20), "weight": "50", "max-share": "100%", "pool": "default/" + self.TENANT})
            r = env.run([os.path.join(build_dir(), "programs", "vecadd")])
            self.assertEqual(r.returncode, 0, r.stderr)
            # All of it is replaced, but for what stands beside it.
            r = pvgpuctl(env.run_dir, "set", "vgpu0", "--profile", "large", "queue-depth=7", "--site-dir", site)
            self.assertEqual((r.returncode, r.stderr), (0, ""))
            now = {k: env.read("/vgpu/vgpu0/" + k) for k in ("memory", "weight", "max-share", "queue-depth", "pool")}
            self.assertEqual(now, {"memory": str(256 << 20), "weight": "100", "max-share": "50%", "queue-depth": "7",
                                   "pool": "default/" + self.TENANT})
            r = pvgpuctl(env.run_dir, "set", "vgpu0", "--profile", "bad", "--site-dir", site)
            self.assertEqual(r.returncode, 1)
            self.assertIn("profile 'bad' cannot be used: ", r.stderr)
            r = pvgpuctl(env.run_dir, "set", "vgpu0")
            self.assertEqual(r.returncode, 2)


if __name__ == "__main__":
    unittest.main()
