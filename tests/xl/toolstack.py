#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Build Xen's libraries and xl from the source of a Debian suite, with the patches of xen-pvgpu-back/xl.

    toolstack.py [--build DIR] [--refresh] [SUITE]

    BUILD/xl/SUITE/apt       apt's lists and the downloaded source
    BUILD/xl/SUITE/source    unpacked, patched and built
    BUILD/xl/SUITE/out       xl and the libraries that it loads, without debug information

Where the mirror is, the machine's own apt configuration says. Nothing is installed. A suite whose source cannot be had ends with
status 77: skipped.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
SERIES = sorted((TOP / "xen-pvgpu-back/xl").glob("*.patch"))
sys.path.insert(0, str(TOP / "tests/module"))
import suite as suites  # noqa: E402

SKIPPED = 77
CONFIGURE = ["--disable-xen", "--disable-stubdom", "--disable-docs", "--disable-ocamltools", "--disable-golang", "--disable-pygrub", "--disable-seabios",
             "--disable-qemu-traditional", "--disable-rombios", "--with-system-qemu=/usr/libexec/xen-qemu-system-i386",
             "--with-system-seabios=/usr/share/seabios/bios-256k.bin", "--with-system-ovmf=/usr/share/ovmf/OVMF.fd", "--prefix=/usr",
             "--libdir=/usr/lib/x86_64-linux-gnu", "--sysconfdir=/etc", "--localstatedir=/var"]


class Failed(Exception):
    pass


def run(words, cwd, log, limit=3600):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "B", "CFLAGS", "LDFLAGS")}
    with open(log, "a") as f:
        if subprocess.run(words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=f, stderr=f, timeout=limit).returncode:
            tail = "".join(pathlib.Path(log).read_text(errors="replace").splitlines(True)[-30:])
            raise Failed(f"'{' '.join(map(str, words[:3]))} ...' failed, see {log}:\n{tail}")


class Toolstack:
    def __init__(self, build, name):
        self.folder = pathlib.Path(build).resolve() / "xl" / name
        self.name, self.source, self.out = name, self.folder / "source", self.folder / "out"
        self.log = self.folder / "log"

    def apt(self, *words, limit=600):
        apt = self.folder / "apt"
        for part in ("lists/partial", "archives/partial"):
            (apt / part).mkdir(parents=True, exist_ok=True)
        options = {"Dir::State::Lists": apt / "lists", "Dir::Cache": apt, "Dir::Etc::SourceList": apt / "sources.list",
                   "Dir::Etc::SourceParts": "/dev/null", "APT::Sandbox::User": "", "Acquire::Retries": 3}
        return suites.output(words[0], *(f"-o{k}={v}" for k, v in options.items()), *words[1:], limit=limit, cwd=apt)

    def download(self):
        """The newest version of the suite that the mirror still has: apt checks what it downloads against its lists."""
        (self.folder / "apt").mkdir(parents=True, exist_ok=True)
        lines = suites.sources(self.name)
        (self.folder / "apt/sources.list").write_text(re.sub(r"^deb ", "deb-src ", lines, flags=re.M))
        self.apt("apt-get", "-q", "update")
        versions = re.findall(r"^Version: (\S+)$", self.apt("apt-cache", "showsrc", "xen"), re.M)
        for version in reversed(versions):
            try:
                self.apt("apt-get", "-q", "source", "--download-only", f"xen={version}")
            except suites.Missing:
                pass  # a missing .dsc matters not
            upstream = re.sub(r"^\d+:", "", version.rpartition("-")[0])
            found = next((self.folder / "apt").glob(f"xen_{glob_quoted(upstream)}.orig.tar.*"), None)
            if found:
                return found
        raise suites.Missing(f"no source of xen ({', '.join(versions) or 'no version'})")

    def unpack(self, archive):
        shutil.rmtree(self.source, ignore_errors=True)
        self.source.mkdir(parents=True)
        self.log.unlink(missing_ok=True)
        run(["tar", "-x", "--strip-components=1", "-f", archive], self.source, self.log)
        for patch in [*self.debian(archive), *SERIES]:
            run(["patch", "-p1", "--no-backup-if-mismatch", "-i", patch], self.source, self.log)

    def debian(self, archive):
        """Debian's own patches, but for those that take away what autoconf has made."""
        upstream = archive.name.removeprefix("xen_").rpartition(".orig.tar.")[0]
        found = next(archive.parent.glob(f"xen_{glob_quoted(upstream)}-*.debian.tar.*"), None)
        if not found:
            return []
        run(["tar", "-x", "-f", found], self.source, self.log)
        folder = self.source / "debian/patches"
        names = (line.partition("#")[0].strip() for line in (folder / "series").read_text().splitlines())
        return [folder / name for name in names if name and "Delete-config" not in name]

    def version(self):
        text = (self.source / "xen/Makefile").read_text()
        return "%s.%s" % tuple(re.search(rf"^(?:export )?XEN_{w} += (\d+)", text, re.M)[1] for w in ("VERSION", "SUBVERSION"))

    def compile(self):
        jobs = f"-j{os.cpu_count() or 1}"
        compiler = "ccache gcc" if shutil.which("ccache") else "gcc"
        run(["./configure", *CONFIGURE, f"--with-libexec-leaf-dir=xen-{self.version()}"], self.source, self.log)
        for part in ("include", "libs", "xl"):
            run(["make", jobs, "-C", f"tools/{part}", f"XEN_ROOT={self.source}", f"CC={compiler}", "CONFIG_TESTS=n"], self.source, self.log)

    def collect(self):
        """Under the name that programs look for."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir()
        for path in [self.source / "tools/xl/xl", *self.source.glob("tools/libs/*/lib*.so.*")]:
            soname = re.search(r"SONAME.*\[(.+)\]", suites.output("readelf", "-d", path))
            if not path.is_symlink():
                run(["strip", "--strip-debug", "-o", self.out / (soname[1] if soname else path.name), path], self.out, self.log)

    def make(self, refresh=False):
        """Unless it was made before with these patches and in this way."""
        stamp, key = self.folder / "stamp", " ".join(CONFIGURE) + "\n" + "".join(p.read_text() for p in SERIES)
        if not refresh and stamp.is_file() and stamp.read_text() == key:
            return self.out
        stamp.unlink(missing_ok=True)
        archive = None if refresh else next(iter((self.folder / "apt").glob("xen_*.orig.tar.*")), None)
        self.unpack(archive or self.download())
        self.compile()
        self.collect()
        stamp.write_text(key)
        return self.out


def own_suite():
    own = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return own.get("VERSION_CODENAME", "").strip('"')


def glob_quoted(text):
    return re.sub(r"([\[*?])", r"[\1]", text)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build", help="the build folder (default %(default)s)")
    ap.add_argument("--refresh", action="store_true", help="download the newest version again")
    ap.add_argument("suite", nargs="?", default=own_suite(), help="bookworm, trixie ... (default: this machine's)")
    args = ap.parse_args()
    t = Toolstack(args.build, args.suite)
    try:
        t.make(args.refresh)
    except suites.Missing as e:
        print(f"xl: {args.suite}: skipped: {e}")
        return SKIPPED
    except Failed as e:
        print(f"xl: {args.suite}: {e}", file=sys.stderr)
        return 1
    print(f"ok xl of Xen {t.version()} ({args.suite}), with {len(SERIES)} patches")
    return 0


if __name__ == "__main__":
    sys.exit(main())
