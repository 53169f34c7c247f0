#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pvgpuctl xapi types: profiles as VGPU types, held against what the double of xapi makes of the files (gpus.py, which reads them by itself).

PVGPU_BUILD: the build folder with pvgpuctl. PYTHON2: as in plugin_test.py.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "xen-pvgpu-back" / "xapi"))
import pvgpu_types  # noqa: E402
import plugin_test
from double import Pool
from gpu_host import BUILD, GPU, GROUP, H100, H100_PCIE, PCI_IDS, RUN, TYPES, Files, add_device
from xapi import faults, read_schema

SCHEMA = read_schema(pathlib.Path(__file__).resolve().parents[2] / "docs" / "pvgpuctl.schema.json")
GIB = 1 << 30
NUMBERS = [0xd5a8, 0xbcad, 0x1d1e]  # of pvgpu-1g, -8g and -40g
NVIDIAS = '<?xml version="1.0"?>\n<vgpuconfig><pgpu><devId deviceId="0x2330" subsystemId="0x0"/></pgpu></vgpuconfig>\n'


def colliding(n=2000):
    """Two names of one number."""
    seen = {}
    for name in ("gpu-%d" % i for i in range(n)):
        other = seen.setdefault(pvgpu_types.subsystem_of(name), name)
        if other != name:
            return other, name
    raise AssertionError("no two names of one number")


class Case(unittest.TestCase):
    python = sys.executable

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="types-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.pool = Pool(self.folder)
        self.addCleanup(self.pool.close)
        self.host = self.pool.hosts[0]
        self.files = Files(self.host.folder, self.python)
        add_device(self.files.pci, GPU, H100)

    def types(self):
        """What xapi has after it has read the files anew."""
        self.pool.update_gpus(self.host)
        return {t["model_name"]: t for t in self.pool.objects["vgpu_type"].values()}

    def refused(self, status, text, *more):
        done = self.files.run(*more)
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        self.assertIn(text, done.stderr)


class Types(Case):
    def test_what_xapi_makes(self):
        said = self.files.write()
        self.assertEqual((said["good"], said["changed"]), (True, [str(self.files.ids), str(self.files.config)]))
        made = self.types()
        self.assertEqual({n: (t["framebuffer_size"], (1 << 20) // t["size"], t["internal_config"]) for n, t in made.items() if t["size"]},
                         {n: (m * GIB, most, {"type_id": n, "vclass": "Compute"}) for n, m, most in (("pvgpu-8g", 8, 10), ("pvgpu-40g", 40, 1),
                                                                                                     ("pvgpu-1g", 1, 3))})
        self.assertEqual({t["vendor_name"] for t in made.values() if t["size"]}, {"NVIDIA Corporation"})
        group, = self.pool.objects["gpu_group"].values()
        self.assertEqual(group["name_label"], GROUP)
        # The check says the same.
        status, said = self.files.ask()
        self.assertEqual((status, faults(said, SCHEMA["properties"]["xapi"], SCHEMA)), (0, []))
        gpu, = said["gpus"]
        self.assertEqual((gpu["address"], gpu["group"], gpu["driver"]), (GPU, GROUP, "nvidia"))
        self.assertEqual({t["name"]: (t["identifier"], t["framebuffer"], t["size"], t["type-id"]) for t in gpu["types"]},
                         {n: (t["identifier"], t["framebuffer_size"], t["size"], t["internal_config"]["type_id"]) for n, t in made.items() if t["size"]})
        listed = self.pool.xe_vgpu_type_list()
        self.assertIn("    model-name ( RO): pvgpu-8g\n", listed)
        self.assertEqual(listed.count("vendor-name ( RO): NVIDIA Corporation"), 3)

    def test_again_and_back(self):
        self.files.write()
        before = [(p.stat().st_ino, p.read_bytes()) for p in (self.files.ids, self.files.config)]
        self.assertEqual(self.files.write()["changed"], [])
        self.assertEqual([(p.stat().st_ino, p.read_bytes()) for p in (self.files.ids, self.files.config)], before)
        first = {n: t["uuid"] for n, t in self.types().items()}
        # A profile goes, one is changed, one is new; those that stay keep their objects.
        self.files.profiles("[profile pvgpu-8g]\nmemory = 8G\nper-gpu = 4\n[profile pvgpu-20g]\nmemory = 20G\n")
        status, said = self.files.ask("--memory", "80G")
        self.assertEqual(status, 1)
        self.assertIn("is not what the profiles say now: --write makes it so", said["faults"][0])
        self.files.write()
        made = self.types()
        self.assertEqual((made["pvgpu-8g"]["uuid"], (1 << 20) // made["pvgpu-8g"]["size"]), (first["pvgpu-8g"], 4))
        group, = self.pool.objects["gpu_group"].values()
        self.assertEqual({self.pool.object("vgpu_type", t)["model_name"] for t in group["enabled_VGPU_types"]}, {"passthrough", "pvgpu-8g", "pvgpu-20g"})
        status, said = self.files.ask("--remove")
        self.assertEqual((status, len(said["changed"])), (0, 2))
        self.assertFalse(self.files.config.exists())
        self.assertEqual(self.files.ids.read_text(encoding="utf-8"), PCI_IDS)
        self.assertEqual(self.files.ask("--remove")[1]["changed"], [])
        self.assertEqual(sorted(p.name for p in self.files.folder.glob("*.pvgpu*")), [])

    def test_nvidias_file(self):
        self.files.config.write_text(NVIDIAS)
        self.refused(1, "is none that pvgpu made, such as that of NVIDIA's vGPU software: --force keeps it as", "--write", "--memory", "80G")
        self.assertEqual(self.files.ids.read_text(encoding="utf-8"), PCI_IDS)
        self.assertIn("is none that pvgpu made", self.files.ask()[1]["faults"][0])
        self.files.write("--force")
        self.assertIn("pvgpu-8g", self.types())
        self.files.write("--force")
        self.assertEqual(self.files.ask("--remove")[0], 0)
        self.assertEqual(self.files.config.read_text(), NVIDIAS)

    def test_mistakes_in_the_file(self):
        """Each with its line and its reason; of those that xapi cannot read at all the double makes no type either."""
        self.files.write()
        good = self.files.config.read_text()
        number = {text: n for n, text in enumerate(good.splitlines(), 1)}
        first = next(n for text, n in number.items() if "supportedVgpu" in text)
        kind = next(n for text, n in number.items() if '<vgpuType id="pvgpu-8g"' in text)
        for old, new, line, text, nothing in (
                ("</vgpuType>", "</vgputype>", kind + 6, "mismatched tag", True),
                ("<framebuffer>0x200000000<", "<framebuffer>8G<", kind + 2, "<framebuffer>: '8G' is no number", True),
                ("<numHeads>0</numHeads>", "", kind, "<vgpuType> has no <numHeads>", True),
                (' class="Compute"', "", kind, "<vgpuType> has no attribute class", True),
                ("<maxVgpus>10<", "<maxVgpus><", first, "<maxVgpus> must have text and nothing else", True),
                ('vgpuId="pvgpu-8g"', 'vgpuId="pvgpu-9g"', first, "there is no <vgpuType> 'pvgpu-9g': xapi makes no such type", False),
                ('id="pvgpu-8g" name', 'id="pvgpu-9g" name', kind, "no <pgpu> supports the type 'pvgpu-9g'", False),
                ('class="Compute"', 'class="Quadro"', kind, "type 'pvgpu-8g' has the class 'Quadro'", False),
                ("<maxVgpus>10<", "<maxVgpus>2000<", first, "xapi makes 2001 of 2000 vGPUs 'pvgpu-8g'", False)):
            with self.subTest(new=new):
                self.files.config.write_text(good.replace(old, new, 1))
                status, said = self.files.ask("--check")
                self.assertEqual(status, 1)
                self.assertTrue(any(f.startswith("%s:%d: " % (self.files.config, line)) and text in f for f in said["faults"]), said["faults"])
                if nothing:
                    self.assertEqual(list(self.types()), ["passthrough"])
        # xapi does not start with this one.
        self.files.config.write_text(good.replace("<maxVgpus>10<", "<maxVgpus>0<"))
        self.assertIn("xapi divides by it, and would not start", self.files.ask()[1]["faults"][0])
        with self.assertRaises(ZeroDivisionError):
            self.types()

    def test_names_that_are_missing(self):
        """As after an update of the package with pci.ids: xapi takes types without a name for one, whose number is the last one's."""
        self.files.write()
        self.files.ids.write_text(PCI_IDS, encoding="utf-8")
        status, said = self.files.ask()
        self.assertEqual((status, len(said["faults"])), (1, 3))
        self.assertIn("has no name for type 'pvgpu-8g' (0001:nvidia,2330,,2330,", said["faults"][0])
        self.assertIn("xapi takes all types without a name for one, and mixes them up", said["faults"][0])
        self.types()
        unnamed, = [t for t in self.pool.objects["vgpu_type"].values() if t["size"]]
        self.assertEqual((unnamed["model_name"], unnamed["internal_config"]["type_id"]), ("", "pvgpu-1g"))
        # Without an answer of pvgpud the file itself says how much memory the GPU has.
        self.assertEqual(self.files.ask("--write")[1]["changed"], [str(self.files.ids)])
        self.assertTrue(self.files.ask()[1]["good"])

    def test_numbers_that_are_taken(self):
        a, b = colliding()
        self.files.profiles("[profile %s]\nmemory = 1G\n[profile %s]\nmemory = 2G\n" % (a, b))
        self.refused(1, "profiles %s and %s have the same number" % (a, b), "--write", "--memory", "80G")
        self.files.profiles("[profile %s]\nmemory = 1G\n" % a)
        taken = "\t\t10de %04x  H100 of another kind\n" % pvgpu_types.subsystem_of(a)
        self.files.ids.write_text(PCI_IDS.replace("\t\t10de 16c1", taken + "\t\t10de 16c1"), encoding="utf-8")
        self.refused(1, "is the number of profile %s: give the profile another name" % a, "--write", "--memory", "80G")
        self.assertFalse(self.files.config.exists())

    def test_numbers_stay(self):
        """Each host of a pool makes the same ones, and so does the next version."""
        self.assertEqual([pvgpu_types.subsystem_of(n) for n in ("pvgpu-1g", "pvgpu-8g", "pvgpu-40g")], NUMBERS)

    def test_profiles_that_get_no_type(self):
        self.files.profiles("[profile small]\nmemory = 1G\n[profile all]\nweight = 50\n[profile huge]\nmemory = 100G\n[profile one]\nper-gpu = 1\n"
                            "[profile bad]\nmemory = lots\n")
        said = self.files.write()
        self.assertEqual([t["name"] for t in said["gpus"][0]["types"]], ["small", "one"])
        for text in ("profile all has neither memory nor per-gpu", "profile huge does not fit into a GPU of 81920 MiB", "profile bad has a fault"):
            self.assertTrue(any(text in n for n in said["notes"]), said["notes"])
        self.assertEqual([(t["framebuffer_size"], t["size"]) for n, t in self.types().items() if n == "one"], [(80 * GIB, 1 << 20)])

    def test_gpus_of_the_host(self):
        add_device(self.files.pci, "0000:c1:00.1", 0x22bc, kind=0x040300)                  # its sound
        add_device(self.files.pci, "0000:c2:00.0", H100, driver="pciback")                  # a driver domain's
        add_device(self.files.pci, "0000:03:00.0", 0x2000, kind=0x030000, vendor=0x1a03)   # the board's own
        (add_device(self.files.pci, "0000:c1:00.4", H100) / "physfn").symlink_to("../" + GPU)
        said = self.files.write()
        self.assertEqual([(g["address"], g["driver"], len(g["types"])) for g in said["gpus"]], [(GPU, "nvidia", 3), ("0000:c2:00.0", "pciback", 3)])
        self.types()
        self.assertEqual(len(self.pool.objects["pgpu"]), 2)
        add_device(self.files.pci, "0000:c3:00.0", H100_PCIE)
        self.files.ask("--remove")
        self.refused(1, "has GPUs of the models 2330, 2331, and xapi would mix up their types, which have the same names", "--write", "--memory", "80G")
        said = self.files.write("--gpu", "2331")
        self.assertEqual([len(g["types"]) for g in said["gpus"]], [0, 0, 3])
        # An update of pci.ids has the names written again, without the option.
        self.files.ids.write_text(PCI_IDS, encoding="utf-8")
        self.assertEqual(self.files.ask("--write")[1]["changed"], [str(self.files.ids)])
        self.assertTrue(self.files.ask()[1]["good"])
        self.refused(3, "--gpu 20b5: this host has no such GPU; it has 2330, 2331", "--write", "--gpu", "20b5")
        shutil.rmtree(self.files.pci)
        self.files.pci.mkdir()
        self.refused(3, "this host has no GPU of NVIDIA's", "--write")

    def test_a_gpu_that_pci_ids_does_not_know(self):
        shutil.rmtree(self.files.pci)
        add_device(self.files.pci, GPU, 0x2901)
        self.assertTrue(self.files.write()["good"])
        self.assertIn("pvgpu-8g", self.types())
        self.files.ask("--remove")
        self.assertEqual(self.files.ids.read_text(encoding="utf-8"), PCI_IDS)

    def test_memory_as_pvgpud_reports_it(self):
        self.refused(3, "no pvgpud reports how much memory a GPU has: --memory says it", "--write")
        ctl = self.files.folder / "ctl"
        answer = json.dumps({"format": 1, "backends": [{"gpus": [{"memory": 40 * GIB}, {"memory": 80 * GIB}]}]})
        ctl.write_text("#!/bin/sh\n[ $1 = capacity ] && echo '%s' && exit\nexec %s/bin/pvgpuctl \"$@\"\n" % (answer, BUILD))
        ctl.chmod(0o755)
        self.files.env["PVGPUCTL"] = str(ctl)
        status, said = self.files.ask("--write")
        self.assertEqual((status, said["gpus"][0]["types"][0]["capacity"]), (0, 5))
        self.files.ask("--remove")
        self.files.env["PVGPUCTL"] = "/nonexistent"
        self.refused(3, "/nonexistent profiles does not answer", "--write")

    def test_wrong_use(self):
        for words, text in ((["--write", "--remove"], "one of --write, --check and --remove"), (["--memory", "lots"], "must be a size such as 80G"),
                            (["--gpu", "H100"], "must be four hexadecimal digits"), (["x"], "there are options only"), (["--speed"], "try --help")):
            self.refused(2, text, *words)
        self.assertEqual(self.files.run("--help").returncode, 0)
        self.files.ids.unlink()
        self.refused(3, "is not there; --pci-ids names the file that xapi reads", "--write", "--memory", "80G")
        self.refused(3, "none: No such file", "--pci-devices", str(self.files.folder / "none"))

    def test_files_that_cannot_be_written(self):
        if not os.geteuid():
            self.skipTest("root writes everywhere")
        self.files.folder.chmod(0o555)
        self.addCleanup(self.files.folder.chmod, 0o755)
        self.refused(1, "Permission denied", "--write", "--memory", "80G")
        self.assertEqual(self.files.ids.read_text(encoding="utf-8"), PCI_IDS)


class ByPvgpuctl(Case):
    def test_it_runs_the_program(self):
        env = {**os.environ, "PVGPU_XAPI_TYPES": str(TYPES)}
        words = [str(BUILD / "bin" / "pvgpuctl"), "xapi", "types", *self.files.words()]
        done = subprocess.run([*words, "--write", "--memory", "80G", "--json"], **dict(RUN, env=env))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([t["capacity"] for t in json.loads(done.stdout)["gpus"][0]["types"]], [10, 1, 3])
        done = subprocess.run([*words, "--check"], **dict(RUN, env=env))
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("pvgpu-8g", done.stdout)
        for more, status, text in ((["--write", "--remove"], 2, "one of --write"), (["--gpu", "x"], 2, "four hexadecimal digits")):
            done = subprocess.run([*words, *more], **dict(RUN, env=env))
            self.assertEqual((done.returncode, text in done.stderr), (status, True), done.stderr)
        done = subprocess.run([words[0], "xapi", "kinds"], **dict(RUN, env=env))
        self.assertEqual((done.returncode, "must be types" in done.stderr), (2, True))
        done = subprocess.run(words, **dict(RUN, env={**os.environ, "PVGPU_XAPI_TYPES": "/nonexistent"}))
        self.assertEqual((done.returncode, "/nonexistent: No such file or directory; it needs Python" in done.stderr), (3, True), done.stderr)


@unittest.skipUnless(plugin_test.PYTHON2, "no Python 2 here: only its syntax is checked")
class ByPython2(Types):
    python = plugin_test.PYTHON2


if __name__ == "__main__":
    unittest.main()
