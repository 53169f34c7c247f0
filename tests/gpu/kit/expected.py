# SPDX-License-Identifier: MIT
"""What the simulated GPU cannot show, by id: the one list. A rehearsal on it must show all else, and nothing of this."""
import assumptions
import results

# Ids of assumptions.def whose verdict is not "holds" there: the verdict, and why.
NOT_SHOWN = {
    "nvml_period": ("does not hold", "it samples every 50 ms, as tests want it"),
    "flags_fixed": ("does not hold", "it lets flags of an active primary context be changed"),
    "unmap_does_not_wait": ("does not hold", "it unmaps when all kernels have ended"),
    "cubin_loads": ("not seen", "it runs no machine code"),
    "slices_equal": ("not seen", "it has no resource manager to ask"),
    "slice_not_ours": ("not seen", "the same"),
    "preempt_not_ours": ("not seen", "the same"),
    "off_not_ours": ("not seen", "the same"),
}
# Whose verdict is about the processors of the machine that simulates: any.
VARIES = {"blocking_wait", "registered_bandwidth"}
# STAGE/ITEM that does not end with "ok", and with what, and why.
CLIENTS = ("nvrtc", "cuda_python", "triton", "numba", "numba_nvjitlink", "jax", "torch", "torch_compile", "torch_product")
NOT_OK = {
    "facts/clients": ("absent", "nothing that uses CUDA is installed"),
    **{f"clients/{name}": ("absent", "it is not installed, or would run what NVIDIA's compilers have made") for name in CLIENTS},
}
# What depends on what is installed where the rehearsal runs.
MAY_BE_OK = {"facts/clients"}

# Faults of the simulated GPU; the items of the stage probe that are not ok with all of them at once; and those in which the
# absent call was missed. A step of which a part hangs has the rest, and fails.
FAULTS = ["crash:cuGetErrorString", "hang:cuMemAllocPitch_v2", "absent:cuCtxGetFlags"]
FAULTS_COST = {"record": "crashed", "semantics": "failed"}
FAULTS_MISSED = {"context": ["cuCtxGetFlags"]}


def problems(data):
    """Lines that say what of a whole run is not as it must be."""
    found = []
    seen = results.verdicts(data)
    known = {r.id for r in assumptions.rows()}
    for name in sorted(known | set(seen) | set(NOT_SHOWN) | VARIES):
        verdict = seen.get(name, {"verdict": "not seen"})
        wanted = NOT_SHOWN.get(name, ("holds", ""))[0]
        if name not in known:
            found.append(f"{name}: no assumption of this id in assumptions.def")
        elif verdict["verdict"] != wanted and name not in VARIES:
            found.append(f"{name}: {verdict['verdict']} instead of {wanted}: {verdict.get('detail', '')}")
    rows = {f"{stage}/{i['name']}": i for stage, s in data["stages"].items() for i in s["items"] if i["machine"] == 0}
    for name, item in rows.items():
        wanted = NOT_OK.get(name, ("ok", ""))[0]
        if item["status"] != wanted and not (item["status"] == "ok" and name in MAY_BE_OK):
            found.append(f"{name}: {item['status']} instead of {wanted}: {item.get('why', '')}")
    found += [f"{name}: listed as what does not end with ok, and not in the results" for name in NOT_OK if name not in rows]
    return found
