# SPDX-License-Identifier: MIT
"""Libraries that a program is linked with and does not call in a test, made of what it wants of them: each function returns 1."""
import pathlib
import subprocess

import imports_elf


def wanted_of(libraries):
    """{soname: {version node or None: {symbol}}} of what the libraries want of others."""
    found = {}
    for library in libraries:
        for symbol, soname, node in imports_elf.read(pathlib.Path(library).read_bytes()).wanted:
            if soname:
                found.setdefault(soname, {}).setdefault(node, set()).add(symbol)
    return found


def make(folder, soname, nodes):
    """Make the library of `soname` in the folder: `nodes` is {version node: {symbol}}."""
    folder = pathlib.Path(folder)
    source, versions = folder / f"{soname}.c", folder / f"{soname}.map"
    source.write_text("".join(f"int {s}(void);\nint {s}(void) {{ return 1; }}\n" for symbols in nodes.values() for s in sorted(symbols)))
    versions.write_text("".join(f"{node} {{ global: {'; '.join(sorted(symbols))}; local: *; }};\n" for node, symbols in nodes.items()))
    subprocess.run(["cc", "-shared", "-fPIC", f"-Wl,-soname,{soname}", f"-Wl,--version-script={versions}", "-o", folder / soname, source], check=True)
