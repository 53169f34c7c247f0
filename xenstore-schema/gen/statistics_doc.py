# SPDX-License-Identifier: MIT
"""docs/statistics.md, and the JSON schema of what `pvgpuctl stats --json` prints."""
import json

from statistics_read import PARTS, SCOPES, fields

BUCKETS = 24  # of contract/latency.h
FORMAT = 1    # of the JSON: STATISTICS_FORMAT

INTRO = """<!-- SPDX-License-Identifier: MIT -->
<!-- Made by xenstore-schema/gen/schema.py --docs; do not edit. -->
# Statistics

Each statistic is described once, in `xenstore-schema/pvgpu.statistics`. From there come the fields of the key `statistics` of each vGPU
([xenstore.md](xenstore.md)), the metrics of pvgpu-exporter(8), the JSON of `pvgpuctl stats --json` ([its schema](statistics.schema.json)),
the columns of `pvgpuctl top`, and this page.

| measured by | what that means |
|---|---|
| pvgpud | pvgpud has measured or counted it. A bill, and an alert about a tenant, may use it. |
| driver | NVIDIA's driver says so, asked through NVML. |
| worker | The guest's worker claims it. A hostile guest may own its worker, so pvgpud clamps it to what the time allows, and nothing decides by it. |

Times in xenstore and in JSON are integers of microseconds, as the unit says; metrics are in seconds, bytes and ratios of 0 to 1.
Where the meaning does not say "since pvgpud started", a counter of a vGPU outlives pvgpud: the next one continues it from the run directory, or from the key
`statistics`. Histograms and `longest-wait` outlive it in the run directory.

## What a vGPU is entitled to
`entitled-time` is, of each moment in which it has work, its part by weight beside those of its class that have work, of what higher classes
leave: at least its guarantee, at most its maximum. Time that the maximum of another vGPU leaves is given to no vGPU here, and the time of
guarantees is not subtracted from the others. Time of a vGPU that is alone counts as far as it is used. So `gpu-time` well below `entitled-time` over some minutes
means that others had what was this one's. `share` is the part that its settings promise while every vGPU of the GPU has work, classes left out.
`waste-time` of a GPU is what the hand-overs cost; while several vGPUs have the GPU at once there are none.

## Histograms
A histogram has %d buckets. The bounds are 1 us, 2 us, 4 us and so on to 4.2 s; the last bucket has no bound. Histograms of several vGPUs
and hosts are merged by adding them up. A percentile is the upper bound of the bucket that it lies in, so it is at most twice the true value.
The key `statistics` has of each the average and the percentiles, as fields `NAME-avg`, `NAME-p50`, `NAME-p95` and `NAME-p99`.

`command-wait` counts a command that was never held back as one that waited no longer than the first bound.
`kernel-time` takes the time that the worker has measured of launches of the same function and shape; a new shape is measured twice
([architecture.md](architecture.md#the-gate)). A kernel whose time depends on its arguments is counted with what such launches took before.
""" % BUCKETS

TITLES = {"vgpu": "Of a vGPU", "gpu": "Of a GPU (a pool)", "daemon": "Of pvgpud"}
LABELS = {"vgpu": "Labels: `vm` and `vm_uuid`, as dom0 calls the VM; `vgpu`, the vGPU's number in its VM, of the local link its name, and its own UUID where dom0 does not\n"
                  "tell the VM; `tenant`, its group; `pool` and `gpu_uuid`, its GPU. None of them changes when the VM is started again. One without a value is left out.",
          "gpu": "Labels: `pool` and `gpu_uuid`. `pvgpu_gpu_info` joins them to the model. A GPU and its vGPUs have no line until the driver has told its UUID.",
          "daemon": "No label. `pvgpu_daemon_info` has the version."}


def statistics_md(scopes):
    lines = [INTRO]
    for scope in SCOPES:
        lines += ["## " + TITLES[scope], LABELS[scope], "",
                  "| name | kind | unit | measured by | metric | in xenstore | meaning |", "|---|---|---|---|---|---|---|"]
        for s in scopes[scope].all():
            key = "" if not s.field else "yes" if not s.histogram else ", ".join("`-%s`" % p for p, _ in PARTS)
            lines.append("| `%s` | %s | %s | %s | `%s` | %s | %s |" % (s.name, s.kind, s.unit, s.by, s.full_metric, key, s.doc))
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


# Of confidential pools pvgpu-exporter tells these of a GPU, and not those of pvgpud: statistics/confidential.c.
TOLD_OF_GPU = {"healthy", "drained", "state", "readmissions", "canaries", "start-failures", "unknown-processes"}
HIDDEN_TOTALS = {"vgpus", "sessions", "workers", "workers-started"}


def is_hidden(s):
    return s.scope == "gpu" and s.name not in TOLD_OF_GPU or s.scope == "daemon" and s.name in HIDDEN_TOTALS


def value_schema(s):
    """null: nobody has measured it, or (of a vGPU in dom0) xenstore does not have it, or it is of a confidential pool."""
    number = {"type": ["integer", "null"] if s.by == "driver" or s.scope == "vgpu" or is_hidden(s) else "integer", "minimum": 0,
              "description": "%s (%s, by %s)" % (s.doc, s.unit, s.by)}
    if not s.histogram:
        return number
    parts = {p: {"type": "integer", "minimum": 0} for p, _ in PARTS}
    counts = {"type": ["array", "null"], "minItems": BUCKETS, "maxItems": BUCKETS, "items": {"type": "integer", "minimum": 0}}
    return {"type": "object", "description": number["description"], "required": ["count", "sum"] + list(parts) + ["buckets"],
            "properties": {"count": {"type": ["integer", "null"]}, "sum": {"type": ["integer", "null"]}, **parts, "buckets": counts}}


def object_schema(texts, things, more=None):
    props = {t: {"type": "string"} for t in texts}
    props.update(more or {})
    props.update({s.name: value_schema(s) for s in things})
    return {"type": "object", "required": list(props), "properties": props}


def key_schema(scopes):
    """Of the fields of xenstore's key `statistics`."""
    props = {name: {"type": "integer", "minimum": 0, "description": doc} for name, _, _, doc, _ in fields(scopes)}
    return {"type": "object", "required": list(props), "additionalProperties": False, "properties": props}


def schema_json(scopes):
    daemon = object_schema(["version"], scopes["daemon"].all())
    vm = {"type": ["object", "null"], "description": "null: a vGPU of the local link", "required": ["domid", "name", "uuid"], "additionalProperties": False,
          "properties": {"domid": {"type": "integer", "minimum": 0}, "name": {"type": "string"}, "uuid": {"type": "string"}}}
    number = {"type": ["integer", "null"], "minimum": 0, "description": "the vGPU's number in its VM"}
    uuid = {"type": ["string", "null"], "description": "null: not known yet; empty: the driver does not tell"}
    confidential = {"type": "boolean", "description": "of a confidential pool: pvgpu-exporter tells nothing of its use"}
    tops = {"format": {"enum": [FORMAT]}, "time": {"type": "number", "description": "seconds since 1970"},
            "daemon": {**daemon, "type": ["object", "null"], "description": "null: from xenstore, which has nothing of pvgpud itself and of GPUs"},
            "gpus": {"type": "array", "items": object_schema(["name", "model", "health"], scopes["gpu"].all(),
                                                             {"uuid": uuid, "confidential": confidential})},
            "vgpus": {"type": "array", "items": object_schema(["name", "uuid", "pool", "tenant", "state"], scopes["vgpu"].all(), {"vm": vm, "id": number})}}
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "pvgpuctl stats --json", "type": "object",
              "required": list(tops), "properties": tops,
              "definitions": {"key": key_schema(scopes)}}
    return json.dumps(schema, indent=1) + "\n"


PAGES = {"statistics.md": statistics_md, "statistics.schema.json": schema_json}
