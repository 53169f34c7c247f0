#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make the lab's images from Debian packages: hypervisor, kernel, and the file systems of dom0 and of guests.

    BUILD/lab/cache    the packages, and which versions they are; kept until --refresh
    BUILD/lab/root     the packages unpacked, and pvgpu.ko built for their kernel
    BUILD/lab/images   xen, vmlinux, guest.img, payload.img (pvgpu's programs), initrd.img (dom0, with all of these),
                       initrd-service.img (dom0, also with what a guest needs to boot systemd)
                       initrd-hvm.img (dom0, also with the device model of HVM guests)

The images are uncompressed cpio archives, because unpacking is slow in the emulated machine. The same packages and the
same build give the same bytes. Nothing outside BUILD is written.
"""
import argparse
import fcntl
import gzip
import hashlib
import json
import lzma
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile

import cpio
import debug_kernel
import guest_kernel
import hvm_image
import service_image

HERE = pathlib.Path(__file__).resolve().parent
ARCH = "x86_64-linux-gnu"
LIB_DIRS = [f"usr/lib/{ARCH}", "usr/lib", "usr/lib64", f"usr/lib/{ARCH}/systemd"]

BUSYBOX = "usr/bin/busybox"
XEN_TOOLS = ["xl", "xenstored", "xenconsoled", "xen-init-dom0", "libxl-save-helper", "lsevtchn", "xen-diag",
             "xentrace", "xenctx"]
STORE_TOOLS = [f"usr/bin/xenstore-{t}" for t in ("chmod", "exists", "list", "ls", "read", "rm", "watch", "write")]
# Loaded with dlopen: no program names it as a dependency.
LOADED_LATER = [f"usr/lib/{ARCH}/libgcc_s.so.1"]
XEN_MODULES = ["xen-privcmd", "xen-evtchn", "xen-gntdev", "xen-gntalloc", "xenfs"]
DOM0_MODULES = XEN_MODULES + ["virtio_pci", "virtio_console"]
# In a guest's image, and loaded by uevents.
GUEST_MODULES = ["pvgpu"]
# pvgpu's files for /opt/pvgpu; the test programs of PROGRAMS are added.
PAYLOAD = ["bin/pvgpud", "bin/pvgpu-worker", "bin/pvgpu-health", "bin/pvgpuctl", "bin/pvgpu-attachd", "bin/pvgpu-vgpu", "lib/libcuda.so.1",
           "bin/pvgpu-smi", "lib/libcudart.so.12", "cudart/gemm", "cudart/fft",
           "simcuda/libcuda.so.1", "simcuda/libnvidia-ml.so.1", "simcuda/simcuda-reset", "tests/lab-cuda", "tests/lab-device", "tests/chaos-client", "tests/simcuda-top",
           "tests/pvgpu-worker-cheat", "tests/pvgpu-worker-escape", "tests/lab-bench", "tests/lab-copies.so", "tests/next-echo", "next-version/bin/pvgpud", "next-version/bin/pvgpu-worker", "next-version/lib/libcuda.so.1"]
PROGRAMS = HERE.parent / "programs"


def fail(text):
    sys.exit(f"lab: {text}")


def say(text):
    print(f"lab: {text}", flush=True)


def listed(path):
    """The lines of a list of packages, "A" or "A | B"."""
    lines = (" ".join(line.partition("#")[0].split()) for line in path.read_text().splitlines())
    return [line for line in lines if line]


def digest(data):
    return hashlib.sha256(data).hexdigest()


class Packages:
    """The packages of a list as files in the cache. Versions are chosen once, by the machine's own apt configuration, and
    written to versions.json; apt's lists are the cache's own."""

    def __init__(self, cache, name="packages"):
        self.cache = cache
        self.chosen = cache / f"{name.replace('packages', 'versions')}.json"
        self.wanted = listed(HERE / name)

    def apt(self, *words):
        lists = self.cache / "apt"
        (lists / "lists/partial").mkdir(parents=True, exist_ok=True)
        (lists / "archives/partial").mkdir(parents=True, exist_ok=True)
        options = {"Dir::State::Lists": lists / "lists", "Dir::Cache": lists, "APT::Sandbox::User": "",
                   "Acquire::Retries": 3, "APT::Get::List-Cleanup": "false"}
        cmd = [words[0]] + [f"-o{k}={v}" for k, v in options.items()] + list(words[1:])
        done = subprocess.run(cmd, cwd=self.cache, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=900)
        if done.returncode:
            fail(f"'{' '.join(words)}' failed:\n{done.stderr.strip()}")
        return done.stdout

    def resolve(self):
        """The wanted names, with a kernel's meta-package replaced by the package that it depends on, and with the
        packages that kernel headers need."""
        names = []
        for name in self.choose():
            if re.fullmatch(r"linux-(image|headers)-[a-z0-9]+", name):
                name = next(iter(self.depends(name, r"linux-(?:image|headers)-\S+")), None) or \
                    fail(f"{name} names no kernel package")
            names.append(name)
            if name.startswith("linux-headers-"):
                names += self.depends(name, r"linux-(?:headers|kbuild)-\S+")
        return names

    def choose(self):
        """Of each line the first package that this release has, the first one where it has none."""
        lines = [line.split(" | ") for line in self.wanted]
        found = re.findall(r"^(\S+):\n.*\n +Candidate: (?!\(none\))",
                           self.apt("apt-cache", "policy", *(name for line in lines for name in line)), re.M)
        return [next((name for name in line if name in found), line[0]) for line in lines]

    def depends(self, name, pattern):
        return re.findall(rf"Depends: ({pattern})$", self.apt("apt-cache", "depends", name), re.M)

    def known(self):
        """name -> {file, sha256} when all wanted packages are in the cache and unchanged."""
        try:
            saved = json.loads(self.chosen.read_text())
        except (OSError, ValueError):
            return None
        if saved["wanted"] != self.wanted:
            return None
        for entry in saved["packages"].values():
            path = self.cache / entry["file"]
            if not path.is_file() or digest(path.read_bytes()) != entry["sha256"]:
                return None
        return saved["packages"]

    def fetch(self):
        if known := self.known():
            return known
        self.cache.mkdir(parents=True, exist_ok=True)
        say("downloading Debian packages")
        self.apt("apt-get", "update", "-q")
        names = self.resolve()
        self.apt("apt-get", "download", *names)
        found = {}
        for line in self.apt("apt-cache", "show", "--no-all-versions", *names).split("\n\n"):
            keys = dict(re.findall(r"^(Package|Version|Architecture|SHA256): (.*)$", line, re.M))
            if keys.get("Package") in names:
                version = keys["Version"].replace(":", "%3a")
                path = self.cache / f"{keys['Package']}_{version}_{keys['Architecture']}.deb"
                if not path.is_file() or digest(path.read_bytes()) != keys["SHA256"]:
                    fail(f"{path.name} is not what apt's lists promise")
                found[keys["Package"]] = {"file": path.name, "sha256": keys["SHA256"], "version": keys["Version"]}
        if missing := set(names) - set(found):
            fail(f"apt knows no {' '.join(sorted(missing))}")
        self.chosen.write_text(json.dumps({"wanted": self.wanted, "packages": found}, indent=1, sort_keys=True))
        return found


def unpack(cache, packages, root):
    """Unpack the packages under root; folders that have moved to /usr become links first."""
    stamp = root.with_name(f"{root.name}.stamp")
    key = digest(json.dumps(packages, sort_keys=True).encode())
    if stamp.is_file() and stamp.read_text() == key:
        return
    say("unpacking")
    stamp.unlink(missing_ok=True)
    shutil.rmtree(root, ignore_errors=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for entry in packages.values():
        # Through tar, which can be told to leave the links alone; dpkg-deb -x would replace them.
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", cache / entry["file"]], stdout=subprocess.PIPE) as deb:
            subprocess.run(["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", root,
                            "--exclude=./usr/share/doc", "--exclude=./usr/share/man", "--exclude=./usr/share/locale"],
                           stdin=deb.stdout, check=True, timeout=300)
        if deb.returncode:
            fail(f"{entry['file']} cannot be unpacked")
    if any(name.startswith("linux-headers-") for name in packages):
        use_headers(root, kernel_release(root))
    stamp.write_text(key)


def use_headers(root, release):
    """Make the kernel's headers usable where they are unpacked, and its modules known to modprobe."""
    headers = root / "usr/src" / f"linux-headers-{release}"
    # It contains the path of the common headers.
    makefile = headers / "Makefile"
    makefile.write_text(makefile.read_text().replace("/usr/src/", f"{root}/usr/src/"))
    depmod(root, release)


def depmod(root, release):
    subprocess.run([shutil.which("depmod", path="/usr/sbin:/sbin:/usr/bin:/bin") or "depmod", "-b", root, release],
                   check=True, timeout=300)


def front_module(root, build, headers, release):
    """Build pvgpu.ko for a kernel, among the modules under root, without debug information."""
    # Type information (BTF) would need pahole, which the headers' package would install with it.
    done = subprocess.run(["make", "--no-print-directory", "module", f"B={build}", f"KDIR={headers}",
                           "CONFIG_DEBUG_INFO_BTF_MODULES="],
                          cwd=HERE.parent.parent, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=600)
    if done.returncode:
        fail(f"pvgpu.ko does not build for {release}:\n{done.stdout}")
    built, place = build / "module" / release / "pvgpu.ko", root / "usr/lib/modules" / release / "extra/pvgpu.ko"
    bare = built.with_name("pvgpu.bare.ko")
    subprocess.run(["strip", "--strip-debug", "-o", bare, built], check=True, timeout=60)
    if not place.is_file() or place.read_bytes() != bare.read_bytes():
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bare, place)
        depmod(root, release)


def debug_module(tree, build, kernel):
    """Build pvgpu.ko for the debug kernel, which has all other drivers built in."""
    kernel.modules.mkdir(exist_ok=True)
    if not (kernel.modules / "lib").is_symlink():
        (kernel.modules / "lib").symlink_to("usr/lib")
    base = f"usr/lib/modules/{kernel.release()}"
    (kernel.modules / base).mkdir(parents=True, exist_ok=True)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        (kernel.modules / base / name).touch()
    front_module(kernel.modules, build, kernel.source, kernel.release())
    for name in ("modules.dep", "modules.alias", "extra/pvgpu.ko"):
        tree.archive.file(f"{base}/{name}", (kernel.modules / base / name).read_bytes())


def kernel_release(root):
    found = [p.name.removeprefix("vmlinuz-") for p in (root / "boot").glob("vmlinuz-*")]
    found = found or [p.parent.name for p in (root / "usr/lib/modules").glob("*/vmlinuz")]
    return found[0] if len(found) == 1 else fail(f"one kernel expected in {root}, found {found}")


def kernel_image(root):
    """The kernel, beside its modules in packages after Debian 13's."""
    release = kernel_release(root)
    path = root / "boot" / f"vmlinuz-{release}"
    return path if path.is_file() else root / "usr/lib/modules" / release / "vmlinuz"


def inside(root, path):
    """The file that path names inside root, with absolute links followed inside root."""
    here = root / path
    while here.is_symlink():
        target = here.readlink()
        here = root / str(target).lstrip("/") if target.is_absolute() else here.parent / target
    return here


def needed_libraries(path):
    """The libraries that an ELF file names, and its program interpreter."""
    out = subprocess.run(["readelf", "-W", "-d", "-l", path], capture_output=True, text=True, timeout=60).stdout
    libs = re.findall(r"\(NEEDED\).*\[(.+)\]", out)
    interpreter = re.findall(r"program interpreter: (.+)\]", out)
    return libs, [i.lstrip("/") for i in interpreter]


def write(path, data):
    if not path.is_file() or path.read_bytes() != data:
        path.write_bytes(data)


class Tree:
    """An image that is being built: files of the unpacked packages and their libraries. base: the tree under it; more: a second root of
    unpacked packages."""

    def __init__(self, root, base=None, more=None):
        self.root = root
        self.roots = [r for r in (root, more) if r]
        self.base = base
        self.archive = cpio.Archive()

    def has(self, path):
        return path in self.archive or (self.base is not None and self.base.has(path))

    def take(self, path, source=None, mode=0o755):
        """A file of the packages (or of elsewhere: source), with its libraries."""
        if self.has(path):
            return
        real = pathlib.Path(source) if source else self.find(path)
        if not real.is_file():
            fail(f"{real} is missing")
        data = real.read_bytes()
        self.archive.file(path, data, mode)
        if data[:4] != b"\x7fELF":
            return
        libs, interpreters = needed_libraries(real)
        for name in interpreters:
            self.take(name if name.startswith("usr/") else f"usr/{name}", inside(self.root, name))
        for name in libs:
            self.library(name, path)

    def find(self, path):
        """The file of that name in the roots; where none has it, its place in the first."""
        found = [inside(root, path) for root in self.roots]
        return next((f for f in found if f.exists()), found[0])

    def library(self, name, user):
        for folder in LIB_DIRS:
            if self.find(f"{folder}/{name}").exists():
                self.take(f"{folder}/{name}")
                return
        # pvgpu's own are found by LD_LIBRARY_PATH.
        if name not in ("libcuda.so.1", "libcudart.so.12"):
            fail(f"{user} needs {name}, which no package of tests/lab/packages has")

    def modules(self, names, later=(), root=None):
        """Kernel modules with their dependencies, and modprobe's tables. init loads the modules of `names`. root: of another
        kernel's packages."""
        root = root or self.root
        base = f"usr/lib/modules/{kernel_release(root)}"
        names = loadable(root, names)
        taken = []
        for name in [*names, *later]:
            for path, data in module_files(root, name):
                taken.append(path)
                self.archive.file(f"{base}/{path}", data)
        lines = {}
        for line in (root / base / "modules.dep").read_text().splitlines():
            path, _, rest = line.replace(".ko.xz", ".ko").partition(":")
            if path in taken:
                lines[path] = f"{path}:{rest}\n"
        self.archive.file(f"{base}/modules.dep", "".join(v for _, v in sorted(lines.items())))
        kept = {module_name(p) for p in taken}
        alias = (root / base / "modules.alias").read_text().splitlines()
        self.archive.file(f"{base}/modules.alias", "".join(f"{a}\n" for a in alias if a.rpartition(" ")[2] in kept))
        self.archive.file("etc/modules", "".join(f"{n}\n" for n in names))

    def write(self, path):
        write(path, self.archive.bytes())


def unpacked_kernel(image):
    """The ELF file inside a bzImage, since unpacking it in the emulated machine takes seconds for each domain."""
    sectors = image[0x1f1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    packed = image[(sectors + 1) * 512 + offset:][:length]
    if packed[:6] == b"\xfd7zXZ\0":
        kernel = lzma.LZMADecompressor().decompress(packed)
    elif packed[:4] == b"\x28\xb5\x2f\xfd":
        # The kernel's size follows the frame; zstd reports it as an error, but has unpacked the frame.
        kernel = subprocess.run(["zstd", "-dcq"], input=packed, capture_output=True, timeout=300).stdout
    else:
        return image
    return kernel if kernel[:4] == b"\x7fELF" else fail("the kernel package has no ELF kernel inside")


def module_name(path):
    return path.rpartition("/")[2].partition(".ko")[0].replace("-", "_")


def loadable(root, names):
    """Those of the kernel modules that are not built in."""
    built_in = (root / "usr/lib/modules" / kernel_release(root) / "modules.builtin").read_text().splitlines()
    present = {module_name(line) for line in built_in}
    return [n for n in names if module_name(n) not in present]


def module_files(root, name):
    """A kernel module and those that it needs, each before what it needs: (path below the kernel's folder, bytes)."""
    base = root / "usr/lib/modules" / kernel_release(root)
    for line in (base / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        if module_name(path) == module_name(name):
            for needed in [path, *rest.split()]:
                data = (base / needed).read_bytes()
                yield needed.removesuffix(".xz"), lzma.decompress(data) if needed.endswith(".xz") else data
            return
    fail(f"no kernel module {name}")


def base_tree(root, build, init):
    """The common part of dom0's and guests' images: busybox, xenstore's tools, the lab's own programs."""
    t = Tree(root)
    for name in ("bin", "sbin", "lib", "lib64"):
        t.archive.link(name, f"usr/{name}")
        t.archive.folder(f"usr/{name}")
    for name in ("dev", "proc", "sys", "run", "root", "tmp", "etc", "var/lib", "var/log"):
        t.archive.folder(name)
    t.archive.link("var/run", "../run")
    t.archive.char("dev/console", 5, 1)
    t.archive.char("dev/null", 1, 3, 0o666)
    busybox = BUSYBOX if (root / BUSYBOX).is_file() else "bin/busybox"
    t.take("usr/bin/busybox", root / busybox)
    for name in ("sh", "mount", "modprobe"):
        t.archive.link(f"usr/bin/{name}", "busybox")
    for tool in STORE_TOOLS + LOADED_LATER:
        t.take(tool)
    for tool in ("lab-agent", "lab-grants", "lab-backend", "lab-frontend"):
        t.take(f"usr/bin/{tool}", build / "tests" / tool)
    t.take("init", HERE / init)
    t.archive.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    t.archive.file("etc/group", "root:x:0:\nnogroup:x:65534:\n")
    return t


def dom0_tree(root, build):
    t = base_tree(root, build, "init-dom0")
    t.modules(DOM0_MODULES)
    folder = next((root / "usr/lib").glob("xen-4.*/bin")).relative_to(root)
    for tool in XEN_TOOLS:
        t.take(f"{folder}/{tool}")
        t.archive.link(f"usr/sbin/{tool}", f"/{folder}/{tool}")
    add_payload(t, build)
    t.archive.file("etc/xen/xl.conf", "autoballoon=\"0\"\nclaim_mode=0\n")
    for name in ("var/lib/xen", "var/lib/xenstored", "var/log/xen", "var/log/xen/console"):
        t.archive.folder(name)
    return t


def payload(build):
    """The files of the build for /opt/pvgpu."""
    programs = (f"programs/{p.stem}" for p in sorted(PROGRAMS.glob("*.c")))
    return PAYLOAD + [name for name in programs if (build / name).is_file()]


def add_payload(tree, build):
    """Add pvgpu's programs without debug information: every guest has them in its memory."""
    with tempfile.TemporaryDirectory() as folder:
        for name in payload(build):
            bare = pathlib.Path(folder) / "bare"
            subprocess.run(["strip", "--strip-debug", "-o", bare, build / name], check=True, timeout=60)
            tree.take(f"opt/pvgpu/{name}", bare)


def payload_tree(root, build, base):
    """pvgpu's programs on top of a guest's image."""
    t = Tree(root, base)
    add_payload(t, build)
    return t


def service_tree(root, build, base):
    """systemd and an installed pvgpu on top of a guest's image with pvgpu's programs."""
    t = Tree(root, base)
    service_image.add_service_manager(t, build, fail)
    return t


def hvm_tree(lab, root, base, kernel, images):
    """The device model of HVM guests on top of dom0's image, and their own images."""
    more = lab / "root-hvm"
    unpack(lab / "cache", Packages(lab / "cache", "packages-hvm").fetch(), more)
    t = Tree(root, base, more)
    hvm_image.add_device_model(t, kernel, images)
    return t


def add_guest_kernel(guest, build, own):
    """Add the modules of the guests' kernel to their image; returns the kernel's bytes, as an ELF file and as firmware starts it."""
    if guest_kernel.CHOSEN and not debug_kernel.CHOSEN:
        other = guest_kernel.Kernel(build)
        other.make()
        depmod(other.root, other.release)
        guest.modules(XEN_MODULES, GUEST_MODULES, other.root)
        say(f"guests have Linux {other.release}")
        packed = kernel_image(other.root).read_bytes()
        return unpacked_kernel(packed), packed
    guest.modules(XEN_MODULES, GUEST_MODULES)
    if not debug_kernel.CHOSEN:
        return own.read_bytes(), kernel_image(guest.root).read_bytes()
    found = debug_kernel.Kernel(build)
    found.make()
    debug_module(guest, build, found)
    return found.image.read_bytes(), None


def build_images(build, refresh=False, service=False, hvm=False):
    """All images, with those for systemd and for HVM guests if they are wanted; returns their folder."""
    build = pathlib.Path(build).resolve()
    lab = build / "lab"
    special = "debug" if debug_kernel.CHOSEN else guest_kernel.CHOSEN
    images = lab / (f"images-{special}" if special else "images")
    images.mkdir(parents=True, exist_ok=True)
    # Two concurrent makes take turns.
    with open(lab / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if refresh:
            shutil.rmtree(lab / "cache", ignore_errors=True)
        packages = Packages(lab / "cache").fetch()
        root = lab / "root"
        unpack(lab / "cache", packages, root)
        release = kernel_release(root)
        front_module(root, build, root / f"usr/src/linux-headers-{release}", release)
        xen = next((root / "boot").glob("xen-4.*.gz"), None) or fail("no hypervisor in the packages")
        (images / "xen").write_bytes(gzip.decompress(xen.read_bytes()))
        (images / "vmlinux").write_bytes(unpacked_kernel(kernel_image(root).read_bytes()))
        guest = base_tree(root, build, "init-guest")
        kernel_of_guests, bootable = add_guest_kernel(guest, build, images / "vmlinux")
        guest.write(images / "guest.img")
        programs = payload_tree(root, build, guest)
        programs.write(images / "payload.img")
        dom0 = dom0_tree(root, build)
        dom0.archive.file("boot/vmlinux", kernel_of_guests)
        for name in ("guest.img", "payload.img"):
            dom0.archive.file(f"boot/{name}", (images / name).read_bytes())
        dom0.write(images / "initrd.img")
        if service:
            more = Tree(root)
            more.archive.file("boot/service.img", service_tree(root, build, programs).archive.bytes())
            write(images / "initrd-service.img", (images / "initrd.img").read_bytes() + more.archive.bytes())
        if hvm and bootable:
            more = hvm_tree(lab, root, dom0, bootable, [images / "guest.img", images / "payload.img"])
            write(images / "initrd-hvm.img", (images / "initrd.img").read_bytes() + more.archive.bytes())
    return images


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build", help="the build folder (default %(default)s)")
    ap.add_argument("--refresh", action="store_true", help="download the newest versions again")
    args = ap.parse_args()
    folder = build_images(args.build, args.refresh, service=True, hvm=True)
    for path in sorted(folder.iterdir()):
        print(f"{digest(path.read_bytes())[:16]}  {path.stat().st_size / 2**20:6.1f} MiB  {path}")


if __name__ == "__main__":
    main()
