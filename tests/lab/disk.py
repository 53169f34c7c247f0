# SPDX-License-Identifier: MIT
"""dom0's disk /dev/vda (Boot.disk) as the read-only disk /dev/xvda of a guest."""
import pathlib

import images

CONFIG = "disk = ['format=raw,backendtype=phy,access=ro,vdev=xvda,target=/dev/vda']"
# libxl runs it for each disk of a guest; the backend wants the device's numbers.
SCRIPT = b"""#!/bin/sh
[ "$1" != add ] || xenstore-write "$XENBUS_PATH/physical-device" "$(stat -c %t:%T "$(xenstore-read "$XENBUS_PATH/params")")"
"""
FILE_SYSTEM = ["crc32c_generic", "ext4"]


def load(channel, machine, names):
    """Load kernel modules that dom0's or a guest's image lacks."""
    root = pathlib.Path(machine.images).parent / "root"
    for name in images.loadable(root, names):
        for path, data in reversed(list(images.module_files(root, name))):
            file, module = f"/tmp/{path.rpartition('/')[2]}", images.module_name(path)
            channel.put_file(file, data)
            channel.run(f"[ -e /sys/module/{module} ] || insmod {file}; rm {file}")


def offer(lab):
    """Make dom0 ready for guests with CONFIG."""
    load(lab.dom0, lab, ["virtio_blk", "xen-blkback"])
    lab.wait("dom0's disk", lambda: lab.dom0.run("[ -b /dev/vda ]", check=False, quiet=True).status == 0)
    lab.dom0.run("mkdir -p /etc/xen/scripts")
    lab.dom0.put_file("/etc/xen/scripts/block", SCRIPT)
    lab.dom0.run("chmod +x /etc/xen/scripts/block")


def mount(guest, folder):
    """Mount the disk in a guest that has it."""
    load(guest, guest.machine, ["xen-blkfront", *FILE_SYSTEM])
    guest.machine.wait(f"{guest.name}'s disk", lambda: guest.run("[ -b /dev/xvda ]", check=False, quiet=True).status == 0)
    guest.run(f"mkdir -p {folder} && mount -t ext4 -o ro /dev/xvda {folder}")


def withdraw(lab):
    """Undo offer(), when no guest has the disk."""
    lab.dom0.run("rmmod xen_blkback virtio_blk; rm /etc/xen/scripts/block")
