# SPDX-License-Identifier: MIT
"""docs/xenstore.md: the tree, every key, who may write it, and the state machines."""
import values
from describe import BACKEND_MAX, KEYS_MAX, permissions

INTRO = """<!-- SPDX-License-Identifier: MIT -->
<!-- Made by xenstore-schema/gen/schema.py --docs; do not edit. -->
# pvgpu in xenstore, version %(version)d

xenstore carries every vGPU's life: its backend, its policy, its state at both ends, its statistics. It carries no CUDA call: those
travel in shared memory. The keys are described once, in `xenstore-schema/pvgpu.schema`; this page, the C accessors that pvgpud,
pvgpuctl and pvgpu.ko share, and the checks of `pvgpuctl check` are made from it.

A vGPU has %(keys)d keys, of at most %(keys_max)d. Of these %(own)d belong to the backend domain and count, with their directory, against its
quota in xenstored: %(nodes)d nodes a vGPU, of at most %(backend_max)d. An unprivileged driver domain has 1,000 nodes by default, so it can
serve %(room)d vGPUs before xenstored's quota has to be raised. Keys that the toolstack writes in the backend's directory belong to dom0: they cost
the driver domain nothing, and the driver domain cannot change them.

## Example
One vGPU of domain %(fe)d, served by domain 0, in use. Check such a tree with `xenstore-ls -fp | pvgpuctl check -`.

```
%(example)s
```
"""

RULES = """## Rules
- Numbers are decimal, without sign, spaces or leading zeros. A size is bytes, or a number with K, M, G or T; programs write plain bytes.
  A version range is `LOW-HIGH` or one number; it is compared as numbers, and both ends speak the highest version that they have in common.
- Flags and records may hold names that a reader does not know: it ignores them. So an older end works with a newer one.
- A key that is missing has its default. A key without a default must be there in the states that the table names.
- A reader checks each key by the generated accessor, also its own side's keys. A value that is refused is never used in part.
- Attach: the toolstack creates both directories in one transaction, `state` last, with the permissions below. Detach: it writes `online` = 0,
  then waits for the backend's Closed, then removes both directories. If the guest is gone, it removes them at once; pvgpud, which sees the
  backend's directory vanish or hears @releaseDomain, ends the guest's workers in either case. A vGPU on another backend domain is a new vGPU: both
  directories are removed and made anew, because a frontend follows no change of `backend`.
- The directories above a vGPU's (`backend/pvgpu`, `backend/pvgpu/<fe>`, `device/pvgpu`) are made by the toolstack and still belong to dom0.
- A new protocol, field, flag or key raises the version. Released keys are locked (`xenstore-schema/keys.lock`): never renamed, retyped
  or removed.

## Permissions
As xenstore writes them: the owner first, `n` for no access of others, `r` for who may read. dom0 may read and write everything.

"""

ADMIN = """## Without Xen: pvgpud's admin socket
`pvgpuctl tree` shows the keys that pvgpud serves on its own machine, for vGPUs of the local link too. Keys of the same name mean the same.
Differences, all because one socket holds many vGPUs and has no quota:

| admin socket | xenstore |
|---|---|
| `/vgpu/NAME/…` | `backend/pvgpu/<fe>/<id>/…`: a vGPU is named by its guest and number, and by its `uuid` |
| `/vgpu/NAME/memory`: with 0 resolved to the GPU's size | `memory`: as configured |
| `/vgpu/NAME/memory-used`, `sessions`, `sessions-total`, `sessions-failed`, `gpu-time`, `wait-time`, `throttled-time`, `copy-bytes`, `launches`, `slices`, `faults`, `quarantined`, `inflight` | fields of `statistics` |
| `/vgpu/NAME/sessions-refused`, `refusing`: why the latest opening of a session got none, empty if it did | none |
| `/vgpu/NAME/last-reason` | `last-reason`, at most 127 printable characters |
| `/vgpu/NAME/FIELD`, and the same in `[vgpu NAME]` of pvgpud.conf, where `_` may stand for `-` | each field of `policy`; writable for vGPUs of the local link only, except `drain`, `park` and `pardon` |
| `/vgpu/NAME/domain`, `device`, `state`, of a guest's vGPU | its path, and `state` |
| `/vgpu/NAME/socket`, `/vgpu/NAME/session/…` | none: sessions are not in xenstore |
| `/daemon/version`, `gpu-memory`, `driver-version`, `log-level` | the same names in `data/pvgpu` |
| `/daemon/pid`, `uptime`, `stopping`, `spare-workers`, `workers-started`, `loop-turns`, `test-overrides`, `sandbox`, `exceptions` | none |
"""

WAYS = {
    "attach": "Attach", "connect": "Connecting", "refuse": "Refusal", "detach": "Detach and module unload",
    "lost": "The other end died or was restarted", "reconnect": "Reconnecting", "resume": "Suspend, resume, migration",
    "crash": "Destruction",
}


def example(schema):
    """The whole tree of one vGPU, from the keys' examples."""
    ids = {"<be>": "0", "<fe>": "3", "<id>": "0"}
    lines = []
    for key in schema.keys.values():
        path = key.tree.path
        for part, number in ids.items():
            path = path.replace(part, number)
        lines.append('%s/%s = "%s"' % (path, key.name, key.example))
    return "\n".join(lines)


def presence(key):
    if key.default is not None:
        return "`%s`" % key.default if key.default else "empty"
    if key.needed is None:
        return "may be missing"
    return "needed" if not key.needed else "needed in " + ", ".join(key.needed)


def keys_table(keys):
    lines = ["| key | value | default | written by | permissions | since |", "|---|---|---|---|---|---:|"]
    for k in keys:
        lines.append("| `%s` | %s | %s | %s | `%s` | %d |" % (
            k.name, values.allowed(k), presence(k), ", ".join(k.writers), k.perms(), k.since))
    lines.append("")
    for k in keys:
        lines.append("- **%s** — %s Example: `%s`" % (k.name, k.doc, k.example))
        for f in k.fields:
            lines.append("  - `%s`: %s; %s, default %s, since %d" % (f.name, f.doc, values.allowed(f), f.default, f.since))
    return lines + [""]


def names_table(names):
    lines = ["### %s" % names.name, names.doc + ("." if names.doc[-1] != "." else ""), ""]
    lines += ["| %s | meaning | since |" % ("name" if names.flags or not names.as_number else "number | name"),
              "|---|---|---:|" if names.flags or not names.as_number else "|---:|---|---|---:|"]
    for v in names.values.values():
        lines.append("| %s`%s` | %s | %d |" % ("%d | " % v.number if names.as_number else "", v.name, v.doc, v.since))
    return lines + [""]


def diagram(name, moves):
    """Mermaid; a move from every state would hide the rest, so it is in the table only. Unknown is the pseudo-state."""
    lines = ["```mermaid", "stateDiagram-v2"]
    arrows = {}
    for m in moves:
        if len(m.sources) == 1:
            arrows.setdefault((m.sources[0], m.target), []).append(m.way)
    for (source, target), ways in arrows.items():
        ends = ["[*]" if s == "Unknown" else s for s in (source, target)]
        lines.append("    %s --> %s: %s" % (*ends, ", ".join(dict.fromkeys(ways))))
    return lines + ["```", ""]


def machine(name, moves):
    other = {"frontend": "backend", "backend": "frontend"}.get(name, "other end")
    lines = ["## States of the %s" % name, ""] + diagram(name, moves)
    for way, title in WAYS.items():
        found = [m for m in moves if m.way == way]
        if not found:
            continue
        lines += ["**%s**" % title, "", "| from | to | while the %s is | why |" % other, "|---|---|---|---|"]
        for m in found:
            lines.append("| %s | %s | %s | %s |" % ("every state" if len(m.sources) > 1 else m.sources[0], m.target,
                                                  ", ".join(m.when) if m.when else "in any state", m.doc))
        lines.append("")
    return lines


SEQUENCES = """## How it goes
```
 connecting                     detach                         the backend died
 toolstack frontend backend     toolstack backend frontend     backend       frontend
 creates both, Initialising     online=0                       (gone)        Connected
           │      InitWait                Closing                │           sticky errors
           │         │ features, versions    │   Closing         │           Initialising
           Initialised                       │   sessions end    │             │
           │ ring-ref, event-channel         │   Closed        starts anew     │
           │      Connected              workers end           InitWait        │
           Connected                      Closed                 │           Initialised
                                removes both                   Connected     Connected

 suspend, resume, migration                    the guest crashed
 toolstack         frontend      backend       toolstack        backend
 (saves)           frozen        Connected     domain is gone   Connected
 new domain,       │             (old: gone)   removes          workers end, everything
 new directories   resumes       Initialising  directories      unmapped, nothing left
 (restores)        Initialising  InitWait
                   sessions have a sticky error
                   Initialised   Connected
                   Connected
```
A guest that is saved takes no GPU state along: after the restore every old session answers its sticky error, and new sessions work. pvgpud's own
restart is no move: it adopts its workers and the state stays Connected.
"""


def xenstore_md(schema):
    vgpu = [k for k in schema.keys.values() if k.tree.per_vgpu]
    own = sum(k.owner == "backend" for k in vgpu)
    host = sum(not k.tree.per_vgpu and k.owner == "backend" for k in schema.keys.values())
    lines = [INTRO % {"version": schema.version, "keys": len(vgpu), "keys_max": KEYS_MAX, "own": own, "nodes": own + 1,
                      "backend_max": BACKEND_MAX, "room": (1000 - host - 20) // (own + 1), "fe": 3, "example": example(schema)}]
    for tree in schema.trees.values():
        lines += ["## %s: `%s`" % (tree.name, tree.path), tree.doc, ""]
        lines += keys_table(schema.of_tree(tree.name))
    lines += [RULES + "\n".join(permission_table(schema))]
    lines += ["", "## Values"]
    for names in schema.names.values():
        lines += names_table(names)
    if schema.machines:
        lines.append(SEQUENCES)
    for name, moves in schema.machines.items():
        lines += machine(name, moves)
    return "\n".join(lines + [ADMIN]).rstrip() + "\n"


def permission_table(schema):
    lines = ["| directory or key | permissions |", "|---|---|"]
    for tree in schema.trees.values():
        keys = schema.of_tree(tree.name)
        own = [k for k in keys if k.owner == tree.owner]
        rest = [k for k in keys if k.owner != tree.owner]
        if own:
            lines.append("| `%s` and its keys | `%s` |" % (tree.path, permissions(tree.owner, tree.others(tree.owner))))
        if rest:
            lines.append("| but there %s | `%s` |" % (", ".join("`%s`" % k.name for k in rest), rest[0].perms()))
    return lines
