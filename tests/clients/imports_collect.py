#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes imports.txt: which symbols of CUDA's libraries the shared objects in PyPI's wheels want. Downloads three gigabytes and keeps nothing.
Usage: imports_collect.py [PROJECT[==VERSION]...] >imports.txt

  wheel PROJECT VERSION
  object PATH
  SONAME[@NODE]: SYMBOL...      what it is linked with, with the symbols' version; without a version, LIBRARY may stand for SONAME
  LIBRARY by name: SYMBOL...    strings of its data that are names of functions: what it looks up by dlsym, or has in a message
  LIBRARY by name: N symbols    a table of all of the library's functions, of which it looks up few
"""
import re
import sys

import imports_elf
import imports_wheel

# The wheels that are read: PyTorch for CUDA 12 and 13, and packages that build on it or stand beside it.
WHEELS = ("torch==2.9.1", "torch==2.15.0", "torchvision==0.29.2", "torchaudio==2.11.0", "triton==3.9.0", "onnxruntime-gpu==1.31.1",
          "jax-cuda12-plugin==0.12.0.1", "jax-cuda12-pjrt==0.12.0.1", "jax-cuda13-plugin==0.12.0.1", "jax-cuda13-pjrt==0.12.0.1",
          "tensorflow==2.21.0", "vllm==0.33.0", "ctranslate2==4.8.5", "bitsandbytes==0.50.2")
# A symbol's library by its name; the first that matches counts.
FAMILIES = (("libcublasLt", r"cublasLt[A-Z]\w+"), ("libcublas", r"cublas[A-Z]\w+"), ("libcudnn", r"cudnn[A-Z]\w+"), ("libcufft", r"cufft[A-Z]\w+"),
            ("libcusolver", r"cusolver[A-Z]\w+"), ("libcusparseLt", r"cusparseLt[A-Z]\w+"), ("libcusparse", r"cusparse[A-Z]\w+"),
            ("libcurand", r"curand[A-Z]\w+"), ("libnccl", r"p?nccl[A-Z]\w+"), ("libcupti", r"cupti[A-Z]\w+"), ("libnvshmem_host", r"nvshmem\w+"),
            ("libcufile", r"cuFile[A-Z]\w+"), ("libnvrtc", r"nvrtc[A-Z]\w+"), ("libnvJitLink", r"_*nvJitLink[A-Z]\w+"),
            ("libnvjpeg", r"nvjpeg[A-Z]\w+"), ("libnvToolsExt", r"nvtx[A-Z]\w+"), ("libnvidia-ml", r"nvml[A-Z]\w+"),
            ("libcudart", r"cuda[A-Z]\w+|__cuda\w+"), ("libcuda", r"cu[A-Z][a-z]\w+"))
# NVIDIA's own, which some wheels bring: they are no programs of ours.
THEIRS = re.compile(r"lib(cu|nv|checkpoint|nccl|pcsamp)")
TABLE = 60  # names that a program looks up one by one are fewer
BY_NAME = "|".join(pattern for name, pattern in FAMILIES if name not in ("libcudart",)).encode()


def family(symbol):
    return next((name for name, pattern in FAMILIES if re.fullmatch(pattern, symbol)), None)


def imports(data):
    """{library as imports.txt names it: set of symbols}"""
    facts = imports_elf.read(data)
    found, linked, own = {}, {}, {name for name, _ in facts.offered}
    for soname in facts.needed:
        linked.setdefault(soname.split(".so")[0], soname)
    for symbol, soname, node in facts.wanted:
        name = family(symbol)
        if name:
            found.setdefault(f"{soname}@{node}" if soname else linked.get(name, name), set()).add(symbol)
    for symbol in imports_elf.strings(data, BY_NAME):
        name = family(symbol)
        if name not in linked and symbol not in own:
            found.setdefault(f"{name} by name", set()).add(symbol)
    return found


def main(words):
    for word in words or WHEELS:
        project, _, version = word.partition("==")
        version, url = imports_wheel.find(project, version)
        print(f"wheel {project} {version}")
        for path, data in imports_wheel.shared_objects(url):
            found = {} if THEIRS.match(path.rsplit("/", 1)[-1]) else imports(data)
            data.close()
            if found:
                print(f"object {path}")
                for library in sorted(found):
                    table = library.endswith(" by name") and len(found[library]) > TABLE
                    print(f"{library}: {f'{len(found[library])} symbols' if table else ' '.join(sorted(found[library]))}")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
