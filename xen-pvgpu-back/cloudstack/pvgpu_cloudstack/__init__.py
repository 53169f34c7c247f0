# SPDX-License-Identifier: MIT
"""Parts of pvgpu-cloudstack. Python 3.6 or newer and its standard library are all that they need."""
VERSION = "0.1.0"
