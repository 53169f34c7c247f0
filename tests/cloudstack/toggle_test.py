#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pvgpu-cloudstack's toggle between a double of CloudStack's API and a double of XenAPI with the product's own plugin and pvgpuctl.

PVGPU_BUILD: the build folder with tests/pvgpuctl-fake."""
import http.client
import socket
import subprocess
import sys
import time
import unittest
import urllib.parse

from cloudstack import ApiError
from world import ALICE, PROJECT, TOP, World
from pvgpu_cloudstack import site
from pvgpu_cloudstack.failure import Failure, TIMED_OUT
from pvgpu_cloudstack.pools import Pools

T2, T4 = "pvgpu-2g tenant:" + ALICE, "pvgpu-4g tenant:" + ALICE


class Toggle(World):
    def test_life(self):
        v = self.vm()
        self.assertEqual(self.ask("status", v["id"])["toggle"], None)
        view = self.ask("enable", "web1", "--profile", "pvgpu-2g")
        self.assertEqual((view["toggle"], view["host"], view["pool"], view["agrees"]), (T2, "xcp1", "p1", True))
        self.assertEqual([(g["profile"], g["memory"] >> 30, g["connected"]) for g in view["vgpus"]], [("pvgpu-2g", 2, True)])
        self.assertEqual((self.toggle(v), self.other_config(v), self.live(v)), (T2, T2, [("pvgpu-2g", ALICE)]))
        self.ask("enable", "i-2-100-VM", "--profile", "pvgpu-4g")
        self.assertEqual((self.toggle(v), self.live(v)), (T4, [("pvgpu-4g", ALICE)]))
        self.ask("enable", v["id"], "--profile", "pvgpu-2g", "--count", 3)
        self.assertEqual((self.toggle(v), self.live(v)), ("pvgpu-2g count:3 tenant:" + ALICE, [("pvgpu-2g", ALICE)] * 3))
        self.ask("disable", "web1")
        self.assertEqual((self.toggle(v), self.other_config(v), self.live(v)), ("off", "off", []))
        self.assertEqual(self.ask("disable", "web1")["vgpus"], [])

    def test_stop_and_start_make_another_vm(self):
        v = self.vm(running=False)
        view = self.ask("enable", "web1", "--profile", "pvgpu-4g")
        self.assertEqual((view["state"], view["toggle"], view["vgpus"]), ("Stopped", T4, []))
        uuids = set()
        for _ in range(2):
            self.cloud.start(v, self.hosts[0], polls=0)
            self.assertEqual(self.other_config(v), T4)  # what pvgpu-attachd attaches by
            uuids.add(self.pool.of("i-2-100-VM")["uuid"])
            self.assertFalse(self.ask("status", "web1", status=1)["agrees"])
            self.assertTrue(self.ask("sync", "web1")["agrees"])
            self.assertEqual(self.live(v), [("pvgpu-4g", ALICE)])
            self.cloud.stop(v)
        self.assertEqual(len(uuids), 2)

    def test_projects_and_owners(self):
        v = self.vm(account="PrjAcct-x", projectid=PROJECT, project="x")
        self.ask("enable", "web1", "--profile", "pvgpu-2g")
        self.assertEqual(self.live(v), [("pvgpu-2g", PROJECT)])
        v.update(projectid="", account="alice")  # assignVirtualMachine
        self.ask("sync", "web1")
        self.assertEqual((self.toggle(v), self.live(v)), (T2, [("pvgpu-2g", ALICE)]))
        conf = self.write_conf("other.conf", toggle={"tenant": "none"})
        w = self.vm("web2", "i-2-101-VM", account="nobody-shows-it")
        self.ask("enable", "web2", "--profile", "pvgpu-2g", conf=conf)
        self.assertEqual((self.toggle(w), self.live(w)), ("pvgpu-2g", [("pvgpu-2g", "")]))

    def test_other_lines_stay(self):
        v = self.vm(details={"extraconfig-1": "PV-args=hvc0", "memory": "512", "extraconfig-2": "other_config:pvgpu=off", "extraconfig-3": "PV-args=x"})
        self.ask("enable", "web1", "--profile", "pvgpu-2g")
        self.assertEqual(v["details"], {"extraconfig-1": "PV-args=hvc0", "memory": "512", "extraconfig-2": "other_config:pvgpu=" + T2,
                                        "extraconfig-3": "PV-args=x"})
        w = self.vm("web2", "i-2-101-VM", details={"extraconfig-1": "PV-args=hvc0"})
        self.ask("enable", "web2", "--profile", "pvgpu-2g")
        self.assertEqual(w["details"], {"extraconfig-1": "PV-args=hvc0", "extraconfig-2": "other_config:pvgpu=" + T2})

    def test_next_start(self):
        v = self.vm()
        self.ask("enable", "web1", "--profile", "pvgpu-2g", "--next-start")
        self.assertEqual((self.toggle(v), self.other_config(v), self.live(v)), (T2, None, []))
        self.ask("sync", "web1")
        self.ask("disable", "web1", "--next-start")
        self.assertEqual((self.toggle(v), self.live(v)), ("off", [("pvgpu-2g", ALICE)]))

    def test_a_vm_that_is_starting(self):
        v = self.vm(running=False)
        job = self.cloud.start(v, self.hosts[0], polls=3)
        self.ask("enable", "web1", "--profile", "pvgpu-2g")
        self.assertEqual((job["jobstatus"], self.toggle(v), self.live(v)), (1, T2, [("pvgpu-2g", ALICE)]))
        w = self.vm("web2", "i-2-101-VM", running=False)
        self.cloud.start(w, self.hosts[0], polls=1, error="Insufficient capacity")
        self.assertEqual(self.ask("enable", "web2", "--profile", "pvgpu-2g")["state"], "Stopped")

    def test_a_vm_that_stays_starting(self):
        v = self.vm(running=False)
        self.cloud.start(v, self.hosts[0], polls=10 ** 9)
        conf = self.write_conf("short.conf", cloudstack={"job-timeout": "1"})
        self.refused(4, "has not ended within 1 s", "enable", "web1", "--profile", "pvgpu-2g", conf=conf)
        del v["jobid"], v["jobstatus"]
        self.refused(4, "is Starting for more than 1 s", "enable", "web1", "--profile", "pvgpu-2g", conf=conf)
        self.assertIsNone(self.toggle(v))

    def test_offerings(self):
        self.cloud.offerings.update(o2={"id": "o2", "name": "GPU-4G", "hosttags": "ssd,pvgpu-4g"}, o3={"id": "o3", "name": "GPU", "hosttags": "pvgpu-big"},
                                    o4={"id": "o4", "name": "GPU-two", "hosttags": "pvgpu-2g,pvgpu-4g"})
        conf = self.write_conf("follow.conf", toggle={"follow-offerings": "yes"})
        v = self.vm(serviceofferingid="o2", serviceofferingname="GPU-4G")
        self.assertIsNone(self.ask("sync", "web1")["toggle"])
        self.ask("sync", "web1", conf=conf)
        self.assertEqual((self.toggle(v), self.live(v)), (T4, [("pvgpu-4g", ALICE)]))
        self.refused(1, "its offering GPU-4G has the profile pvgpu-4g: change the offering, or set follow-offerings = no", "enable", "web1",
                     "--profile", "pvgpu-2g", conf=conf)
        self.ask("disable", "web1", conf=conf)
        self.ask("sync", "web1", conf=conf)
        self.assertEqual((self.toggle(v), self.live(v)), ("off", []))  # off counts more than the offering
        self.ask("enable", "web1", conf=conf)
        self.assertEqual(self.toggle(v), T4)
        big = self.vm("web2", "i-2-101-VM", running=False, serviceofferingid="o3")
        self.ask("sync", "web2", conf=conf)
        self.assertEqual(self.toggle(big), "big tenant:" + ALICE)  # a profile whose name lacks the prefix
        self.vm("web3", "i-2-102-VM", serviceofferingid="o4")
        self.refused(1, "has the host tags pvgpu-2g, pvgpu-4g: one of them", "sync", "web3", conf=conf)

    def test_an_offering_that_is_withdrawn(self):
        """It is offered to nobody any more, and still is that of its VMs."""
        self.cloud.offerings.update(o2={"id": "o2", "name": "GPU-4G", "hosttags": "pvgpu-4g"})
        conf = self.write_conf("follow.conf", toggle={"follow-offerings": "yes"})
        v = self.vm(serviceofferingid="o2", serviceofferingname="GPU-4G")
        later = self.vm("web2", "i-2-101-VM", running=False, serviceofferingid="o2", serviceofferingname="GPU-4G")
        self.ask("sync", "web1", conf=conf)
        self.cloud.offerings["o2"]["state"] = "Inactive"
        self.ask("sync", "--all", conf=conf, schema="sync-all")
        self.assertEqual((self.toggle(v), self.live(v)), (T4, [("pvgpu-4g", ALICE)]))
        self.assertEqual(self.toggle(later), T4)  # its first start is still to come
        self.ask("disable", "web1", conf=conf)
        self.ask("enable", "web1", conf=conf)
        self.assertEqual((self.toggle(v), self.live(v)), (T4, [("pvgpu-4g", ALICE)]))

    def test_an_offering_with_a_gpu_of_cloudstacks_own(self):
        """By xapi's VGPU objects; a toggle beside it is refused, and off says nothing: the VM keeps what its VGPU gave it."""
        for fields in ({"vgpuprofileid": "p1", "vgpuprofilename": "pvgpu-2g"}, {"vgpu": "pvgpu-2g"}):
            v = self.vm(serviceofferingname="GPU-2G", **fields)
            vm = self.pool.of(v["instancename"])
            self.pool.host_of(vm).call_plugin("pvgpu", "attach", {"vm-uuid": vm["uuid"], "profile": "pvgpu-2g"})  # as pvgpu-vgpu does
            self.refused(1, "its offering GPU-2G gives it the VGPU pvgpu-2g of xapi's own: with a toggle or a host tag of a profile beside that no toggle is written",
                         "enable", "web1", "--profile", "pvgpu-2g")
            self.assertIsNone(self.toggle(v))
            v["details"]["extraconfig-1"] = "other_config:pvgpu=" + T2
            self.refused(1, "its hosts refuse to start it; disable it, or choose another offering", "sync", "web1")
            self.ask("disable", "web1")
            self.ask("sync", "web1")
            self.ask("sync", "--all", schema="sync-all")
            view = self.ask("status", "web1")
            self.assertEqual((view["toggle"], view["agrees"], len(view["vgpus"]), self.live(v)), ("off", True, 1, [("pvgpu-2g", "")]))
            self.cloud.offerings["o1"]["hosttags"] = "pvgpu-4g"
            self.refused(1, "its hosts refuse to start it", "sync", "web1", conf=self.write_conf("follow.conf", toggle={"follow-offerings": "yes"}))
            del self.cloud.offerings["o1"]["hosttags"]
            self.cloud.stop(v)
            del self.cloud.vms[v["id"]]

    def test_sync_all(self):
        good, off, none = self.vm(), self.vm("web2", "i-2-101-VM", details={"extraconfig-1": "other_config:pvgpu=off"}), self.vm("web3", "i-2-102-VM")
        good["details"]["extraconfig-1"] = "other_config:pvgpu=" + T2
        bad = self.vm("web4", "i-2-103-VM", details={"extraconfig-1": "other_config:pvgpu=none-such tenant:" + ALICE})
        self.cloud.add_vm("kvm1", "i-2-104-VM", hypervisor="KVM", state="Running")
        self.cloud.most_page = 2
        found = self.ask("sync", "--all", status=3, schema="sync-all")
        self.assertEqual({e["name"]: e["fault"] for e in found if not e["fault"]}, {"web1": "", "web2": ""})
        self.assertIn("profile 'none-such'", next(e["fault"] for e in found if e["vm"] == bad["id"]))
        self.assertEqual((self.live(good), self.live(off), self.live(none)), ([("pvgpu-2g", ALICE)], [], []))
        del self.cloud.vms[bad["id"]]
        n, m = len(self.cloud.calls), len(self.pool.calls)
        self.ask("sync", "--all", schema="sync-all")  # nothing to do: a question to each host, none about single VMs
        self.assertEqual([p for c, p in self.cloud.calls[n:] if "id" in p], [])
        self.assertEqual([p[3] if len(p) > 3 else c for c, p in self.pool.calls[m:] if c.startswith(("VM.", "host.call"))], ["list"])

    def test_pools_that_do_not_answer_and_slaves(self):
        v = self.vm()
        login = self.conf["pool p1"]["login"]
        conf = self.write_conf("two.conf", pool_p0={"url": "http://127.0.0.1:9", "login": login},
                               pool_p1={"url": "http://127.0.0.1:9, " + self.pool.url})
        self.pool.serve(address=("127.0.0.2", int(self.pool.url.rpartition(":")[2])))
        self.pool.refuse["session.login_with_password"] = [("HOST_IS_SLAVE", "127.0.0.2")]
        self.ask("enable", "web1", "--profile", "pvgpu-2g", conf=conf)
        self.assertEqual(self.live(v), [("pvgpu-2g", ALICE)])
        self.refused(3, "pool p1: 127.0.0.1:9: Connection refused", "status", "web1", conf=self.write_conf("none.conf", pool_p1={"url": "http://127.0.0.1:9"}))
        self.assertEqual(self.pool.sessions, set())

    def test_a_master_is_called_as_the_configuration_allows(self):
        self.vm()
        asked = []
        plain, http.client.HTTPConnection.connect = http.client.HTTPConnection.connect, lambda link: asked.append(link.host) or plain(link)
        self.addCleanup(setattr, http.client.HTTPConnection, "connect", plain)
        for master in ("192.0.2.7", "me@localhost", "2001:db8::7"):
            self.pool.refuse["session.login_with_password"] = [("HOST_IS_SLAVE", master)]
            pools = Pools(site.Site(str(self.folder / "cloudstack.conf")))
            with self.assertRaises(Failure) as e:
                pools.all[0].connect()
            self.assertIn("names the pool's master %s: its URL http://" % master, e.exception.text)
        self.assertEqual(set(asked), {"127.0.0.1"})

    def test_attachd_does_the_same_at_the_same_time(self):
        v = self.vm()

        def attach(vm):
            value = vm["other_config"]["pvgpu"]
            if value != "off":
                self.pool.host_of(vm).call_plugin("pvgpu", "attach", {"vm-uuid": vm["uuid"], "profile": value.split()[0], "tenant": ALICE, "id": "0"})
        self.pool.attachd = attach
        self.ask("enable", "web1", "--profile", "pvgpu-2g")
        self.assertEqual(self.live(v), [("pvgpu-2g", ALICE)])
        self.ask("disable", "web1")
        # Between the tool's look and its own attach:
        self.pool.attachd = None
        plain = self.pool.host_call_plugin

        def late(ref, plugin, fn, args):
            if fn == "attach":
                self.pool.host_call_plugin = plain
                attach(self.pool.of("i-2-100-VM"))
            return plain(ref, plugin, fn, args)
        self.pool.host_call_plugin = late
        self.ask("enable", "web1", "--profile", "pvgpu-2g")
        self.assertEqual(self.live(v), [("pvgpu-2g", ALICE)])

    def test_it_is_a_program(self):
        v = self.vm()
        tool = str(TOP / "xen-pvgpu-back" / "cloudstack" / "pvgpu-cloudstack")
        done = subprocess.run([sys.executable, tool, "--config", str(self.folder / "cloudstack.conf"), "enable", "web1", "--profile", "pvgpu-2g"],
                              capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, "web1 (i-2-100-VM) is Running on xcp1 (pool p1)\n  toggle: %s\n  vGPU 0: pvgpu-2g, 2048 MiB, connected\n" % T2)
        for words, status in ((["--help"], 0), (["enable", "--help"], 0), (["--version"], 0), ([], 2), (["dance"], 2), (["enable", "x", "--count", "17"], 2)):
            self.assertEqual(subprocess.run([sys.executable, tool] + words, capture_output=True).returncode, status, words)
        self.assertEqual(self.toggle(v), T2)


class Masters(World):
    """A process that stays, when the pool's master becomes another."""

    def setUp(self):
        super().setUp()
        port, links = self.pool.serve(), []
        server = self.pool.servers[-1]
        plain, server.process_request = server.process_request, lambda link, client: links.append(link) or plain(link, client)
        self.first, self.server, self.links = ("127.0.0.1", port), server, links
        conf = self.write_conf("two.conf", pool_p1={"url": "http://127.0.0.1:%d, %s" % (port, self.pool.url), "timeout": "1"})
        pools = Pools(site.Site(conf))
        self.addCleanup(pools.close)
        self.caller, = pools.all

    def end_first(self):
        self.server.shutdown()
        self.server.server_close()
        for link in self.links:
            link.shutdown(socket.SHUT_RDWR)

    def test_one_that_refuses_connections(self):
        self.caller.hosts()
        self.end_first()
        self.assertEqual(len(self.caller.hosts()), 1)

    def test_one_that_does_not_answer(self):
        self.caller.hosts()
        self.end_first()
        with socket.create_server(self.first):
            with self.assertRaises(Failure) as e:
                self.caller.hosts()
            self.assertEqual((e.exception.status, e.exception.code), (TIMED_OUT, ""))
            self.assertEqual(len(self.caller.hosts()), 1)

    def test_a_wait_for_a_guest_is_of_its_call_alone(self):
        """It holds after another login, too, and does not hold for later calls."""
        host, = self.caller.hosts()
        self.pool.host_call_plugin = lambda *_: time.sleep(1.5) or "[]"
        self.pool.refuse["host.call_plugin"] = [("SESSION_INVALID", "session")]
        self.assertEqual(self.caller.plugin(host, "attach", timeout=1), [])
        self.pool.refuse["host.call_plugin"] = [("HOST_OFFLINE", host)]
        with self.assertRaises(Failure):
            self.caller.plugin(host, "attach", timeout=1)
        self.assertEqual(self.caller.transport.made[2], 1)


class Both(World):
    """Both parts or neither."""

    def neither(self, v, status, text, *more, toggle=None, live=(), **how):
        said = self.refused(status, text, "enable", "web1", "--profile", "pvgpu-2g", *more, **how)
        self.assertEqual((self.toggle(v) or "off", self.live(v)), (toggle or "off", list(live)))
        return said

    def test_no_room(self):
        self.vm("other", "i-2-109-VM")
        self.ask("enable", "other", "--profile", "pvgpu-4g", "--count", 2)
        v = self.vm()
        said = self.neither(v, 1, "2048 MiB wanted, but only 0 MiB")
        self.assertIn("VM web1 (i-2-100-VM), which had no toggle, has the toggle off: CloudStack cannot take a line away", said)
        self.assertIsNone(self.other_config(v))
        for before in "off", "a b c":  # the second is none that a toggle can have
            v["details"]["extraconfig-1"] = "other_config:pvgpu=" + before
            self.assertIn("nothing is changed: the toggle of VM web1 (i-2-100-VM) is " + before, self.neither(v, 1, "2048 MiB wanted", toggle=before))

    def following(self):
        """A VM without a line whose offering gives it a vGPU, and the configuration that follows it."""
        self.cloud.offerings.update(o2={"id": "o2", "name": "GPU-4G", "hosttags": "pvgpu-4g"})
        return self.vm(serviceofferingid="o2", serviceofferingname="GPU-4G"), self.write_conf("follow.conf", toggle={"follow-offerings": "yes"})

    def test_what_an_offering_gives_is_tried_again(self):
        """CloudStack cannot take a line away, and off would count more than the offering."""
        self.vm("other", "i-2-109-VM")
        self.ask("enable", "other", "--profile", "pvgpu-4g", "--count", 2)
        v, conf = self.following()
        said = self.refused(1, "4096 MiB wanted, but only 0 MiB", "enable", "web1", conf=conf)
        self.assertIn("VM web1 (i-2-100-VM), which had no toggle, has that of its offering: %s" % T4, said)
        self.assertEqual((self.toggle(v), self.other_config(v), self.live(v)), (T4, None, []))
        self.ask("disable", "other")
        self.ask("sync", "web1", conf=conf)
        self.assertEqual((self.toggle(v), self.live(v)), (T4, [("pvgpu-4g", ALICE)]))

    def test_a_disable_that_fails_leaves_what_an_offering_gives(self):
        v, conf = self.following()
        vm = self.pool.of(v["instancename"])
        self.pool.host_of(vm).call_plugin("pvgpu", "attach", {"vm-uuid": vm["uuid"], "profile": "pvgpu-4g", "tenant": ALICE})
        self.pool.refuse["detach"] = [("PVGPU_REFUSED", "not now")]
        self.refused(1, "not now; VM web1 (i-2-100-VM), which had no toggle, has that of its offering: %s" % T4, "disable", "web1", conf=conf)
        self.assertEqual((self.toggle(v), self.live(v)), (T4, [("pvgpu-4g", ALICE)]))

    def test_a_line_that_is_written_with_an_error(self):
        v, conf = self.following()
        plain = self.cloud.updateVirtualMachine

        def fails(p):
            self.cloud.updateVirtualMachine = plain
            plain(p)
            raise ApiError(530, "busy")
        self.cloud.updateVirtualMachine = fails
        self.refused(1, "busy", "sync", "web1", conf=conf)
        self.assertEqual(self.toggle(v), T4)
        self.ask("sync", "web1", conf=conf)
        self.assertEqual(self.live(v), [("pvgpu-4g", ALICE)])

    def test_the_second_of_two_does_not_fit(self):
        v = self.vm()
        self.ask("enable", "web1", "--profile", "pvgpu-4g")
        self.refused(1, "MiB wanted, but only", "enable", "web1", "--profile", "pvgpu-4g", "--count", 3)
        self.assertEqual((self.toggle(v), self.other_config(v), self.live(v)), (T4, T4, [("pvgpu-4g", ALICE)]))
        self.refused(1, "has 4096 MiB, 61440 more are wanted, but only 4096 MiB are free", "enable", "web1", "--profile", "big")
        self.assertEqual((self.toggle(v), self.other_config(v), self.live(v)), (T4, T4, [("pvgpu-4g", ALICE)]))

    def test_faults_of_the_host(self):
        v = self.vm()
        for order, status, text in ((("XENAPI_MISSING_PLUGIN", "pvgpu"), 3, "XENAPI_MISSING_PLUGIN: pvgpu; install pvgpu's tools on this host"),
                                    (("RBAC_PERMISSION_DENIED", "host.call_plugin"), 1, "plugins need a user of role pool-admin"),
                                    (("PVGPU_NOT_INSTALLED", "/usr/bin/pvgpuctl: none"), 3, "/usr/bin/pvgpuctl: none")):
            for fn in ("list", "attach"):
                self.pool.refuse[fn] = [order]
                self.neither(v, status, text)
        self.pool.named("xcp1").down = True
        self.refused(1, "HOST_OFFLINE", "enable", "web1", "--profile", "pvgpu-2g")
        self.pool.named("xcp1").down = False
        self.assertEqual((self.toggle(v), self.live(v)), ("off", []))
        self.pool.destroy("i-2-100-VM")
        self.refused(3, "CloudStack says that it is Running, and no pool (p1) has a running VM of that name-label", "enable", "web1",
                     "--profile", "pvgpu-2g")
        self.assertEqual(self.toggle(v), "off")

    def test_cloudstack_refuses(self):
        v = self.vm()
        self.cloud.settings["enable.additional.vm.configuration"] = "false"
        self.neither(v, 1, "set enable.additional.vm.configuration = true for the VM's account")
        self.cloud.settings["enable.additional.vm.configuration"] = "true"
        self.cloud.settings["allow.additional.vm.configuration.list.xenserver"] = "PV-args"
        self.neither(v, 1, "add other_config:pvgpu to allow.additional.vm.configuration.list.xenserver")
        self.cloud.settings["allow.additional.vm.configuration.list.xenserver"] = "other_config:pvgpu"
        v["details"] = {"extraconfig-1": "other_config:pvgpu=off", "extraconfig-2": "PV-args=hvc0"}
        # CloudStack writes the first line and stops at the second: it is taken back.
        self.neither(v, 1, "Extra config PV-args=hvc0 is not on the list")
        self.assertEqual(v["details"], {"extraconfig-1": "other_config:pvgpu=off", "extraconfig-2": "PV-args=hvc0"})

    def test_the_way_back_fails(self):
        v = self.vm()
        self.pool.refuse["attach"] = [("PVGPU_REFUSED", "no room")]
        self.cloud.updateVirtualMachine, plain = self.second_fails(), self.cloud.updateVirtualMachine
        self.refused(1, "no room; taking the toggle %s back failed: CloudStack refused updateVirtualMachine: busy (530); `pvgpu-cloudstack sync %s`"
                     % (T2, v["id"]), "enable", "web1", "--profile", "pvgpu-2g")
        self.cloud.updateVirtualMachine = plain
        self.ask("sync", "web1")
        self.assertEqual((self.toggle(v), self.live(v)), (T2, [("pvgpu-2g", ALICE)]))

    def second_fails(self):
        plain, n = self.cloud.updateVirtualMachine, []

        def call(p):
            n.append(1)
            if len(n) > 1:
                raise ApiError(530, "busy")
            return plain(p)
        return call

    def test_a_guest_that_does_not_answer(self):
        v = self.vm()
        self.pool.named("xcp1").asleep.touch()
        done = self.run_tool("enable", "web1", "--profile", "pvgpu-2g", "--wait", 0)
        self.assertEqual(done.status, 4)
        self.assertIn("the toggle is %s and acts, but the guest lags: " % T2, done.err)
        self.assertEqual((self.toggle(v), self.live(v)), (T2, [("pvgpu-2g", ALICE)]))
        done = self.run_tool("disable", "web1", "--wait", 0)
        self.assertEqual((done.status, self.toggle(v), self.live(v)), (4, "off", []))

    def test_time_outs_of_cloudstack(self):
        v = self.vm()
        conf = self.write_conf("short.conf", cloudstack={"timeout": "1"})
        self.cloud.silent["updateVirtualMachine"] = 1  # done, and not answered
        self.ask("enable", "web1", "--profile", "pvgpu-2g", conf=conf)
        self.assertEqual((self.toggle(v), self.live(v)), (T2, [("pvgpu-2g", ALICE)]))
        self.cloud.silent["listVirtualMachines"] = 1
        self.refused(4, "CloudStack did not answer listVirtualMachines within 1 s", "disable", "web1", conf=conf)

    def test_requests_that_are_too_many(self):
        self.vm()
        self.cloud.refuse["listVirtualMachines"] = [ApiError(429, "API limit exceeded")]
        self.ask("status", "web1")


class Refusals(World):
    def test_cloudstack(self):
        v = self.vm()
        for words, status, text in (
                (("status", "none"), 3, "VM 'none': CloudStack shows none of this name"),
                (("status", PROJECT), 3, "CloudStack has none with this id"),
                (("enable", "web1"), 2, "which profile? Give --profile NAME, or profile in [toggle]"),
                (("enable", "web1", "--profile", "off"), 2, "profile 'off' with --count 1: is none"),
                (("enable", "web1", "--profile", "a=b"), 2, "profile 'a=b' with --count 1: is none"),
                (("enable", "web1", "--profile", "pvgpu-9g"), 3, "profile 'pvgpu-9g': "),
                (("sync",), 2, "give a VM, or --all"), (("sync", "web1", "--all"), 2, "give a VM, or --all")):
            with self.subTest(words=words):
                self.refused(status, text, *words)
        self.assertEqual((self.toggle(v) or "off", self.live(v)), ("off", []))
        self.vm("web1", "i-2-101-VM")
        self.refused(2, "VM 'web1': there are 2 of this name: ", "status", "web1")
        self.vm("gone", "i-2-102-VM", running=False, state="Destroyed")
        self.refused(1, "is Destroyed: it cannot get a vGPU", "enable", "gone", "--profile", "pvgpu-2g")
        self.cloud.add_vm("kvm1", "i-2-103-VM", hypervisor="KVM", state="Running")
        self.refused(1, "is on KVM; pvgpu serves VMs of XenServer clusters", "enable", "kvm1", "--profile", "pvgpu-2g")
        stopped = self.vm("stopped", "i-2-104-VM", running=False)
        self.refused(3, "profile 'pvgpu-9g': no host knows it; there are big, pvgpu-2g, pvgpu-4g", "enable", "stopped", "--profile", "pvgpu-9g")
        self.assertIsNone(self.toggle(stopped))

    def test_lines_that_cannot_be_kept(self):
        v = self.vm(details={"extraconfig-1": "other_config:pvgpu=off", "extraconfig-3": "PV-args=x"})
        self.refused(1, "its details are extraconfig-1, -3, not -1 to -2", "enable", "web1", "--profile", "pvgpu-2g")
        v["details"] = {"extraconfig-1": "other_config:pvgpu=off", "extraconfig-2": "other_config:pvgpu=off"}
        self.refused(1, "has 2 lines other_config:pvgpu: leave one", "enable", "web1", "--profile", "pvgpu-2g")
        v["details"] = {"extraconfig-1": "PV-args=/a"}
        self.refused(1, "its line 'PV-args=/a' cannot be written again", "enable", "web1", "--profile", "pvgpu-2g")
        v["details"] = {"extraconfig-1": "other_config:pvgpu=a b c"}
        self.refused(1, "other_config:pvgpu=a b c is neither `off` nor", "status", "web1")
        self.ask("disable", "web1")
        self.assertEqual(self.toggle(v), "off")

    def test_keys_and_roles(self):
        self.vm()
        bad = self.secret("bad", "api-key = the-api-key\nsecret-key = another\n")
        self.refused(1, "unable to verify user credentials and/or request signature (401); see the key file", "status", "web1",
                     conf=self.write_conf("bad.conf", cloudstack={"keys": bad}))
        self.cloud.rules = {"listVirtualMachines"}
        self.refused(1, "CloudStack refused updateVirtualMachine: The given command", "disable", "web1")
        self.cloud.rules, self.cloud.admin = None, False
        self.refused(1, "does not tell its instance name: the key of ", "status", "web1")
        self.cloud.admin = True
        self.pool.password = "another"
        self.refused(1, "SESSION_AUTHENTICATION_FAILED: its parameters; see the login file", "status", "web1")

    def test_the_least_role_is_enough(self):
        v = self.vm()
        self.cloud.rules = {"listVirtualMachines", "updateVirtualMachine", "queryAsyncJobResult", "listAccounts"}
        self.ask("enable", "web1", "--profile", "pvgpu-2g")
        self.ask("disable", "web1")
        text = (TOP / "docs" / "operators" / "cloudstack.md").read_text()
        for command in {c for c, _ in self.cloud.calls}:
            self.assertIn(command, text)
        self.assertEqual(self.toggle(v), "off")

    def test_signatures(self):
        """Values that Java's URLEncoder writes in its own way; GET, expiry and other secrets are not taken by the double."""
        self.vm("a b~c*d+e&f=g%h\u00e4", "i-2-100-VM")
        self.assertEqual(self.ask("status", "a b~c*d+e&f=g%h\u00e4")["instance"], "i-2-100-VM")
        from pvgpu_cloudstack import api
        p = {"command": "listHosts", "apiKey": "the-api-key", "signatureVersion": "3", "expires": "2026-01-01T00:00:00+0000"}
        for change in ({}, {"expires": "2099-01-01T00:00:00+0000"}, {"signatureVersion": "2"}, {"apiKey": "x"}):
            q = dict(p, **change)
            q["signature"] = api.signature(q, "a~secret*key/+")
            self.assertEqual(self.cloud.request("POST", q)[0], 401, change)
        self.assertEqual(self.cloud.request("GET", dict(p))[0], 401)

    def test_what_is_sent(self):
        self.vm()
        self.ask("enable", "web1", "--profile", "pvgpu-2g", "--count", 2)
        sent = [p["extraconfig"] for c, p in self.cloud.calls if c == "updateVirtualMachine"]
        self.assertEqual(sent, [urllib.parse.quote("other_config:pvgpu=pvgpu-2g count:2 tenant:" + ALICE, safe="")])


if __name__ == "__main__":
    unittest.main(warnings="ignore")
