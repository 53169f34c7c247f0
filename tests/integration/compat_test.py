# SPDX-License-Identifier: MIT
"""pvgpud on a kernel without pidfds (tests/gpu/compat): ends of workers and guests are noticed, and nothing is left
behind."""
import os
import unittest
from unittest import mock

import cheat_test
import lifecycle_test
from pvgpu_env import PvgpuEnv, build_dir, files_of

PRELOAD = ["env", "LD_PRELOAD=" + os.path.join(build_dir(), "tests", "gpu-compat.so"), "GPU_COMPAT_PIDFD=1"]


def preloaded(*args, wrap=(), **kw):
    """A test that preloads a library of its own keeps that one."""
    return PvgpuEnv(*args, wrap=[*PRELOAD, *wrap], **kw)


class Under:
    """Tests of another module, on such a pvgpud."""
    module = lifecycle_test

    def setUp(self):
        p = mock.patch.object(self.module, "PvgpuEnv", preloaded)
        p.start()
        self.addCleanup(p.stop)


class Sessions(Under, lifecycle_test.Sessions):
    pass


class Ends(Under, lifecycle_test.Ends):
    pass


class Adoption(Under, lifecycle_test.Adoption):
    pass


class Health(Under, cheat_test.Health):
    module = cheat_test


class Preloaded(unittest.TestCase):
    def test_it_is_not_the_kernels(self):
        """pvgpud has no pidfd of the kernel."""
        with preloaded() as env:
            env.wait_spare()
            links = files_of(env.pid)
            self.assertFalse([link for link in links if "pidfd" in link], links)
            with open(f"/proc/{env.pid}/maps") as f:
                self.assertIn("gpu-compat.so", f.read())


if __name__ == "__main__":
    unittest.main()
