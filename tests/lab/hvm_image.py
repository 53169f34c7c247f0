# SPDX-License-Identifier: MIT
"""What dom0's image needs beside its other files to run HVM guests: the device model (QEMU), the firmware that hvmloader starts, a kernel
that a boot loader takes, and packed images, since firmware reads them byte by byte from a port of the device model."""
import subprocess

DEVICE_MODEL = "usr/libexec/xen-qemu-system-i386"
FIRMWARE = ["usr/share/seabios/bios-256k.bin", "usr/share/qemu/linuxboot.bin", "usr/share/qemu/linuxboot_dma.bin", "usr/share/qemu/kvmvapic.bin",
            "usr/share/qemu/keymaps/en-us"]


def add_device_model(tree, kernel, images):
    """To a tree on top of dom0's. kernel: the bytes of a bzImage, since firmware starts no ELF file; images: the paths of guests' images."""
    tree.take(DEVICE_MODEL)
    for name in FIRMWARE:
        tree.take(name, mode=0o644)
    tree.take(str(next((tree.root / "usr/lib").glob("xen-4.*/boot/hvmloader")).relative_to(tree.root)), mode=0o644)
    tree.archive.file("boot/vmlinuz", kernel)
    for path in images:
        packed = subprocess.run(["zstd", "-15", "-qc", path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, timeout=300).stdout
        tree.archive.file(f"boot/{path.stem}.zst", packed)
