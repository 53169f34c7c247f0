# SPDX-License-Identifier: MIT
"""`systemctl reload pvgpud` (SIGHUP): settings that can change do, sessions go on, and what waits for a restart is named. Nothing changes when the file has
a fault."""
import json
import os
import re
import signal
import subprocess
import unittest

import rawclient as raw
from pvgpu_env import LIMIT, PvgpuEnv, program, wait_for

CONFIG = """\
[daemon]
{daemon}
[pool default]
device = 0
{pool}
[group research]
{group}
[vgpu one]
memory = 64M
{vgpu}
{more}
"""


class Reload(unittest.TestCase):
    def start(self, **sections):
        env = PvgpuEnv({"other": "64M"})
        # The settings of the file alone count here.
        for key in ("quarantine_faults", "shutdown_grace_ms"):
            del env.settings[key]
        env.config = self.text(**sections)
        return env

    @staticmethod
    def text(daemon="", pool="", group="weight = 100", vgpu="", more=""):
        return CONFIG.format(daemon=daemon, pool=pool, group=group, vgpu=vgpu, more=more)

    def reload(self, env, **sections):
        """What pvgpud's log says of it."""
        env.write_config(self.text(**sections))
        return self.signal(env)

    @staticmethod
    def signal(env):
        had = len(env.log())
        env.daemon.send_signal(signal.SIGHUP)
        return wait_for("its end", lambda: re.search(r"reload: (\d+ settings?|nothing has)|error: reload", env.log()[had:]) and env.log()[had:])

    def test_what_can_change(self):
        with self.start() as env:
            s = raw.Session(env.socket("one"))
            s.start()
            wait_for("the accounting", lambda: env.read("/daemon/accounting") == "on")
            said = self.reload(env, daemon="spare_workers = 3\nquarantine_faults = 7\nhealth_period_ms = 200\nlog_level = debug\ngpu_reset_timeout_s = 60",
                               pool="policy = equal\nslice_ms = 5", group="weight = 250\nmax_share = 60%", vgpu="weight = 300\nmax_share = 50%")
            for change in ("[daemon] spare_workers = 3", "[daemon] quarantine_faults = 7", "[daemon] health_period_ms = 200", "[pool default] policy has changed",
                           "[pool default] slice_ms = 5", "[group research] weight = 250", "[vgpu one] weight = 300", "[vgpu one] max-share = 50%"):
                self.assertIn("reload: " + change + "\n", said)
            self.assertIn("reload: 11 settings have changed, 0 wait for a restart; log_level is debug", said)
            self.assertNotIn("until it works", said)
            tree = env.tree()
            self.assertEqual((tree["pool"]["default"]["policy"], tree["group"]["research"]["weight"], tree["group"]["research"]["max-share"]),
                             ("equal", "250", "60%"))
            self.assertEqual((tree["vgpu"]["one"]["weight"], tree["vgpu"]["one"]["max-share"], tree["vgpu"]["other"]["weight"]), ("300", "50%", "100"))
            self.assertEqual((tree["daemon"]["log-level"], tree["daemon"]["waits-for-restart"]), ("debug", ""))
            wait_for("three spare workers", lambda: env.read("/daemon/spare-workers") == "3")
            wait_for("the accounting, with its new period", lambda: env.read("/daemon/accounting") == "on" and self.period(env) == "200")
            self.assertEqual(len(env.sessions("one")), 1)
            s.alloc(1 << 20)
            s.close()
            self.assertIn("0 settings have changed, 0 wait", self.signal(env))

    @staticmethod
    def period(env):
        words = env.health()[1]
        return words[words.index("--period-ms") + 1] if "--period-ms" in words else None

    def test_what_waits_for_a_restart(self):
        with self.start() as env:
            said = self.reload(env, daemon="max_sessions = 77\ncontext_memory = 2G", pool="mode = confidential", vgpu="mode = 0600",
                               more="[vgpu two]\nmemory = 32M\n[group new]\nweight = 5")
            waits = "[daemon] max_sessions, [daemon] context_memory, [pool default] mode, [group new], [vgpu one] mode, [vgpu two]"
            self.assertEqual(env.read("/daemon/waits-for-restart"), waits)
            self.assertIn("reload: [daemon] max_sessions has changed: it waits for a restart of pvgpud, in which sessions go on", said)
            self.assertIn("reload: [vgpu two] is new or gone: it waits", said)
            self.assertIn("0 settings have changed, 6 wait for a restart", said)
            self.assertEqual(env.tree()["pool"]["default"]["mode"], "shared")
            done = subprocess.run([program("pvgpuctl", env.build), "doctor", "--json", "--run-dir", env.run_dir], capture_output=True, text=True,
                                  timeout=LIMIT, check=False)
            found, = [f for f in json.loads(done.stdout)["findings"] if f["what"] == "configuration"]
            self.assertEqual((found["verdict"], found["finding"]), ("WARN", "these settings wait for a restart: " + waits))
            env.write_config(self.text().replace("device = 0", "device = 1"))
            self.assertIn("reload: [pool default] device has changed: it waits for a restart of pvgpud, in which sessions on another GPU end", self.signal(env))
            self.reload(env, daemon="max_sessions = 77\ncontext_memory = 2G", pool="mode = confidential", vgpu="mode = 0600",
                        more="[vgpu two]\nmemory = 32M\n[group new]\nweight = 5")
            # Told anew each time, and forgotten when the file is as it was.
            self.assertIn("6 wait for a restart", self.signal(env))
            self.assertIn("0 wait for a restart", self.reload(env))
            self.assertEqual(env.read("/daemon/waits-for-restart"), "")

    def test_what_an_operator_has_set_stays(self):
        """Only what the file changes is set; settings of all pools that came by key stay on top of the file's."""
        with self.start() as env:
            env.write("/vgpu/one/weight", "400")
            env.write("/daemon/pools", "default slice_ms=9")
            self.reload(env, pool="slice_ms = 4\novercommit = 1.5", vgpu="max_share = 40%")
            tree = env.tree()
            self.assertEqual((tree["vgpu"]["one"]["weight"], tree["vgpu"]["one"]["max-share"]), ("400", "40%"))
            # The key's slice stays until the key is written anew.
            env.write("/daemon/pools", "")
            self.assertEqual(env.log().count("pool default: settings have changed"), 3)

    def test_memory_that_does_not_fit(self):
        with PvgpuEnv({"other": "64M"}, sim={"SIMCUDA_MEMORY": "256M"}) as env:
            env.write_config(self.text())
            env.restart(signal.SIGTERM)
            wait_for("the GPU's memory", lambda: env.read("/pool/default/gpu-memory") != "0")
            env.write_config(self.text().replace("memory = 64M", "memory = 128M"))
            self.assertIn("[vgpu one] memory = 134217728", self.signal(env))
            self.assertEqual(env.read("/vgpu/one/memory"), str(128 << 20))
            env.write_config(self.text().replace("memory = 64M", "memory = 250M"))
            self.assertRegex(self.signal(env), r"\[vgpu one\] memory = 262144000 is not taken: .*memory 250 MiB, but 192 MiB are free")
            self.assertEqual(env.read("/vgpu/one/memory"), str(128 << 20))

    def room(self, pool, **vgpus):
        """Each vGPU with its memory, of a GPU of 256 MiB."""
        return "[pool default]\ndevice = 0\n" + pool + "".join(f"\n[vgpu {name}]\nmemory = {memory}" for name, memory in vgpus.items()) + "\n"

    def start_room(self, pool, **vgpus):
        env = PvgpuEnv({}, sim={"SIMCUDA_MEMORY": "256M"})
        env.config = self.room(pool, **vgpus)
        return env

    def takes(self, env, pool="", **vgpus):
        """The file, whole."""
        env.write_config(self.room(pool, **vgpus))
        said = self.signal(env)
        self.assertNotIn("is not taken", said)
        for name, memory in vgpus.items():
            self.assertEqual(env.read(f"/vgpu/{name}/memory"), str(int(memory.split("M")[0]) << 20), name)
        return said

    def test_refused_settings_are_tried_again(self):
        with self.start_room("", one="64M", other="64M") as env:
            wait_for("the GPU's memory", lambda: env.read("/pool/default/gpu-memory") != "0")
            env.write_config(self.room("", one="250M", other="64M"))
            for _ in range(2):
                self.assertRegex(self.signal(env), r"\[vgpu one\] memory = 262144000 is not taken: .*\n.*reload: 0 settings have changed, 0 wait")
            # An operator makes room.
            env.write("/vgpu/other/memory", "1M")
            self.assertIn("1 setting has changed, 0 wait", self.signal(env))
            self.assertEqual(env.read("/vgpu/one/memory"), str(250 << 20))
            self.assertIn("0 settings have changed, 0 wait", self.signal(env))

    def test_settings_that_fit_together(self):
        """The order of the sections does not matter, nor whether a pool gives room or takes it."""
        with self.start_room("", one="64M", two="64M", three="128M") as env:
            wait_for("the GPU's memory", lambda: env.read("/pool/default/gpu-memory") != "0")
            said = self.takes(env, one="128M", two="96M", three="32M")
            self.assertIn("3 settings have changed", said)
            self.assertEqual(said.count("reload: [vgpu three] memory = 33554432\n"), 1)
            # More is promised than there is, in one file, and less again.
            self.takes(env, pool="overcommit = 2.0", one="256M", two="128M", three="128M")
            self.takes(env, pool="overcommit = 1.0", one="128M", two="64M", three="64M")

    def test_reserves_are_checked(self):
        with self.start_room("overcommit = 2.0\npark_memory = 192M", one="192M\nmemory_reserve = 96M", other="192M\nmemory_reserve = 96M") as env:
            wait_for("the GPU's memory", lambda: env.read("/pool/default/gpu-memory") != "0")
            pool = "overcommit = 2.0\npark_memory = {}"
            env.write_config(self.room(pool.format("192M"), one="192M\nmemory_reserve = 96M", other="192M"))
            for _ in range(2):
                self.assertRegex(self.signal(env), r"\[vgpu other\] memory-reserve = 0 is not taken: .*288 MiB would be reserved of 256")
            self.takes(env, pool=pool.format("256M"), one="192M\nmemory_reserve = 64M", other="192M")
            self.takes(env, pool=pool.format("128M"), one="192M\nmemory_reserve = 128M", other="192M\nmemory_reserve = 128M")

    def test_faults(self):
        with self.start(daemon="spare_workers = 1") as env:
            before = env.tree()["daemon"]["log-level"]
            for sections, fault in (({"daemon": "spare_workers = 2\nlog_level = loud"}, "log_level = loud: must be"),
                                    ({"daemon": "spare_workers = 2\nnonsense = 1"}, "nonsense: no such key"),
                                    ({"daemon": "spare_workers = 2", "group": "min_share = 50%\nmax_share = 10%"}, "min_share is above max_share")):
                self.assertIn(fault, self.reload(env, **sections))
                self.assertEqual(env.tree()["daemon"]["log-level"], before)
            os.unlink(env.config_path)
            self.assertIn("No such file", self.signal(env))
            self.assertIn("1 setting has changed", self.reload(env, daemon="spare_workers = 2"))


if __name__ == "__main__":
    unittest.main()
