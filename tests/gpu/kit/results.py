# SPDX-License-Identifier: MIT
"""What a run leaves in its folder: results.json and logs.tar.gz, both whole at any moment.

    {"format": 1, "kit": "0.1.0 (commit)", "quick": false, "machines": [{...}],
     "stages": {"probe": {"status": "ok", "seconds": 31.0, "items": [
         {"name": "window", "machine": 0, "status": "ok", "seconds": 1.2, "values": {...}, "failed_calls": [...],
          "assumptions": {"hmm_off": {"verdict": "holds", "detail": "..."}}, "why": "..."}]}}}

The first machine is that of the latest run. Results of another sandbox runtime, driver or GPU are kept apart, as a machine
of their own: nothing that was seen on one says anything about another.
"""
import io
import json
import os
import tarfile
import time

FORMAT = 1
DONE = ("ok", "absent")            # what need not be run again
BAD = ("failed", "crashed", "timeout")
SAME = ("runtime", "driver", "gpu")  # what makes a machine this machine
MOST_LOG = 256 << 10               # bytes of a log that are kept
MOST_LOGS = 14 << 20               # of all logs together, before they are packed
MOST_ARCHIVES = 5                  # of earlier runs into the same folder


class BadResults(Exception):
    pass


def file_of(path):
    """A results.json itself, or that of a folder."""
    return os.path.join(path, "results.json") if os.path.isdir(path) else str(path)


def read(path):
    """A results.json, or the one of a folder."""
    path = file_of(path)
    try:
        with open(path, encoding="utf-8") as f:
            data = json.load(f)
        if data["format"] != FORMAT:
            raise BadResults(f"{path} has format {data['format']}, this kit knows {FORMAT}")
        for stage in data["stages"].values():
            for item in stage["items"]:
                data["machines"][item["machine"]]
        return data
    except OSError as e:
        raise BadResults(f"{path}: {e.strerror}") from None
    except (ValueError, KeyError, TypeError, IndexError):
        raise BadResults(f"{path} is not a kit's results.json") from None


def write_whole(path, data):
    """All of it or, where this is cut off, all of what was there."""
    with open(path + ".new", "wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())
    os.replace(path + ".new", path)


def same_machine(a, b):
    return all(a.get(k) == b.get(k) for k in SAME)


def stage_status(items, whole):
    """Of one machine's items; whole: none is missing."""
    states = [i["status"] for i in items]
    if not states or all(s == "skipped" for s in states):
        return "skipped"
    if not whole or "skipped" in states:
        return "partial"
    return "failed" if any(s in BAD for s in states) else "ok"


def verdicts(data, machine=0):
    """id of an assumption -> what was seen of it on this machine."""
    found = {}
    for stage in data["stages"].values():
        for item in stage["items"]:
            for name, seen in item.get("assumptions", {}).items() if item["machine"] == machine else ():
                # What was seen once stays, and most of all that something does not hold.
                if found.get(name, {"verdict": "not seen"})["verdict"] == "not seen" or seen["verdict"] == "does not hold":
                    found[name] = seen
    return found


class Results:
    def __init__(self, folder, kit, machine, mask, quick=False):
        self.path = os.path.join(folder, "results.json")
        self.mask = mask
        self.data = {"format": FORMAT, "kit": kit, "quick": quick, "machines": [machine], "stages": {}}

    def merge(self, done):
        """Those of an earlier run; what this run finds out anew replaces them."""
        if bool(done.get("quick")) != self.data["quick"]:
            raise BadResults("results with --quick and without it cannot be in one")
        number = {}
        for i, machine in enumerate(done["machines"]):
            mine = next((j for j, m in enumerate(self.data["machines"]) if same_machine(m, machine)), None)
            if mine is None:
                mine = len(self.data["machines"])
                self.data["machines"].append(machine)
            number[i] = mine
        for name, stage in done["stages"].items():
            for item in stage["items"]:
                item = {**item, "machine": number[item["machine"]]}
                if done["kit"] != self.data["kit"]:
                    item.setdefault("kit", done["kit"])
                if item["status"] != "skipped":
                    self.put(name, item)

    def stage(self, name):
        return self.data["stages"].setdefault(name, {"status": "skipped", "seconds": 0, "items": []})

    def item(self, stage, name):
        """What is known of an item on this machine, or None."""
        return next((i for i in self.data["stages"].get(stage, {"items": []})["items"]
                     if i["name"] == name and i["machine"] == 0), None)

    def done(self, stage, name):
        known = self.item(stage, name)
        return known is not None and known["status"] in DONE

    def put(self, stage, item):
        items = self.stage(stage)["items"]
        for i, old in enumerate(items):
            if (old["name"], old["machine"]) == (item["name"], item["machine"]):
                # What failed once and could not be tried again says more than that it was not tried.
                if item["status"] != "skipped" or old["status"] == "skipped":
                    items[i] = item
                return
        items.append(item)

    def close_stage(self, name, whole, **more):
        """The stage's status, of this machine's items."""
        stage = self.stage(name)
        mine = [i for i in stage["items"] if i["machine"] == 0]
        stage["status"] = stage_status(mine, whole)
        stage["seconds"] = round(sum(i.get("seconds", 0) for i in mine), 1)
        stage.update(more)

    def write(self):
        text = json.dumps(self.mask.value(self.data), indent=1, sort_keys=False) + "\n"
        write_whole(self.path, text.encode())


class Logs:
    """Logs are written into a folder outside of OUT, and packed into OUT again and again."""

    def __init__(self, out, folder, mask):
        self.path = os.path.join(out, "logs.tar.gz")
        self.folder = folder
        self.mask = mask
        self.packed = time.monotonic()
        self._keep_earlier(out)

    def _keep_earlier(self, out):
        if not os.path.exists(self.path):
            return
        names = [os.path.join(out, f"logs-{i}.tar.gz") for i in range(1, MOST_ARCHIVES + 1)]
        free = next((n for n in names if not os.path.exists(n)), names[-1])
        os.replace(self.path, free)

    def pack(self):
        out = io.BytesIO()
        left = MOST_LOGS
        with tarfile.open(fileobj=out, mode="w:gz", compresslevel=6) as tar:
            for base, _, names in sorted(os.walk(self.folder)):
                for name in sorted(names):
                    path = os.path.join(base, name)
                    text = self._shortened(path, max(0, min(MOST_LOG, left)))
                    left -= len(text)
                    info = tarfile.TarInfo(os.path.join("logs", os.path.relpath(path, self.folder)))
                    info.size = len(text)
                    info.mtime = int(os.path.getmtime(path))
                    tar.addfile(info, io.BytesIO(text))
        write_whole(self.path, out.getvalue())
        self.packed = time.monotonic()

    def _shortened(self, path, most):
        """Beginning and end of a log, without what must not leave the host."""
        with open(path, "rb") as f:
            size = os.fstat(f.fileno()).st_size
            if size <= most:
                raw = f.read(most)
            else:
                raw = f.read(most // 4)
                f.seek(size - most // 2)
                raw += b"\n[... %d bytes are left out ...]\n" % (size - most // 4 - most // 2) + f.read(most // 2)
        return self.mask.text(raw.decode(errors="replace")).encode()
