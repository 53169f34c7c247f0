# SPDX-License-Identifier: MIT
"""A clean Debian system in a folder, to install packages in. Made once by debootstrap and kept as an archive; needs root.

    FOLDER/SUITE.tar     what debootstrap made, with the packages that were asked for
    FOLDER/SUITE/        the system in use, anew each time
"""
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "module"))
from suite import Missing, sources  # noqa: E402  pylint: disable=wrong-import-position

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# Services are started by nobody in a chroot; packages' scripts ask this.
POLICY = "#!/bin/sh\nexit 101\n"


class Chroot:
    def __init__(self, folder, suite, packages, components="", first=None):
        """components: of the archive, beside main. first: prepares the system before the packages are installed, and gives a command to run
        in it."""
        self.components, self.first = components, first
        self.folder, self.suite, self.packages = pathlib.Path(folder).resolve(), suite, packages
        self.root = self.folder / suite
        self.archive = self.folder / f"{suite}.tar"

    def bootstrap(self):
        """The archive, unless it is there already, of the same packages."""
        stamp = self.folder / f"{self.suite}.packages"
        if self.archive.exists() and stamp.exists() and stamp.read_text() == " ".join(self.packages):
            return
        lines = [f"{line} {self.components}".rstrip() for line in sources(self.suite).splitlines()]
        self.remove()
        self.folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["debootstrap", "--variant=minbase", self.suite, self.root, lines[0].split()[1]], capture_output=True,
                              text=True, check=False, timeout=1800)
        if done.returncode:
            raise Missing(f"debootstrap {self.suite}: {(done.stdout.strip().splitlines() or ['failed'])[-1]}")
        (self.root / "etc/apt/sources.list").write_text("\n".join(lines) + "\n")
        (self.root / "usr/sbin/policy-rc.d").write_text(POLICY)
        (self.root / "usr/sbin/policy-rc.d").chmod(0o755)
        self.apt("update")
        self.apt("upgrade")
        if self.first:
            self.run(self.first(self.root))
        self.apt("install", *self.packages, limit=1800)
        self.apt("clean")
        subprocess.run(["tar", "-C", self.root, "--numeric-owner", "-cf", self.archive, "."], check=True)
        stamp.write_text(" ".join(self.packages))

    def unpack(self):
        """Anew, from the archive."""
        self.remove()
        self.root.mkdir(parents=True)
        subprocess.run(["tar", "-C", self.root, "--numeric-owner", "-xpf", self.archive], check=True)

    def remove(self):
        shutil.rmtree(self.root, ignore_errors=True)

    def run(self, command, limit=600, good=(0,)):
        """What a shell command in the system says; its mounts end with it."""
        enter = 'mount -t proc proc "$1/proc" && mount -t tmpfs tmpfs "$1/run" && ' \
                f'exec chroot "$1" /usr/bin/env -i PATH={PATH} LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive /bin/sh -c "$2"'
        done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", enter, "sh", self.root, command],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit,
                              check=False)
        if done.returncode not in good:
            raise AssertionError(f"{self.suite}: {command}: exit status {done.returncode}\n{done.stdout[-4000:]}")
        return done.stdout

    def apt(self, *words, limit=600):
        return self.run("apt-get -q -y --no-install-recommends -o Acquire::Retries=3 " + " ".join(words), limit=limit)

    def files(self):
        """Every file but those that apt, dpkg and the linker's cache keep for themselves: its name and what it is."""
        found = {}
        for p in self.root.rglob("*"):
            name = str(p.relative_to(self.root))
            if not name.startswith(("var/lib/dpkg", "var/lib/apt", "var/cache", "var/log", "proc/", "run/", "tmp/", "etc/ld.so.cache")):
                found[name] = self.kind(p)
        return found

    @staticmethod
    def kind(p):
        if p.is_symlink():
            return f"-> {p.readlink()}"
        if p.is_file():
            return f"{p.stat().st_size} {p.stat().st_mtime_ns}"
        return "folder" if p.is_dir() else "other"
