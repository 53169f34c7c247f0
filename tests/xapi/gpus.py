# SPDX-License-Identifier: MIT
"""The double's GPUs: PCI, PGPU, GPU_group, VGPU_type and VGPU objects of xapi, and who gets a place on a GPU.

Each rule names its source below ocaml/ of xen-api, read at e2ee48d6. This reads vgpuConfig.xml and pci.ids by itself and knows nothing of pvgpu's programs, so that a
fault of theirs is seen. Of GPUs there are NVIDIA's alone, and of types `passthrough` and those of the file.
"""
import os
import re
import uuid as uuids
import xml.etree.ElementTree as tree

from xapi import ApiError

NULL = "OpaqueRef:NULL"
PGPU_SIZE = 1024 * 1024       # xapi-consts/constants.ml: pgpu_default_size
FIRST_SLOT = 11               # xapi/xapi_globs.ml: nvidia_vgpu_first_slot_in_guest
DEVICES = range(21)           # xapi/xapi_vgpu.ml: all_valid_devices
VENDOR = 0x10de
INTERNAL = {"vgpu_type": ("size", "internal_config", "compatible_types_on_pgpu")}  # idl/datamodel.ml: internal_only
# idl/datamodel.ml's names of classes, as calls have them.
CLASSES = ("pci", "pgpu", "gpu_group", "vgpu_type", "vgpu")


def ref():
    return "OpaqueRef:" + str(uuids.uuid4())


def number(text):
    """OCaml's int_of_string, as far as the file uses it."""
    return int(text.replace("_", ""), 0)


def hexadecimal(path):
    with open(path) as f:
        return int(f.read(), 16)


# ---- what libpci finds in pci.ids

def pci_names(path):
    """{(vendor,): name, (vendor, device): name, (vendor, device, subvendor, subdevice): name}; a second line of one entry is an error of libpci's
    (names-parse.c), which ends the program."""
    out, vendor, device = {}, None, None
    with open(path, encoding="utf-8", errors="surrogateescape") as f:
        for n, line in enumerate(f, 1):
            if line[0] == "#" or not line.strip():
                continue
            depth = len(line) - len(line.lstrip("\t"))
            words = line.strip("\t\n").split(None, 2 if depth == 2 else 1)
            if depth == 0:
                vendor = int(words[0], 16) if re.match(r"[0-9a-f]{4}\Z", words[0]) else None
                key = (vendor,)
            elif depth == 1:
                device = int(words[0], 16)
                key = (vendor, device)
            else:
                key = (vendor, device, int(words[0], 16), int(words[1], 16))
            if vendor is None:
                continue
            if key in out:
                raise ValueError("%s:%d: Duplicate entry" % (path, n))
            out[key] = words[-1].strip()
    return out


# ---- types of vgpuConfig.xml: xapi/xapi_vgpu_type.ml, Vendor_nvidia

def first(element, name):
    found = next((e for e in element.iter(name) if e is not element), None)
    if found is None:
        raise ValueError("find_one_by_name(%s): not found" % name)
    return found


def data(element):
    if len(element) or not (element.text or "").strip():
        raise ValueError("get_data: no data node")
    return element.text.strip()


def supported(root, device, subsystem):
    """find_supported_vgpu_types: {type id: (max, subsystem or None, sriov)}"""
    out = {}
    for gpu in root.iter("pgpu"):
        where = first(gpu, "devId")
        d, s = number(where.attrib["deviceId"]), number(where.attrib["subsystemId"])
        if d == device and s in (0, subsystem):
            for v in gpu.iter("supportedVgpu"):
                out.setdefault(v.attrib["vgpuId"], (number(data(first(v, "maxVgpus"))), s or None, gpu.attrib.get("hostVgpuMode") == "sriov"))
    return out


def read_whitelist(path, device, subsystem):
    """read_whitelist: a fault anywhere that is met leaves no type at all."""
    try:
        root = tree.parse(path).getroot()
        known, out = supported(root, device, subsystem), []
        for v in root.iter("vgpuType"):
            if v.attrib["id"] not in known:
                continue
            most, psub, sriov = known[v.attrib["id"]]
            where, display = first(v, "devId"), first(v, "display")
            data(first(v, "multiVgpuSupported")), v.attrib["name"]
            vdev, vsub = number(where.attrib["deviceId"]), number(where.attrib["subsystemId"])
            out.append({"identifier": "0001:nvidia,%04x,%s,%04x,%04x" % (device, "" if psub is None else "%04x" % psub, vdev, vsub),
                        "names": (VENDOR, vdev, VENDOR, vsub), "framebuffer_size": number(data(first(v, "framebuffer"))),
                        "max_heads": number(data(first(v, "numHeads"))), "max_resolution_x": number(display.attrib["width"]),
                        "max_resolution_y": number(display.attrib["height"]), "most": most, "implementation": "nvidia_sriov" if sriov else "nvidia",
                        "internal_config": {"type_id": v.attrib["id"], "vclass": v.attrib["class"]}})
        return out
    except (OSError, ValueError, KeyError, tree.ParseError):
        return []


PASSTHROUGH = {"vendor_name": "", "model_name": "passthrough", "identifier": "0001:passthrough", "framebuffer_size": 0, "max_heads": 0,
               "max_resolution_x": 0, "max_resolution_y": 0, "size": 0, "implementation": "passthrough", "internal_config": {}}


def make_types(path, names, device, subsystem):
    """Vendor.find_or_create_supported_types, with pt_when_vgpu; size: vgpu_type_of_conf."""
    out = [dict(PASSTHROUGH)]
    for conf in read_whitelist(path, device, subsystem):
        size, model = PGPU_SIZE // conf.pop("most"), names.get(conf.pop("names"), "")
        out.append(dict(conf, vendor_name=names.get((VENDOR,), ""), model_name=model, size=size))
    return out


class Objects:
    """The pool's objects of these classes, by class and reference. A part of double.Pool."""

    def init_gpus(self):
        self.objects = {c: {} for c in CLASSES}

    def object(self, kind, reference):
        if reference not in self.objects[kind]:
            raise ApiError("HANDLE_INVALID", kind, reference)
        return self.objects[kind][reference]

    def add_object(self, kind, **fields):
        reference = ref()
        with self.changed:
            self.objects[kind][reference] = {"uuid": str(uuids.uuid4()), "other_config": {}, **fields}
            self.touch(reference, "add", kind)
        return reference

    def set_object(self, kind, reference, **fields):
        o = self.object(kind, reference)
        if any(o.get(k) != v for k, v in fields.items()):
            o.update(fields)
            self.touch(reference, kind=kind)

    def drop_object(self, kind, reference):
        del self.objects[kind][reference]
        self.touch(reference, "del", kind)

    def public(self, kind, reference):
        """As a client sees it, with the fields that follow from other objects."""
        out = {k: v for k, v in self.object(kind, reference).items() if k not in INTERNAL.get(kind, ())}

        def whose(of, field):
            return [r for r, o in self.objects[of].items() if o[field] == reference or isinstance(o[field], list) and reference in o[field]]
        if kind == "vgpu_type":
            out.update(VGPUs=whose("vgpu", "type"), supported_on_PGPUs=whose("pgpu", "supported_VGPU_types"),
                       enabled_on_PGPUs=whose("pgpu", "enabled_VGPU_types"), supported_on_GPU_groups=whose("gpu_group", "supported_VGPU_types"),
                       enabled_on_GPU_groups=whose("gpu_group", "enabled_VGPU_types"))
        elif kind == "gpu_group":
            out.update(PGPUs=whose("pgpu", "GPU_group"), VGPUs=whose("vgpu", "GPU_group"))
        elif kind == "pgpu":
            out.update(resident_VGPUs=whose("vgpu", "resident_on"))
        return {k: str(v) if isinstance(v, int) and not isinstance(v, bool) else v for k, v in out.items()}  # XML-RPC's integers are texts

    def object_call(self, kind, name, params):
        """get_all, get_all_records, get_record, get_by_uuid and get_FIELD; None: there is no such call."""
        if name in ("get_all", "get_all_records"):
            found = {r: self.public(kind, r) for r in self.objects[kind]}
            return found if name == "get_all_records" else list(found)
        if name in ("get_by_uuid", "get_by_name_label"):
            found = [r for r, o in self.objects[kind].items() if o.get(name[len("get_by_"):]) == params[0]]
            if name == "get_by_uuid" and not found:
                raise ApiError("UUID_INVALID", kind, params[0])
            return found[0] if name == "get_by_uuid" else found
        if name == "get_record":
            return self.public(kind, *params)
        field = name[4:] if name.startswith("get_") else ""
        record = self.public(kind, params[0]) if field and params else {}
        return record.get(field)


class Gpus(Objects):
    # ---- what a host has: xapi/xapi_pci.ml and xapi_pgpu.ml, update_pcis and update_gpus, when xapi starts

    def update_gpus(self, host):
        if not os.path.isdir(host.pci_devices):
            return
        names = pci_names(host.pci_ids)
        with self.changed:
            pcis = [self.pci_of(host, address, names) for address in sorted(os.listdir(host.pci_devices))]
            pgpus = [self.pgpu_of(host, p, names) for p in pcis if p]
            for r, o in list(self.objects["pgpu"].items()):
                if o["host"] == host.ref and r not in pgpus:
                    self.drop_object("pgpu", r)
            for g in self.objects["gpu_group"]:
                self.update_group(g)

    def pci_of(self, host, address, names):
        """A display device that is no virtual function, of NVIDIA's; else None."""
        place = os.path.join(host.pci_devices, address)
        vendor, kind, device, subsystem = (hexadecimal(os.path.join(place, n)) for n in ("vendor", "class", "device", "subsystem_device"))
        if kind >> 16 != 3 or vendor != VENDOR or os.path.islink(os.path.join(place, "physfn")):
            return None
        fields = {"pci_id": address, "host": host.ref, "vendor_id": "%04x" % vendor, "vendor_name": names.get((vendor,), ""), "device_id": "%04x" % device,
                  "device_name": names.get((vendor, device), ""), "class_id": "%04x" % (kind >> 8), "subsystem_device_id": "%04x" % subsystem,
                  "driver_name": host.driver_of(address)}
        for r, o in self.objects["pci"].items():
            if (o["host"], o["pci_id"], o["device_id"]) == (host.ref, address, fields["device_id"]):
                self.set_object("pci", r, **fields)
                return r
        return self.add_object("pci", attached_VMs=[], **fields)

    def pgpu_of(self, host, pci, names):
        p = self.object("pci", pci)
        types = [self.type_of(t) for t in make_types(host.whitelist, names, int(p["device_id"], 16), int(p["subsystem_device_id"], 16))]
        capacities = {t: str(self.most_of(t)) for t in types}
        for r, o in self.objects["pgpu"].items():
            if o["PCI"] == pci:
                enabled = [t for t in o["enabled_VGPU_types"] if t in types] + [t for t in types if t not in o["supported_VGPU_types"]]
                self.set_object("pgpu", r, supported_VGPU_types=types, enabled_VGPU_types=enabled, supported_VGPU_max_capacities=capacities)
                return r
        return self.add_object("pgpu", PCI=pci, host=host.ref, GPU_group=self.group_of(p), size=PGPU_SIZE, supported_VGPU_types=types,
                               enabled_VGPU_types=types, supported_VGPU_max_capacities=capacities, compatibility_metadata={}, dom0_access="enabled",
                               is_system_display_device=False)

    def group_of(self, pci):
        """xapi/xapi_gpu_group.ml, find_or_create: one for each device id."""
        kind = pci["vendor_id"] + "/" + pci["device_id"]
        for r, o in self.objects["gpu_group"].items():
            if o["GPU_types"] == [kind]:
                return r
        return self.add_object("gpu_group", name_label="Group of %s %s GPUs" % (pci["vendor_name"], pci["device_name"]), name_description="",
                               GPU_types=[kind], allocation_algorithm="depth_first", supported_VGPU_types=[], enabled_VGPU_types=[])

    def update_group(self, group):
        of = [o for o in self.objects["pgpu"].values() if o["GPU_group"] == group]
        self.set_object("gpu_group", group, **{f: sorted({t for o in of for t in o[f]}) for f in ("supported_VGPU_types", "enabled_VGPU_types")})

    def type_of(self, wanted):
        """xapi/xapi_vgpu_type.ml, find_or_create: by the identifier, else by both names, which takes another type's place."""
        types = self.objects["vgpu_type"]
        found = [r for r, t in types.items() if t["identifier"] == wanted["identifier"]] or \
            [r for r, t in types.items() if (t["vendor_name"], t["model_name"]) == (wanted["vendor_name"], wanted["model_name"])]
        if len(found) > 1:
            raise RuntimeError("Error: Multiple vGPU types exist with the same configuration.")
        r = found[0] if found else self.add_object("vgpu_type", experimental=False, compatible_types_in_vm=[], compatible_types_on_pgpu=[], **wanted)
        # Of NVIDIA's types each goes with itself on a GPU (extract_conf), and no two in a VM without its driver.
        self.set_object("vgpu_type", r, compatible_types_on_pgpu=[r] if wanted["implementation"] != "passthrough" else [], **wanted)
        return r

    # ---- places: xapi/xapi_pgpu_helpers.ml

    def most_of(self, kind):
        size = self.object("vgpu_type", kind)["size"]
        return PGPU_SIZE // size if size else 1

    def allocated(self, pgpu):
        return [o for o in self.objects["vgpu"].values() if pgpu in (o["resident_on"], o["scheduled_to_be_resident_on"])]

    def remaining(self, pgpu, kind, beside=()):
        """get_remaining_capacity; beside: types of VGPUs that are to come there, too."""
        g, t = self.object("pgpu", pgpu), self.object("vgpu_type", kind)
        types = [self.object("vgpu_type", o["type"]) for o in self.allocated(pgpu)]
        if kind not in g["supported_VGPU_types"] or kind not in g["enabled_VGPU_types"] or any(kind not in x["compatible_types_on_pgpu"] for x in types):
            return 0
        if not t["size"]:
            return 0 if types or beside or self.object("pci", g["PCI"])["attached_VMs"] else 1
        used = sum(x["size"] for x in types) + sum(self.object("vgpu_type", b)["size"] for b in beside)
        return max(0, (PGPU_SIZE - used) // t["size"])

    def place(self, reference, host, dry=False):
        """xapi/vgpuops.ml, create_vgpus and allocate_vgpu_to_gpu: on the master, under its lock."""
        vm, taken = self.vm(reference), []
        if vm["VGPUs"] and vm["domain_type"] != "hvm":
            raise ApiError("FEATURE_REQUIRES_HVM", "vGPU- and GPU-passthrough needs HVM")
        for v in vm["VGPUs"]:
            o = self.object("vgpu", v)
            left = {p: self.remaining(p, o["type"], [t for t, q in taken if q == p]) for p, g in self.objects["pgpu"].items()
                    if (g["GPU_group"], g["host"]) == (o["GPU_group"], host.ref)}
            fit = sorted((n, p) for p, n in left.items() if n > 0)  # depth_first: the fullest
            if not fit:
                kind = self.object("vgpu_type", o["type"])
                raise ApiError("VM_REQUIRES_VGPU" if kind["size"] else "VM_REQUIRES_GPU", reference, o["GPU_group"], *([o["type"]] if kind["size"] else []))
            if dry:
                taken.append((o["type"], fit[0][1]))
            else:
                self.set_object("vgpu", v, scheduled_to_be_resident_on=fit[0][1])

    def choose_host(self, reference):
        """xapi/xapi_vm_helpers.ml, choose_host_for_vm_no_wlb."""
        if not self.vm(reference)["VGPUs"]:
            return self.hosts[0]
        for h in self.hosts:
            try:
                self.place(reference, h, dry=True)
                return h
            except ApiError:
                pass
        raise ApiError("NO_HOSTS_AVAILABLE")

    def unplace(self, reference, also_resident=False):
        """xapi/message_forwarding.ml, clear_reservations; xapi_vm_lifecycle.ml, force_state_reset_keep_current_operations."""
        for v in self.vm(reference)["VGPUs"]:
            self.set_object("vgpu", v, scheduled_to_be_resident_on=NULL)
            if also_resident:
                self.set_object("vgpu", v, resident_on=NULL, currently_attached=False)

    def plugged(self, reference):
        """xapi/xapi_xenops.ml, update_vgpu: xenopsd says that the helper runs."""
        for v in self.vm(reference)["VGPUs"]:
            o = self.object("vgpu", v)
            self.set_object("vgpu", v, resident_on=o["scheduled_to_be_resident_on"] if o["scheduled_to_be_resident_on"] != NULL else o["resident_on"],
                            scheduled_to_be_resident_on=NULL, currently_attached=True)

    def devices_of(self, reference):
        """xapi/xapi_xenops.ml, of_nvidia_vgpu, and xenopsd/xc/service.ml, vgpu_args_of_nvidia: (address of the GPU, what follows --device=, class)."""
        out = []
        for v in sorted(self.vm(reference)["VGPUs"], key=lambda v: int(self.object("vgpu", v)["device"])):
            o = self.object("vgpu", v)
            t = self.object("vgpu_type", o["type"])
            pgpu = o["scheduled_to_be_resident_on"] if o["scheduled_to_be_resident_on"] != NULL else o["resident_on"]
            if t["implementation"] != "nvidia":
                continue
            address = self.object("pci", self.object("pgpu", pgpu)["PCI"])["pci_id"]
            words = [address, t["internal_config"]["type_id"], "0000:00:%02x.0" % (int(o["device"]) + FIRST_SLOT), o["uuid"], o["extra_args"]]
            out.append((address, ",".join(w for w in words if w), t["internal_config"]["vclass"]))
        return out

    def demand_movable(self, reference):
        """xapi/xapi_vm_lifecycle.ml, check_vgpu, before pool_migrate, migrate_send, suspend and checkpoint."""
        for v in self.vm(reference)["VGPUs"]:
            o = self.object("vgpu", v)
            if o["resident_on"] == NULL or "nvidia" not in self.object("pgpu", o["resident_on"])["compatibility_metadata"]:
                raise ApiError("VM_HAS_VGPU", reference)

    # ---- calls

    def vgpu_create(self, vm, group, device="0", other_config=None, kind=NULL):
        """xapi/xapi_vgpu.ml, create'."""
        with self.changed:
            self.demand(vm, "Halted")
            if kind == NULL:
                kind = self.type_of(dict(PASSTHROUGH))
            if kind not in self.objects["vgpu_type"]:
                raise ApiError("INVALID_VALUE", "type", kind)
            there = [self.object("vgpu", v) for v in self.vm(vm)["VGPUs"]]
            if any(kind not in self.object("vgpu_type", o["type"])["compatible_types_in_vm"] for o in there):
                raise ApiError("VGPU_TYPE_NOT_COMPATIBLE", kind)
            used = {int(o["device"]) for o in there}
            if int(device) == 0:
                free = [d for d in DEVICES if d not in used]
                if not free:
                    raise ApiError("VM_PCI_BUS_FULL", vm)
                device = free[0]
            elif int(device) in used:
                raise ApiError("DEVICE_ALREADY_EXISTS", str(device))
            elif int(device) not in DEVICES:
                raise ApiError("INVALID_DEVICE", str(device))
            self.object("gpu_group", group)
            made = self.add_object("vgpu", VM=vm, GPU_group=group, device=str(device), currently_attached=False, type=kind, resident_on=NULL,
                                   scheduled_to_be_resident_on=NULL, compatibility_metadata={}, extra_args="", PCI=NULL)
            self.object("vgpu", made)["other_config"] = dict(other_config or {})
            self.vm(vm)["VGPUs"] = self.vm(vm)["VGPUs"] + [made]
            self.touch(vm)
            return made

    def vgpu_destroy(self, reference):
        with self.changed:
            vm = self.object("vgpu", reference)["VM"]
            if self.vm(vm)["power_state"] in ("Running", "Paused"):
                raise ApiError("OPERATION_NOT_ALLOWED", "vGPU currently attached to a running VM")
            self.drop_object("vgpu", reference)
            self.vm(vm)["VGPUs"] = [v for v in self.vm(vm)["VGPUs"] if v != reference]
            self.touch(vm)

    def vgpu_set_extra_args(self, reference, value):
        self.set_object("vgpu", reference, extra_args=value)

    def pgpu_get_remaining_capacity(self, pgpu, kind):
        return str(self.remaining(pgpu, kind))

    def gpu_group_get_remaining_capacity(self, group, kind):
        self.object("gpu_group", group)
        return str(sum(self.remaining(p, kind) for p, o in self.objects["pgpu"].items() if o["GPU_group"] == group))

    def host_get_PGPUs(self, host):
        return [p for p, o in self.objects["pgpu"].items() if o["host"] == host]

    # ---- for tests

    def type_named(self, name):
        return next(r for r, t in self.objects["vgpu_type"].items() if t["model_name"] == name)

    def add_vgpu(self, vm, name):
        """As `xe vgpu-create` with the only GPU group that has the type enabled."""
        kind = self.type_named(name)
        return self.vgpu_create(vm, next(g for g, o in self.objects["gpu_group"].items() if kind in o["enabled_VGPU_types"]), "0", {}, kind)

    def xe_vgpu_type_list(self):
        """xapi-cli-server/cli_operations.ml (which fields), cli_printer.ml (how)."""
        out = []
        for r in self.objects["vgpu_type"]:
            t = self.public("vgpu_type", r)
            rows = [("uuid ( RO)", t["uuid"]), ("vendor-name ( RO)", t["vendor_name"]), ("model-name ( RO)", t["model_name"]),
                    ("max-heads ( RO)", t["max_heads"]), ("max-resolution ( RO)", "%sx%s" % (t["max_resolution_x"], t["max_resolution_y"]))]
            widest = 4 + max(len(k) for k, _ in rows)
            out.append("".join("%s: %s\n" % (k.ljust(widest) if not i else k.rjust(widest), v) for i, (k, v) in enumerate(rows)))
        return "\n".join(out)
