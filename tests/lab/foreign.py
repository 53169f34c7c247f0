# SPDX-License-Identifier: MIT
"""Programs that other projects' sources made, with the libraries that they need, brought to dom0 or to a guest."""
import io
import pathlib
import subprocess
import tarfile
import tempfile

import images
from channel import LabError

HOST_LIBRARIES = pathlib.Path("/usr/lib") / images.ARCH
OURS = {"libcuda.so.1", "libcudart.so.12"}  # in pvgpu's own folder everywhere


def built(paths, maker):
    """The paths, which are files that `make MAKER` makes."""
    if missing := [str(p) for p in paths if not p.is_file()]:
        raise LabError(f"there is no {missing[0]}: make {maker} makes it")
    return paths


def packed(files, libraries, there):
    """A compressed archive of files (name in it -> path), and in its folder lib of these libraries (soname -> path, None: the host's) and
    of those that any of them needs and a place with libraries `there` lacks."""
    wanted = {name: path or HOST_LIBRARIES / name for name, path in libraries.items()}
    look = [*files.values(), *wanted.values()]
    while look:
        for name in images.needed_libraries(look.pop())[0]:
            if name not in there and name not in OURS and name not in wanted:
                wanted[name] = HOST_LIBRARIES / name
                look.append(wanted[name])
    out = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=out, mode="w:gz", compresslevel=9) as tar:
        for name, path in [*files.items(), *sorted((f"lib/{name}", path) for name, path in wanted.items())]:
            tar.add(bare(path.resolve(), pathlib.Path(folder) / "bare"), name)
    return out.getvalue()


def bare(path, copy):
    """A program or library without its symbols; any other file as it is."""
    with path.open("rb") as f:
        if f.read(4) != b"\x7fELF":
            return path
    subprocess.run(["strip", "--strip-unneeded", "-o", copy, path], check=True, timeout=60)
    return copy


def bring(place, folder, files, libraries):
    """Unpack what packed() makes in a new folder of the place."""
    there = set(place.run(f"ls /usr/lib /usr/lib/{images.ARCH}", quiet=True).out.split())
    place.put_file("/tmp/foreign.tar.gz", packed(files, libraries, there), limit=900)
    place.run(f"mkdir {folder} && tar -xz -C {folder} -f /tmp/foreign.tar.gz && rm /tmp/foreign.tar.gz", limit=300)
