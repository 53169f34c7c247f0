# SPDX-License-Identifier: MIT
"""pvgpu-exporter: metrics that Prometheus takes, dashboards whose every query has data, a status page without scripts, and clients that
behave badly, which no session notices. PVGPU_BUILD: the build folder."""
import contextlib
import html
import html.parser
import json
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.error
import urllib.parse
import urllib.request

from pools_test import Pools
from pvgpu_env import LIMIT, ROOT, PvgpuEnv, program, wait_for

sys.path.insert(0, os.path.join(ROOT, "tests", "xapi"))
from xapi import faults, read_schema  # noqa: E402

SCHEMA = read_schema(pathlib.Path(ROOT, "docs", "statistics.schema.json"))
MONITORING = pathlib.Path(ROOT, "xen-pvgpu-back", "exporter", "monitoring")
DASHBOARDS = sorted(MONITORING.glob("grafana-*.json"))
RUNBOOK = pathlib.Path(ROOT, "docs", "operators", "alerts.md")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Exporter:
    """An exporter beside a pvgpud."""

    def __init__(self, env, *options, token=None):
        self.env, self.port, self.token, self.given = env, free_port(), token, options
        self.options = options if token is not None or "--plain" in options else (*options, "--anyone")
        self.options = [o for o in self.options if o != "--plain"]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        self.process = subprocess.Popen([program("pvgpu-exporter", self.env.build), "--run-dir", self.env.run_dir, "--listen",
                                         f"127.0.0.1:{self.port}", *self.options], stderr=subprocess.PIPE, text=True)
        self.process.stderr.readline()  # it listens
        if "--plain" not in self.given and "--file" not in self.given:
            wait_for("the GPUs' names", lambda: "pvgpu_gpu_info{" in self.get("/metrics")[0])
        return self

    def __exit__(self, *_):
        self.process.terminate()
        status = self.process.wait(LIMIT)
        self.process.stderr.close()
        if status:
            raise AssertionError(f"pvgpu-exporter ended with {status}")

    def get(self, path, method="GET"):
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, method=method, headers=headers), timeout=LIMIT) as r:
            return r.read().decode(), r.headers

    def metrics(self):
        """name{labels} -> value"""
        rows = (line.rsplit(" ", 1) for line in self.get("/metrics")[0].splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in rows}

    def value(self, name, **labels):
        """Of the one line of that name with these labels; None: there is none, as while pvgpud learns its GPUs' names."""
        found = [v for k, v in self.metrics().items() if k.split("{")[0] == name and all(f'{n}="{t}"' in k for n, t in labels.items())]
        return found[0] if len(found) == 1 else None


class Prometheus:
    """A real one, which scrapes each second and has the alert rules."""

    def __init__(self, exporter):
        self.exporter, self.port = exporter, free_port()

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="pvgpu-prometheus-")
        config = os.path.join(self.folder.name, "prometheus.yml")
        with open(config, "w") as f:
            f.write(f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{MONITORING / 'alerts.yml'}]\n"
                    f"scrape_configs: [{{job_name: pvgpu, static_configs: [{{targets: ['127.0.0.1:{self.exporter.port}']}}]}}]\n")
        self.process = subprocess.Popen(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.folder.name}/data",
                                         f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=error"], stderr=subprocess.DEVNULL)
        wait_for("Prometheus", self.ready)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(LIMIT)
        self.folder.cleanup()

    def ready(self):
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=LIMIT) as r:
                return r.status == 200
        return False

    def ask(self, path, **args):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?" + urllib.parse.urlencode(args)
        with urllib.request.urlopen(url, timeout=LIMIT) as r:
            return json.load(r)["data"]

    def query(self, expr):
        return self.ask("query", query=expr)["result"]


def queries(dashboard):
    """(panel, query with its variables filled in) of each target."""
    for panel in json.loads(dashboard.read_text())["panels"]:
        for target in panel["targets"]:
            expr = target["expr"].replace("$__rate_interval", "10s")
            yield panel["title"], re.sub(r"\$(instance|pool|vm|vgpu)", ".*", expr)


class Loaded(PvgpuEnv):
    """Two vGPUs that share the GPU, all the time."""

    def load(self, *names):
        self.programs = getattr(self, "programs", []) + [self.popen(
            [os.path.join(self.build, "programs", "occupy"), "1000000000", "2000", "8"], n, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL) for n in names]
        wait_for("work", lambda: all(int(self.read(f"/vgpu/{n}/launches")) > 0 for n in names))

    def unload(self):
        for p in self.programs:
            p.kill()
            p.wait()
        self.programs = []


class Metrics(unittest.TestCase):
    def test_promtool(self):
        """The text, the rules and their tests are as Prometheus's own tool wants them."""
        subprocess.run(["promtool", "check", "rules", MONITORING / "alerts.yml"], check=True, capture_output=True)
        subprocess.run(["promtool", "test", "rules", MONITORING / "alerts_test.yml"], check=True, capture_output=True)
        with Loaded() as env, Exporter(env) as e:
            done = subprocess.run(["promtool", "check", "metrics"], input=e.get("/metrics")[0], text=True, capture_output=True, check=False)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
            done = subprocess.run([program("pvgpu-exporter", env.build), "--once", "--run-dir", env.run_dir], capture_output=True, text=True, check=True)
            self.assertIn("\npvgpu_up 1\n", done.stdout)

    def test_dashboards(self):
        """A real Prometheus scrapes two programs at work: each panel's query has data, each rule is evaluated; then pvgpud is gone."""
        with Loaded({"a": "64M", "b": "memory=64M,rate_commands=2000"}) as env, Exporter(env) as e, Prometheus(e) as p:
            env.load("a", "b")
            for dashboard in DASHBOARDS:
                for panel, expr in queries(dashboard):
                    with self.subTest(dashboard=dashboard.name, panel=panel, expr=expr):
                        found = wait_for(f"data of '{panel}': {expr}", lambda expr=expr: p.query(expr))
                        self.assertTrue(all(r["value"][1] != "NaN" for r in found) or "quantile" in expr or "/ rate" in expr, found)
            rules = [r for g in p.ask("rules")["groups"] for r in g["rules"]]
            self.assertEqual({r["health"] for r in rules}, {"ok"})
            self.assertEqual([r["name"] for r in rules if r["state"] != "inactive"], [])
            # What Prometheus has is what pvgpud says.
            self.assertEqual({r["metric"]["vgpu"] for r in p.query("pvgpu_vgpu_sessions == 1")}, {"a", "b"})
            share = float(wait_for("shares", lambda: p.query("sum(rate(pvgpu_vgpu_gpu_seconds_total[5s]))"))[0]["value"][1])
            self.assertLessEqual(share, 1.3)
            env.unload()
            env.check_idle()
            env.daemon.send_signal(signal.SIGSTOP)
            try:
                wait_for("the alert that pvgpud is down", lambda: p.query('ALERTS{alertname="PvgpuDown"}'))
            finally:
                env.daemon.send_signal(signal.SIGCONT)
            wait_for("pvgpud again", lambda: e.metrics()["pvgpu_up"] == 1)

    def test_many(self):
        """A hundred vGPUs: a scrape is at most two MiB; what it took pvgpud is among the statistics."""
        with Loaded({f"tenant-with-a-name-{i:03}": "4M" for i in range(100)}) as env, Exporter(env) as e:
            text = e.get("/metrics")[0]
            self.assertEqual(len(re.findall(r"^pvgpu_vgpu_launches_total\{", text, re.M)), 100)
            self.assertLessEqual(len(text), 2 << 20)
            self.assertGreater(e.metrics()["pvgpu_daemon_snapshots_total"], 0)

    def test_names(self):
        """Base units, counters with _total, ratios; and no metric has a label that grows with use."""
        with Loaded() as env, Exporter(env) as e:
            text = e.get("/metrics")[0]
            self.assertEqual(set(re.findall(r"[{,]([a-z_]+)=", text)), {"version", "pool", "model", "vgpu", "gpu_uuid", "le"})
            for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M):
                self.assertEqual(name.endswith("_total"), kind == "counter", name)
                self.assertRegex(name, "^pvgpu_")
                self.assertNotRegex(name, "_(us|ms|microseconds|percent|mib)$")

    def test_counts(self):
        """The same numbers as pvgpud's other keys."""
        with Loaded() as env, Exporter(env) as e:
            self.assertEqual(env.run([os.path.join(env.build, "programs", "occupy"), "100", "100"]).returncode, 0)
            env.wait_sessions(0)

            def same():
                return [e.value(f"pvgpu_vgpu_{n}", vgpu="vgpu0", pool="default") for n in ("launches_total", "kernel_seconds_count", "sessions_total")] == \
                    [100, 100, 1]

            wait_for("the next snapshot", same)
            m = e.metrics()
            buckets = [v for k, v in m.items() if k.startswith("pvgpu_vgpu_kernel_seconds_bucket")]
            self.assertEqual(buckets, sorted(buckets))


class Health(unittest.TestCase):
    def test_sensors(self):
        sim = {"SIMCUDA_NVML_CELSIUS": "87", "SIMCUDA_NVML_MILLIWATTS": "654321", "SIMCUDA_NVML_ECC": "3", "SIMCUDA_NVML_PCIE_GENERATION": "3", "SIMCUDA_NVML_PCIE_WIDTH": "8",
               "SIMCUDA_NVML_PCIE_SENT": "77"}
        with Loaded(sim=sim) as env, Exporter(env) as e:
            wait_for("sensors", lambda: e.value("pvgpu_gpu_power_watts", pool="default"))
            self.assertEqual({k: e.value(f"pvgpu_gpu_{k}", pool="default") for k in ("temperature_celsius", "power_watts", "power_limit_watts", "ecc_corrected_errors_total",
                                                                                 "ecc_uncorrected_errors_total", "sm_clock_hertz", "memory_clock_hertz")},
                             {"temperature_celsius": 87, "power_watts": 654.321, "power_limit_watts": 700, "ecc_corrected_errors_total": 3,
                              "ecc_uncorrected_errors_total": 0, "sm_clock_hertz": 1755e6, "memory_clock_hertz": 2619e6})
            link = {"pcie_generation": 3, "pcie_generation_max": 5, "pcie_width": 8, "pcie_width_max": 16, "pcie_sent_bytes_total": 77,
                    "pcie_received_bytes_total": 2000}
            self.assertEqual({k: e.value(f"pvgpu_gpu_{k}", pool="default") for k in link}, link)

    def test_near(self):
        """Workers run on the processors that sysfs has for the GPU's PCI device, here another one of the machine's."""
        devices = [d for d in pathlib.Path("/sys/bus/pci/devices").glob("0000:*.0") if d.name != "0000:00:00.0" and (d / "local_cpulist").exists()]
        if not devices:
            self.skipTest("no PCI device here")
        bus, slot = (int(n, 16) for n in devices[0].name[5:10].split(":"))
        with Loaded({"a": "64M"}, sim={"SIMCUDA_NVML_PCI": str(bus << 8 | slot << 3)}) as env:
            cpus = (devices[0] / "local_cpulist").read_text().strip()
            wait_for("the GPU's place", lambda: env.read("/pool/default/cpus") == cpus)
            self.assertEqual(env.read("/pool/default/numa-node"), (devices[0] / "numa_node").read_text().strip())
            env.load("a")
            session, = env.sessions("a").values()
            allowed = re.search(r"Cpus_allowed_list:\s+(\S+)", pathlib.Path(f"/proc/{session['pid']}/status").read_text())[1]
            self.assertEqual(allowed, cpus)
            done = subprocess.run([program("pvgpuctl", env.build), "doctor", "--run-dir", env.run_dir], capture_output=True, text=True, timeout=LIMIT, check=False)
            self.assertIn(f"its workers run on the processors {cpus}", done.stdout)
            env.unload()
        with Loaded({"a": "64M"}, sim={"SIMCUDA_NVML_PCI": str(bus << 8 | slot << 3)}, settings={"numa": 0}) as env, Exporter(env) as e:
            wait_for("a round of NVML", lambda: e.value("pvgpu_gpu_pcie_width"))
            self.assertIsNone(env.read("/pool/default/cpus"))

    def test_unknown(self):
        """What nobody can tell is no number."""
        with Loaded(settings={"libnvml": ""}) as env, Exporter(env) as e:
            m = e.metrics()
            self.assertEqual([k for k in m if "celsius" in k or "watts" in k], [])
            self.assertEqual(m["pvgpu_daemon_accounting"], 0)
            self.assertIsNone(json.loads(e.get("/statistics.json")[0])["gpus"][0]["temperature"])

    def test_fault(self):
        """An Xid that asks for a reset reaches log, metrics, page, doctor and, in Prometheus, the alerts."""
        with Loaded(sim={"SIMCUDA_FAULT": "xid:95:2"}, settings={"canary_every_s": 0, "quarantine_faults": 0}) as env, Exporter(env) as e, \
                Prometheus(e) as p:
            wait_for("a scrape", lambda: p.query("pvgpu_gpu_xids_total == 0"))
            env.popen([os.path.join(env.build, "programs", "occupy"), "10", "100"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait()
            wait_for("the metric", lambda: e.value("pvgpu_gpu_last_xid", pool="default") == 95)
            wait_for("the verdict", lambda: e.value("pvgpu_gpu_healthy", pool="default") == 0)
            self.assertIn("Xid 95", env.log())
            self.assertIn("unhealthy: Xid 95", e.get("/")[0])
            for alert in "PvgpuXid", "PvgpuGpuUnhealthy":
                wait_for(alert, lambda alert=alert: p.query(f'ALERTS{{alertname="{alert}",alertstate="firing"}}'))
            done = subprocess.run([program("pvgpuctl", env.build), "doctor", "--run-dir", env.run_dir], capture_output=True, text=True,
                                  timeout=LIMIT, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stdout, r"BAD +GPU default: unhealthy: Xid 95")
            self.assertEqual(e.value("pvgpu_gpu_state", pool="default"), 3)
            self.assertTrue(env.write("/pool/default/health", "ok")["ok"])
            # In use, and watched for an hour after an error of the GPU itself.
            wait_for("degraded", lambda: e.value("pvgpu_gpu_state", pool="default") == 1)
            self.assertEqual(e.value("pvgpu_gpu_readmissions_total", pool="default"), 1)
            wait_for("its alert", lambda: p.query('ALERTS{alertname="PvgpuGpuDegraded"}'))


class File(unittest.TestCase):
    """In dom0: what root has written, and nothing else."""
    METRICS = "# TYPE pvgpu_vgpu_launches_total counter\npvgpu_vgpu_launches_total{vgpu=\"web1/0\"} 7\n"

    def test_file(self):
        with tempfile.TemporaryDirectory(prefix="pvgpu-") as folder, PvgpuEnv() as env:
            path = pathlib.Path(folder, "metrics")
            with Exporter(env, "--file", str(path)) as e:
                self.assertEqual((e.metrics()["pvgpu_up"], e.metrics()["pvgpu_exporter_errors_total"]), (0, 2))
                path.write_text(self.METRICS)
                self.assertEqual(e.metrics(), {"pvgpu_up": 1, "pvgpu_exporter_errors_total": 2, 'pvgpu_vgpu_launches_total{vgpu="web1/0"}': 7})
                self.assertTrue(e.get("/metrics")[0].endswith(self.METRICS))
                for other in "/", "/statistics.json", "/style.css":
                    with self.assertRaises(urllib.error.HTTPError) as refused:
                        e.get(other)
                    self.assertEqual((refused.exception.code, refused.exception.read()), (404, b"With --file there is /metrics alone.\n"))
                # What is old or no text is no news; a pipe without a writer keeps nobody waiting.
                os.utime(path, (0, 0))
                self.assertEqual(list(e.metrics().items())[0], ("pvgpu_up", 0))
                self.assertEqual(len(e.metrics()), 2)
                path.write_bytes(b"pvgpu_x 1\n\0")
                self.assertEqual(len(e.metrics()), 2)
                path.unlink()
                os.mkfifo(path)
                self.assertEqual(len(e.metrics()), 2)
                path.unlink()
                path.write_bytes(b"")
                os.truncate(path, (8 << 20) + 1)
                self.assertEqual(len(e.metrics()), 2)

    def test_once(self):
        with tempfile.TemporaryDirectory(prefix="pvgpu-") as folder:
            path = os.path.join(folder, "metrics")
            words = [program("pvgpu-exporter"), "--file", path, "--once"]
            done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT, check=False)
            self.assertEqual((done.returncode, done.stderr), (1, f"pvgpu-exporter: {path}: No such file or directory\n"))
            pathlib.Path(path).write_text(self.METRICS)
            done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT, check=True)
            self.assertIn(self.METRICS, done.stdout)


class Runbook(unittest.TestCase):
    def test_each_alert_has_one(self):
        alerts = re.findall(r"- alert: (\w+)", (MONITORING / "alerts.yml").read_text())
        self.assertEqual(re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.M), alerts)
        links = re.findall(r'runbook_url: "(.*?)"', (MONITORING / "alerts.yml").read_text())
        self.assertEqual([link.rsplit("#", 1)[1] for link in links], [a.lower() for a in alerts])
        # Absolute, of one base, which make install replaces.
        self.assertEqual({link.rsplit("#", 1)[0] for link in links}, {"file:///usr/share/pvgpu/monitoring/alerts.md"})
        with tempfile.TemporaryDirectory(prefix="pvgpu-") as folder:
            subprocess.run(["make", "-C", ROOT, f"DESTDIR={folder}", "RUNBOOKS=https://wiki.example.org/pvgpu", "install-monitoring"],
                           check=True, capture_output=True)
            installed, = pathlib.Path(folder).rglob("alerts.yml")
            self.assertEqual(re.findall(r'runbook_url: "(.*?)#', installed.read_text()), ["https://wiki.example.org/pvgpu"] * len(alerts))
            self.assertEqual(installed.with_name("alerts.md").read_text(), RUNBOOK.read_text())

    def test_commands(self):
        """Of the operators' pages that have commands for the machine of pvgpud: each of them works, and says something."""
        for page, least in (("alerts", 8), ("health", 2), ("sizing", 2), ("policies", 9), ("troubleshooting", 6)):
            with self.subTest(page=page):
                self.run_commands(RUNBOOK.with_name(page + ".md"), least)

    def run_commands(self, page, least):
        blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.S)
        commands = [c for b in blocks for c in b.splitlines()]
        self.assertGreaterEqual(len(commands), least)
        with Loaded({"web1": "64M", "batch1": "64M"}) as env:
            for command in commands:
                words = command.split()
                self.assertEqual(words[0], "pvgpuctl")
                where = [] if words[1] == "sizing" else ["--run-dir", env.run_dir]
                done = subprocess.run([program("pvgpuctl", env.build), *words[1:], *where], capture_output=True, text=True, timeout=LIMIT,
                                      check=False)
                self.assertEqual((done.returncode, done.stderr), (0, ""), command)
                self.assertTrue(done.stdout or words[1] == "set", command)

    def test_xids(self):
        """health.md has pvgpud's table."""
        table = re.findall(r'\{([1-9]\d*), XID_(\w+), "([^"]+)"\}', pathlib.Path(ROOT, "xen-pvgpu-back/daemon/guard/xid.c").read_text())
        rows = re.findall(r"^\| (\d+) \| (\w+) \| (.+) \|$", RUNBOOK.with_name("health.md").read_text(), re.M)
        self.assertGreater(len(table), 20)
        self.assertEqual(rows, [(n, action.lower(), what) for n, action, what in table])


class Page(html.parser.HTMLParser):
    """Tags that are open at the end, names of all, places that links lead to."""
    VOID = ("meta", "link")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.links, self.styled = [], set(), set(), False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links |= {v for k, v in attrs if k in ("href", "src")}
        self.styled |= any(k == "style" or k.startswith("on") for k, _ in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


class StatusPage(unittest.TestCase):
    def test_page(self):
        with Loaded({"web1": "64M"}) as env, Exporter(env) as e:
            env.load("web1")
            text, headers = wait_for("a curve", lambda: (e.get("/") if "polyline" in e.get("/")[0] else None))
            page = Page(text)
            self.assertEqual(page.open, [])
            self.assertFalse(page.tags & {"script", "iframe", "img", "style", "form"})
            self.assertFalse(page.styled)
            self.assertEqual(page.links, {"style.css", "metrics", "statistics.json"})
            self.assertIn("web1", text)
            self.assertIn(f"<h1>pvgpu on {html.escape(socket.gethostname())}</h1>", text)
            text = wait_for("sensors", lambda: (e.get("/")[0] if "41 &deg;C" in e.get("/")[0] else None))
            self.assertIn("<td class=\"wide\">97 W</td>", text)
            self.assertRegex(text, r"<td class=\"text\">vgpu web1: ")  # an event
            self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
            self.assertNotIn("unsafe", headers["Content-Security-Policy"])
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
            for link in page.links:
                self.assertTrue(e.get("/" + link)[0])
            self.assertEqual(json.loads(e.get("/statistics.json")[0])["vgpus"][0]["name"], "web1")
            env.unload()
            env.check_idle()
            env.kill_daemon(signal.SIGTERM)
            wait_for("the page without pvgpud", lambda: "is pvgpud running there?" in e.get("/")[0])
            with self.assertRaises(urllib.error.HTTPError) as status:
                e.get("/statistics.json")
            self.assertEqual(status.exception.code, 503)
            status.exception.close()
            env.start()

    def test_refused(self):
        with Loaded() as env, Exporter(env) as e:
            for path, method, code in ("/none", "GET", 404), ("/../etc/passwd", "GET", 404), ("/metrics", "POST", 405), ("/", "DELETE", 405):
                with self.assertRaises(urllib.error.HTTPError, msg=path) as status:
                    e.get(path, method)
                self.assertEqual(status.exception.code, code)
                status.exception.close()
            self.assertEqual(e.get("/metrics", "HEAD")[0], "")


class Readers(unittest.TestCase):
    """Who may read: where tenants are users of the machine, its loopback is no boundary."""

    def status(self, e, path="/metrics"):
        try:
            return 200 if e.get(path) else 0
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code

    def test_local_vgpus(self):
        with Loaded() as env, Exporter(env, "--plain") as e:
            self.assertEqual([self.status(e, p) for p in ("/", "/metrics", "/statistics.json")], [403] * 3)
        with tempfile.TemporaryDirectory(prefix="pvgpu-") as folder, Loaded() as env:
            path = pathlib.Path(folder, "token")
            path.write_text("a-token-of-some-length\n")
            path.chmod(0o640)
            with Exporter(env, "--token-file", str(path), token="a-token-of-some-length") as e:
                self.assertEqual(e.metrics()["pvgpu_up"], 1)
                for wrong in "", "a-token-of-some-lengt", "a-token-of-some-length2", "b-token-of-some-length":
                    e.token = wrong
                    self.assertEqual([self.status(e, p) for p in ("/", "/metrics", "/none")], [401] * 3, wrong)
            for text, mode, why in ("a-token-of-some-length", 0o644, "other users can read"), ("short", 0o600, "shorter than 16"), ("", 0o600, "is empty"):
                path.write_text(text)
                path.chmod(mode)
                done = subprocess.run([program("pvgpu-exporter"), "--token-file", str(path)], capture_output=True, text=True, timeout=LIMIT, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn(why, done.stderr)

    def test_confidential(self):
        """Nothing of its vGPUs, and of the GPU what tells nothing of its use: also while it has none, and in the metrics that root's pvgpuctl writes."""
        for pool in "secret", "default":
            with self.subTest(pool=pool):
                config = "[pool default]\ndevice = 0\n[pool secret]\ndevice = 1\nmode = confidential\n"
                with Pools({"a": f"memory=64M,pool={pool}"}, config=config) as env, Exporter(env) as e:
                    self.hidden(env, e, pool == "default")

    def hidden(self, env, e, shows):
        def ctl(option):
            return subprocess.run([program("pvgpuctl", env.build), "stats", option, "--run-dir", env.run_dir], capture_output=True, text=True, timeout=LIMIT,
                                  check=True).stdout

        wait_for("the sensors", lambda: all(g["temperature"] is not None for g in json.loads(ctl("--json"))["gpus"]))
        wait_for("their snapshot", lambda: e.value("pvgpu_gpu_temperature_celsius", pool="default"))
        for text in e.get("/metrics")[0], ctl("--metrics"):
            lines = [line for line in text.splitlines() if not line.startswith("#")]
            secret = [line for line in lines if 'pool="secret"' in line]
            self.assertIn("1", [line.split()[-1] for line in secret if line.startswith("pvgpu_gpu_healthy{")])
            self.assertEqual([line for line in secret if re.match("pvgpu_vgpu_|pvgpu_gpu_.*(seconds|celsius|bytes|vgpus|sessions)", line)], [])
            self.assertEqual([line for line in lines if re.match("pvgpu_daemon_(vgpus|sessions|workers|workers_started_total) ", line)], [])
            self.assertEqual(any('vgpu="a"' in line for line in lines), shows)
        page, said = e.get("/")[0], json.loads(e.get("/statistics.json")[0])
        self.assertNotIn("vgpu a:", page)
        self.assertNotIn(str((1 << 64) - 1), page)
        self.assertEqual(faults(said, SCHEMA, SCHEMA), [])
        self.assertEqual([v["name"] for v in said["vgpus"]], ["a"] if shows else [])
        self.assertEqual([g["memory-free"] is None for g in said["gpus"]], [False, True])


class BadClients(unittest.TestCase):
    def test_clients_that_drip(self):
        """Clients that send a byte now and then keep no place for themselves."""
        with Loaded() as env, Exporter(env) as e:
            going, slow = threading.Event(), []
            for _ in range(64):
                s = socket.create_connection(("127.0.0.1", e.port))
                s.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
                slow.append(s)

            def drip():
                while not going.wait(0.5):
                    for s in slow:
                        with contextlib.suppress(OSError):
                            s.sendall(b"x")
            thread = threading.Thread(target=drip)
            thread.start()
            try:
                self.assertEqual(e.metrics()["pvgpu_up"], 1)
                wait_for("the end of each one's time", lambda: all(self.ended(s) for s in slow))
            finally:
                going.set()
                thread.join()
                for s in slow:
                    s.close()

    @staticmethod
    def ended(s):
        s.setblocking(False)
        try:
            return not s.recv(1)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def test_crowd(self):
        """A thousand connections that say nothing, slowly, garbage, or never read: the session goes on, and Prometheus is served after."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with Loaded({"a": "64M"}) as env, Exporter(env) as e:
            env.load("a")
            started = int(env.read("/daemon/workers-started"))
            says = (b"", b"GET /metr", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 50, bytes(range(256)) * 16, b"A" * 100000,
                    b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 10000)
            crowd = []
            for i in range(1000):
                s = socket.socket()
                s.setblocking(False)
                with contextlib.suppress(OSError):
                    s.connect(("127.0.0.1", e.port))
                crowd.append((s, says[i % len(says)]))
            for s, text in crowd:
                with contextlib.suppress(OSError):
                    s.send(text)
            launches = int(env.read("/vgpu/a/launches"))
            wait_for("work beside them", lambda: int(env.read("/vgpu/a/launches")) > launches + 200)
            self.assertIsNone(env.programs[0].poll())
            self.assertEqual(int(env.read("/daemon/workers-started")), started)
            self.assertLess(self.memory(e.process.pid), 64 << 20)
            for s, _ in crowd:
                s.close()
            wait_for("an honest client's turn", lambda: self.served(e))
            env.unload()

    def test_dies(self):
        with Loaded({"a": "64M"}) as env:
            with Exporter(env) as e:
                env.load("a")
                e.process.kill()
                e.process.wait()
                e.process.returncode = 0
            launches = int(env.read("/vgpu/a/launches"))
            wait_for("work without it", lambda: int(env.read("/vgpu/a/launches")) > launches + 100)
            env.unload()

    @staticmethod
    def memory(pid):
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) << 10

    @staticmethod
    def served(e):
        with contextlib.suppress(OSError):
            return e.metrics()["pvgpu_up"] == 1
        return False


class Usage(unittest.TestCase):
    def test_wrong(self):
        for args, status, message in ((("--listen", "here"), 1, "--listen here: "), (("--listen", "127.0.0.1:none"), 1, "say ADDRESS:PORT"),
                                      (("more",), 2, "Usage: pvgpu-exporter"), (("--once", "--run-dir", "/none"), 1, "/none/statistics.sock: ")):
            done = subprocess.run([program("pvgpu-exporter"), *args], capture_output=True, text=True, timeout=LIMIT, check=False)
            self.assertEqual(done.returncode, status, args)
            self.assertIn(message, done.stderr)


if __name__ == "__main__":
    unittest.main()
