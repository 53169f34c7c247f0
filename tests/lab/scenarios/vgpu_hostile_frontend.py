# SPDX-License-Identifier: MIT
"""A hostile frontend in a guest's user space, without pvgpu.ko, speaks wrongly at every step: handshake, keys, references,
indices, requests, chunks, sessions, restarts of pvgpud; it is saved and destroyed in the middle; then two guests at once.
Each attack has its reason; a neighbour computes right and its new sessions cost few worker starts; nothing is left.

LAB_ATTACKS="NAME..." runs these alone, from a PV guest or one of LAB_KIND."""
import os

import frontend
import world

WORLD = world.TwoGuests
LIMIT = 3600
CHOSEN = os.environ.get("LAB_ATTACKS", "").split()
ONLY = None             # None: all attacks
EVERY = int(os.environ.get("LAB_EVERY", "1"))
KINDS = ("pv", "pvh")
BOTH = ("flips_1_4", "flood_close", "storm_control", "open_cancelled", "open_beyond", "chunk_circle_128", "deaf",
        "requests_17", "stay_opened", "leave_asking")
QUICK = {"ONLY": ("stay_chunked", "anew_settled", "state_word", "ref_missing", "ref_never", "port_foreign", "requests_17",
                  "answers_ahead", "commands_far", "dir_foreign", "chunk_overlap", "chunk_removals", "open_cancelled"),
         "EVERY": 4, "KINDS": ("pv",), "BOTH": ()}


def run(lab, w):
    kinds = (os.environ.get("LAB_KIND", "pv"),) if CHOSEN else KINDS
    for kind in kinds:
        frontend.attack_all(lab, w.pvgpud, w.pv, kind, CHOSEN or ONLY, EVERY)
    if BOTH and not CHOSEN:
        frontend.attack_by_two(lab, w, BOTH)
