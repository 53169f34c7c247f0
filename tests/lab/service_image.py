# SPDX-License-Identifier: MIT
"""What an image needs beside its other files to boot systemd, with pvgpu as `make install` leaves it. init-guest and init-dom0 start
systemd where it is there. Few units: the journal, the lab's agent, pvgpu's, and the targets that these name."""
import pathlib
import shutil
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PREFIX = "usr/local"
NOT_TO_RUN = ("/include/", "/share/", "/pkgconfig/", "/src/")
# libmicrohttpd brings GnuTLS with it, and no scenario scrapes; `make check-packages` has it installed.
LEFT_OUT = ("/pvgpu-exporter",)
PROGRAMS = ["usr/lib/systemd/systemd", "usr/lib/systemd/systemd-journald", "usr/bin/systemctl", "usr/bin/journalctl",
            "usr/bin/systemd-analyze", "usr/bin/systemd-run"]
UNITS = ["basic.target", "local-fs.target", "local-fs-pre.target", "modprobe@.service", "multi-user.target", "paths.target",
         "shutdown.target", "slices.target", "sockets.target", "swap.target", "sysinit.target", "timers.target", "umount.target",
         "systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket"]
WANTS = ["sockets.target.wants/systemd-journald.socket", "sockets.target.wants/systemd-journald-dev-log.socket",
         "sysinit.target.wants/systemd-journald.service"]
# The console is the agent's.
CONF = {"system.conf": "[Manager]\nShowStatus=no\nLogTarget=journal\nLogLevel=info\nDefaultTimeoutStartSec=1800\n"
                       "DefaultTimeoutStopSec=300\n",
        "journald.conf": "[Journal]\nStorage=volatile\nRateLimitBurst=0\nForwardToConsole=no\nForwardToWall=no\n"}
AGENT = """[Unit]
Description=The lab's agent
DefaultDependencies=no
[Service]
ExecStart=/usr/bin/lab-agent ${LINE}
EnvironmentFile=/run/lab-agent
Environment=HOME=/root TERM=linux
StandardInput=null
StandardOutput=null
StandardError=null
"""


def installed(build, fail):
    """The folder of `make install`, without debug information."""
    folder = build / "lab/installed"
    shutil.rmtree(folder, ignore_errors=True)
    done = subprocess.run(["make", "--no-print-directory", "install", f"B={build}", f"DESTDIR={folder}", f"PREFIX=/{PREFIX}"],
                          cwd=HERE.parent.parent, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=1800)
    if done.returncode:
        fail(f"make install failed:\n{done.stdout}")
    return folder


def add_installed(tree, build, fail):
    folder = installed(build, fail)
    with tempfile.TemporaryDirectory() as temporary:
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            if path.is_dir() or any(part in name for part in NOT_TO_RUN + LEFT_OUT):
                continue
            if path.is_symlink():
                tree.archive.link(name, str(path.readlink()))
            elif path.read_bytes()[:4] == b"\x7fELF":
                bare = pathlib.Path(temporary) / "bare"
                subprocess.run(["strip", "--strip-debug", "-o", bare, path], check=True, timeout=60)
                tree.take(name, bare)
            else:
                tree.archive.file(name, path.read_bytes(), path.stat().st_mode & 0o777)


def add_service_manager(tree, build, fail):
    """To a tree on top of a guest's image."""
    for name in PROGRAMS:
        tree.take(name)
    for name in UNITS:
        tree.take(f"usr/lib/systemd/system/{name}", mode=0o644)
    system = "usr/lib/systemd/system"
    for name in WANTS:
        tree.archive.link(f"{system}/{name}", f"../{name.rpartition('/')[2]}")
    tree.archive.file(f"{system}/lab-agent.service", AGENT.encode(), 0o644)
    tree.archive.link(f"{system}/sysinit.target.wants/lab-agent.service", "../lab-agent.service")
    tree.archive.link(f"{system}/default.target", "multi-user.target")
    for name, text in CONF.items():
        tree.archive.file(f"etc/systemd/{name}", text.encode(), 0o644)
    tree.archive.file("etc/machine-id", b"00000000000000000000000000001ab0\n", 0o444)
    tree.archive.file("etc/os-release", b"ID=lab\nNAME=lab\n", 0o644)
    add_installed(tree, build, fail)
