# SPDX-License-Identifier: MIT
"""Grafana's dashboards: their structure, and where Grafana's own description of dashboards is installed (grafana-foundation-sdk, made by Grafana from its
schema), that each of their keys is one that it knows. `make check-grafana` installs that. Grafana itself is in no package source of the tests."""
import copy
import json
import pathlib
import re
import unittest

from exporter_test import DASHBOARDS, MONITORING

try:
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard
except ImportError:
    Dashboard = None
WIDTH = 24  # columns of a dashboard


def overlap(a, b):
    return a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]


def faults(board):
    """What Grafana would refuse to import, or show in a wrong place or with no data."""
    found = [f"no {k}" for k in ("uid", "title", "schemaVersion", "panels", "templating", "time") if k not in board]
    variables = {v["name"] for v in board["templating"]["list"]}
    panels = board["panels"]
    for what, values in (("panel's id", [p["id"] for p in panels]), ("variable's name", [v["name"] for v in board["templating"]["list"]])):
        found += [f"the {what} {v} twice" for v in set(values) if values.count(v) > 1]
    for p in panels:
        at, title = p["gridPos"], p.get("title")
        found += [f"{title}: out of the grid"] * (at["x"] < 0 or at["w"] < 1 or at["x"] + at["w"] > WIDTH)
        found += [f"{title}: over {o['title']}" for o in panels if o["id"] > p["id"] and overlap(at, o["gridPos"])]
        names = [t["refId"] for t in p["targets"]]
        found += [f"{title}: refId {n} twice" for n in set(names) if names.count(n) > 1]
        used = set(re.findall(r"\$\{?(\w+)", json.dumps([p.get("datasource"), [t["expr"] for t in p["targets"]]])))
        found += [f"{title}: no variable {v}" for v in used - variables if not v.startswith("__")]
        found += [f"{title}: no data source"] * ("datasource" not in p)
    return found


def unknown(given, kept, where=""):
    """Keys of a dashboard that Grafana's description does not have: it drops them."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for k, v in given.items():
            if k not in kept:
                yield f"{where}.{k}"
            else:
                yield from unknown(v, kept[k], f"{where}.{k}")
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for n, (a, b) in enumerate(zip(given, kept)):
            yield from unknown(a, b, f"{where}[{n}]")
    elif given != kept:
        yield f"{where}: {given!r} becomes {kept!r}"


class Dashboards(unittest.TestCase):
    def setUp(self):
        self.boards = {d.name: json.loads(d.read_text()) for d in DASHBOARDS}

    def test_structure(self):
        self.assertGreaterEqual(len(self.boards), 2)
        for name, board in self.boards.items():
            self.assertEqual(faults(board), [], name)
        self.assertEqual(len({b["uid"] for b in self.boards.values()}), len(self.boards))

    def test_faults_are_seen(self):
        board = copy.deepcopy(next(iter(self.boards.values())))
        first, second = board["panels"][:2]
        second.update(id=first["id"], gridPos=dict(first["gridPos"], x=WIDTH - 1))
        second["targets"][0]["expr"] = "rate(x{pool=~\"$nosuch\"}[$__rate_interval])"
        said = "\n".join(faults(board))
        for word in (f"the panel's id {first['id']} twice", "out of the grid", "no variable nosuch"):
            self.assertIn(word, said)

    def test_backends_are_apart(self):
        """Several backends of an instance, in one file, have pools and vGPUs of the same names."""
        for path in *DASHBOARDS, MONITORING / "alerts.yml":
            lists = re.findall(r"\b(?:by|on|ignoring|without) \(([^)]*)\)", path.read_text())
            self.assertTrue(lists, path.name)
            self.assertEqual([names for names in lists if "instance, backend" not in names], [], path.name)

    @unittest.skipUnless(Dashboard, "grafana-foundation-sdk is not installed: make check-grafana")
    def test_grafanas_description(self):
        register_default_plugins()

        def kept(board):
            return json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder))
        for name, board in self.boards.items():
            self.assertEqual(list(unknown(board, kept(board))), [], name)
            board["panels"][0]["fieldConfig"]["defaults"]["colour"] = "red"
            self.assertEqual(list(unknown(board, kept(board))), [".panels[0].fieldConfig.defaults.colour"])


if __name__ == "__main__":
    unittest.main()
