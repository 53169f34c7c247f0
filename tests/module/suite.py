# SPDX-License-Identifier: MIT
"""A Debian suite's build tools and kernel headers, unpacked in a folder and run there.

The suite's own compiler, C library and sparse are used, since kbuild's programs and the kernel's flags want them. apt
gets lists and archives of its own; where its mirror is, the machine's own apt configuration says. Nothing is installed
on the machine.

    FOLDER/SUITE/apt     lists and packages
    FOLDER/SUITE/root    the packages unpacked; `run` makes this the root of a command
"""
import os
import pathlib
import shutil
import subprocess

TOOLS = ["bash", "coreutils", "dash", "findutils", "gawk", "grep", "libc6", "make", "sed"]
MODULE = ["sparse", "linux-headers-amd64"]
MERGED = ["bin", "sbin", "lib", "lib64"]
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class Missing(Exception):
    """The suite cannot be had here; the text says why."""


def output(*words, limit=60, **more):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit, **more)
    if done.returncode:
        raise Missing(f"'{' '.join(map(str, words[:2]))}' failed: {(done.stderr.strip().splitlines() or [''])[-1]}")
    return done.stdout


def sources(suite):
    """Lines for apt: where this machine has its own suite from, and that one's security fixes."""
    own = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    code = own.get("VERSION_CODENAME", "").strip('"')
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    found = {}
    for line in output("apt-get", "indextargets", "--format", form, "Created-By: Packages").splitlines():
        uri, release, component = (line.split() + ["", "", ""])[:3]
        if component == "main":
            found.setdefault(release, uri)
    if code not in found or own.get("ID") != "debian":
        raise Missing("apt's configuration here names no Debian mirror")
    lines = [f"deb {found[code]} {suite} main"]
    if f"{code}-security" in found and suite != "sid":
        lines.append(f"deb {found[f'{code}-security']} {suite}-security main")
    return "".join(f"{line}\n" for line in lines)


class Suite:
    def __init__(self, folder, name, packages=tuple(MODULE), tools=tuple(TOOLS)):
        self.name = name
        self.folder = pathlib.Path(folder).resolve() / name
        self.root = self.folder / "root"
        self.wanted = [*tools, *packages]

    def apt(self, *words, limit=300):
        apt = self.folder / "apt"
        for name in ("lists/partial", "archives/partial"):
            (apt / name).mkdir(parents=True, exist_ok=True)
        (apt / "status").touch()
        options = {"Dir::State": apt, "Dir::State::Lists": apt / "lists", "Dir::State::Status": apt / "status",
                   "Dir::Cache": apt, "Dir::Etc::SourceList": apt / "sources.list", "Dir::Etc::SourceParts": "/dev/null",
                   "Dir::Etc::Preferences": "/dev/null", "Dir::Etc::PreferencesParts": "/dev/null",
                   "Dir::Log": apt, "APT::Sandbox::User": "", "APT::Architecture": "amd64", "Acquire::Retries": 3,
                   "Acquire::Languages": "none", "APT::Install-Recommends": "false", "Debug::NoLocking": "true"}
        return output("apt-get", "-q", "-y", *(f"-o{k}={v}" for k, v in options.items()), *words, limit=limit)

    def fetch(self, refresh=False):
        """Download and unpack, unless that was done before."""
        stamp = self.folder / "stamp"
        if not refresh and stamp.is_file() and stamp.read_text() == " ".join(self.wanted):
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "apt").mkdir(parents=True)
        (self.folder / "apt/sources.list").write_text(sources(self.name))
        self.apt("update")
        self.apt("install", "--download-only", *self.wanted, limit=900)
        for name in MERGED:
            (self.root / "usr" / name).mkdir(parents=True)
            (self.root / name).symlink_to(f"usr/{name}")
        packages = sorted((self.folder / "apt/archives").glob("*.deb"))
        for package in packages:
            self.unpack(package)
        self.finish()
        stamp.write_text(" ".join(self.wanted))
        for package in packages:
            package.unlink()

    def unpack(self, package):
        # Through tar, which can be told to leave the links of MERGED alone; dpkg-deb -x would replace them.
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as deb:
            subprocess.run(["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", self.root,
                            "--exclude=./usr/share/doc", "--exclude=./usr/share/man", "--exclude=./usr/share/locale"],
                           stdin=deb.stdout, check=True, timeout=300)
        if deb.returncode:
            raise Missing(f"{package.name} cannot be unpacked")

    def finish(self):
        """What the packages' own scripts would have done, as far as it matters here."""
        for name in ("dev", "proc", "tmp", "var/lib/dkms"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "dev/null").touch()
        for name, target in (("sh", "dash"), ("awk", "gawk")):
            if not os.path.lexists(self.root / "usr/bin" / name):
                (self.root / "usr/bin" / name).symlink_to(target)

    def release(self):
        found = sorted(p.name for p in (self.root / "usr/lib/modules").iterdir() if (p / "build").is_symlink())
        if len(found) != 1:
            raise Missing(f"one kernel expected in {self.root}/usr/lib/modules, found {found}")
        return found[0]

    def run(self, command, limit=300):
        """A shell command with the suite as its root: what it said, and its status."""
        me = ["unshare", "--mount", "--pid", "--fork", "--kill-child"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
        enter = 'mount --bind /dev/null "$1/dev/null" && mount --rbind /proc "$1/proc" && ' \
                f'exec chroot "$1" /usr/bin/env -i PATH={PATH} LC_ALL=C /bin/bash -c "$2"'
        return subprocess.run([*me, "sh", "-c", enter, "sh", self.root, command], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit)
