# SPDX-License-Identifier: MIT
"""pvgpuctl cdi: a specification that the Container Device Interface allows, and containers that are made by it. engine() does to a mount namespace what
Podman and Docker do to a container; Podman itself is in tests/clients/podman_test.py. PVGPU_BUILD: the build folder."""
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import unittest

from pvgpu_env import LIMIT, PvgpuEnv, build_dir, program, wait_for

LIBRARIES = os.path.join(build_dir(), "lib")
# A root with the machine's programs and libraries, read-only, and with the test programs.
ROOT = r"""set -e
mount -t tmpfs none "$1"
mkdir -p "$1/programs" "$1/proc" "$1/dev" "$1/run"
for d in bin lib lib64; do ln -s usr/$d "$1/$d"; done
for d in usr/bin usr/lib/x86_64-linux-gnu usr/lib64; do mkdir -p "$1/$d" && mount --bind -o ro /$d "$1/$d"; done
mount --bind "$2" "$1/programs" && mount -t proc proc "$1/proc" && : >"$1/dev/null" && mount --bind /dev/null "$1/dev/null"
root=$1; shift 2
while [ $# -gt 0 ]; do
	if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$(dirname "$root$2")" && : >"$root$2"; fi
	mount --bind "$1" "$root$2" && mount -o "remount,bind,$3" "$root$2"
	shift 3
done
echo ready
exec chroot "$root" /bin/sh
"""


def rules(spec):
    """What the specification 0.5.0 of CDI does not allow: engines refuse a file with an unknown field or a malformed name."""
    known = {"": {"cdiVersion", "kind", "devices", "containerEdits"}, "device": {"name", "containerEdits"},
             "edits": {"env", "deviceNodes", "mounts", "hooks"}, "mount": {"hostPath", "containerPath", "options", "type"}}
    found = [f"unknown {n}" for n in set(spec) - known[""]]
    vendor, _, kind = spec["kind"].partition("/")
    found += [f"kind {n!r}" for n in (vendor, kind) if not re.fullmatch(r"[A-Za-z]([\w.-]*[A-Za-z0-9])?", n, re.ASCII)]
    if "." in kind:
        found.append("a kind with a dot is of 0.6.0")
    names = [d["name"] for d in spec["devices"]]
    found += [f"name {n!r}" for n in names if not re.fullmatch(r"[A-Za-z0-9]([\w.:-]*[A-Za-z0-9])?", n, re.ASCII)]
    found += ["a name twice"] * (len(set(names)) != len(names)) + ["no device"] * (not names)
    for d in spec["devices"]:
        found += [f"unknown {n}" for n in set(d) - known["device"]] + ["an empty device"] * (not d["containerEdits"])
    for edits in [spec["containerEdits"], *(d["containerEdits"] for d in spec["devices"])]:
        found += [f"unknown {n}" for n in set(edits) - known["edits"]]
        found += [f"env {e!r}" for e in edits.get("env", []) if not re.match(r"\w+=", e)]
        for m in edits.get("mounts", []):
            found += [f"unknown {n}" for n in set(m) - known["mount"]]
            found += [f"mount {m}" for p in ("hostPath", "containerPath") if not os.path.isabs(m[p])]
    return found


class Container:
    """A shell in a namespace of mounts, with what the specification says of a device."""

    def __init__(self, spec, name, root, programs):
        device = next(d for d in spec["devices"] if d["name"] == name)
        edits = [spec["containerEdits"], device["containerEdits"]]
        mounts = [w for e in edits for m in e["mounts"] for w in (m["hostPath"], m["containerPath"], ",".join(o for o in m["options"] if o != "bind"))]
        self.env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **dict(v.split("=", 1) for e in edits for v in e["env"])}
        os.makedirs(root, exist_ok=True)
        self.shell = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "sh", "-c", ROOT, "sh", root,
                                       programs, *mounts], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.env)
        self.until("ready")

    def until(self, word):
        said = []
        for line in self.shell.stdout:
            if line.split(" ")[0].rstrip("\n") == word:
                return "".join(said), line.split(" ")[-1].strip()
            said.append(line)
        raise AssertionError("the container has ended: " + "".join(said))

    def run(self, command):
        """(what it prints, its exit status)"""
        self.shell.stdin.write(f"{command}; s=$?; echo; echo ended $s\n")
        self.shell.stdin.flush()
        said, status = self.until("ended")
        return said, int(status)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shell.stdin.close()
        self.shell.wait(LIMIT)
        self.shell.stdout.close()


class Placed(PvgpuEnv):
    """A pvgpud whose vGPU "own" has a folder for its socket, which pvgpud makes, and "shared" the usual place."""

    def __init__(self, **how):
        super().__init__(vgpus={"shared": "64M", "own": "64M"}, **how)
        self.folder = os.path.join(self.dir, "own")
        self.vgpus["own"] = f"memory=64M,socket={self.folder}/vgpu.sock"
        os.chmod(self.dir, 0o755)

    def socket(self, name="shared"):
        return os.path.join(self.folder, "vgpu.sock") if name == "own" else super().socket(name)


def cdi(env, *words):
    return subprocess.run([program("pvgpuctl", env.build), "cdi", *words, "--run-dir", env.run_dir], capture_output=True, text=True, timeout=LIMIT, check=False)


class Cdi(unittest.TestCase):
    def test_specification(self):
        with Placed() as env:
            done = cdi(env, "--libraries", LIBRARIES, "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            spec = json.loads(done.stdout)
            self.assertEqual(rules(spec), [])
            by_name = {d["name"]: d["containerEdits"] for d in spec["devices"]}
            self.assertEqual({n: (e["env"], e["mounts"][0]["hostPath"], e["mounts"][0]["containerPath"]) for n, e in by_name.items()},
                             {"shared": (["PVGPU_SOCKET=/run/pvgpu/shared.sock"], f"{env.run_dir}/shared.sock", "/run/pvgpu/shared.sock"),
                              "own": (["PVGPU_SOCKET=/run/pvgpu/own/vgpu.sock"], env.folder, "/run/pvgpu/own")})
            # Only the one that a restart of pvgpud would cut off.
            self.assertRegex(done.stderr, r"^pvgpuctl: warning: shared: other files lie beside the socket[^\n]*\n$")
            self.assertEqual(cdi(env, "own", "--libraries", LIBRARIES).stderr, "")
            # An engine never sees a part of the file.
            path = os.path.join(env.dir, "pvgpu.json")
            done = cdi(env, "own", "--libraries", LIBRARIES, "--output", path)
            self.assertRegex(done.stdout, r"^device +in the container\npvgpu/vgpu=own +PVGPU_SOCKET=/run/pvgpu/own/vgpu\.sock\n$")
            self.assertEqual([d["name"] for d in json.loads(pathlib.Path(path).read_text())["devices"]], ["own"])
            self.assertEqual((stat.S_IMODE(os.stat(path).st_mode), os.path.exists(path + ".new")), (0o644, False))

    def test_refusals(self):
        """Each with its exit status, and what to do."""
        with PvgpuEnv({"a": "64M", "b-": "64M"}) as env:
            for status, says, *words in ((3, "nosuch: no such vGPU of the local link; pvgpuctl list shows them", "nosuch", "--libraries", LIBRARIES),
                                         (1, "/nowhere/libcuda.so.1: No such file or directory; --libraries DIR names", "--libraries", "/nowhere"),
                                         (1, "/nowhere/a.json: No such file or directory: make its folder first", "a", "--libraries", LIBRARIES,
                                          "--output", "/nowhere/a.json"),
                                         (2, "--output a.conf: engines read files that end in .json", "--output", "a.conf"),
                                         (1, "b- is left out: a device's name begins and ends with a letter or digit", "--libraries", LIBRARIES)):
                done = cdi(env, *words)
                self.assertEqual(done.returncode, status, (words, done.stderr))
                self.assertIn(says, done.stderr)
            self.assertIn("pvgpu/vgpu=a ", done.stdout)
        done = cdi(env, "--libraries", LIBRARIES)
        self.assertEqual((done.returncode, "is pvgpud running there?" in done.stderr), (3, True), done.stderr)

    def test_faults_are_seen(self):
        edits = {"env": ["A=/"], "mounts": [{"hostPath": "/a", "containerPath": "/b", "options": []}]}
        good = {"cdiVersion": "0.5.0", "kind": "pvgpu/vgpu", "devices": [{"name": "a", "containerEdits": edits}], "containerEdits": edits}
        self.assertEqual(rules(good), [])
        for bad, fault in (({"kind": "pvgpu/v.gpu"}, "a kind with a dot is of 0.6.0"), ({"more": 1}, "unknown more"),
                           ({"devices": [{"name": "a-", "containerEdits": edits}]}, "name 'a-'"),
                           ({"containerEdits": {"env": ["A"]}}, "env 'A'")):
            self.assertIn(fault, rules({**good, **bad}))

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("unshare"), "a namespace of mounts needs root and unshare")
    def test_containers(self):
        """Programs in containers use their vGPU, also after a restart of pvgpud where the vGPU's socket has a folder of its own."""
        with Placed() as env:
            spec = json.loads(cdi(env, "--libraries", LIBRARIES, "--json").stdout)
            programs = os.path.join(env.build, "programs")
            with Container(spec, "own", f"{env.dir}/root1", programs) as own, Container(spec, "shared", f"{env.dir}/root2", programs) as shared:
                for c, name in ((own, "own"), (shared, "shared")):
                    said, status = c.run("/programs/vecadd")
                    self.assertEqual((status, "vecadd: " in said), (0, True), said)
                    self.assertEqual(env.read(f"/vgpu/{name}/sessions-total"), "1")
                # Not even root in the container changes what lies on the host.
                self.assertNotEqual(own.run("rm -f /run/pvgpu/own/vgpu.sock 2>/dev/null")[1], 0)
                self.assertEqual(own.run("ls /run/pvgpu")[0].split(), ["own"])
                env.restart()
                wait_for("the next session", lambda: own.run("/programs/vecadd")[1] == 0)
                self.assertNotEqual(shared.run("/programs/vecadd")[1], 0)


if __name__ == "__main__":
    unittest.main()
