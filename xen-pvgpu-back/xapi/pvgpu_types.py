# SPDX-License-Identifier: MIT
"""What xapi makes of the files from which it takes VGPU types: vgpuConfig.xml, pci.ids and the PCI devices of this host. For Python 2.7 and 3; needs
nothing beside them.

The rules are those of xen-api's ocaml/xapi/xapi_vgpu_type.ml (module Vendor_nvidia), xapi_pgpu.ml and xapi_pci.ml, read at e2ee48d6.
"""
import os
import re
import zlib
import xml.parsers.expat as expat

CONFIG = "/usr/share/nvidia/vgpu/vgpuConfig.xml"
PCI_IDS = ("/usr/share/hwdata/pci.ids", "/usr/share/misc/pci.ids")  # CentOS's and so XCP-ng's; Debian's
PCI_DEVICES = "/sys/bus/pci/devices"
VENDOR = 0x10de
DISPLAY = 0x03      # base class
PGPU_SIZE = 1 << 20  # Constants.pgpu_default_size
MOST = 1 << 10      # of a type on a GPU: up to here PGPU_SIZE / (PGPU_SIZE / n) is n
COMPUTE = "Compute"
FIRST_SLOT = 11     # Xapi_globs.nvidia_vgpu_first_slot_in_guest
NULL = "OpaqueRef:NULL"
MADE = "made by pvgpuctl xapi types"
BEGIN, END = "# pvgpu: begin, " + MADE, "# pvgpu: end"
NUMBER = re.compile("^-?(0[xX][0-9a-fA-F][0-9a-fA-F_]*|0[oO][0-7][0-7_]*|0[bB][01][01_]*|[0-9][0-9_]*)\\Z")
VENDOR_LINE = re.compile("^([0-9a-f]{4})[ \t]+(.*)")
DEVICE_LINE = re.compile("^\t([0-9a-f]{4})[ \t]+(.*)")
SUBSYSTEM_LINE = re.compile("^\t\t([0-9a-f]{4}) ([0-9a-f]{4})[ \t]+(.*)")


class Fault(Exception):
    """Of a line of a file."""

    def __init__(self, line, text):
        Exception.__init__(self, text)
        self.line = line


def subsystem_of(profile):
    """The number of a profile's type. Every host of a pool finds the same one; 0 is none, since NVIDIA uses it for any."""
    return 1 + (zlib.crc32(profile.encode("ascii")) & 0xffffffff) % 0xffff


# ---- PCI devices

class Device(object):
    def __init__(self, address, device, subsystem, driver):
        self.address, self.device, self.subsystem, self.driver = address, device, subsystem, driver


def read_text(path):
    """Each byte a character: names in pci.ids are UTF-8, and are written as they were read."""
    with open(path, "rb") as f:
        return f.read().decode("latin-1")


def link_name(path):
    try:
        return os.path.basename(os.readlink(path))
    except EnvironmentError:
        return ""


def devices(folder):
    """The GPUs of NVIDIA's for which xapi makes PGPUs: display devices that are no virtual functions (Xapi_pgpu.is_local_pgpu)."""
    out = []
    for address in sorted(os.listdir(folder)):
        place = os.path.join(folder, address)
        try:
            vendor, kind, device = (int(read_text(os.path.join(place, n)), 16) for n in ("vendor", "class", "device"))
        except (EnvironmentError, ValueError):
            continue
        if vendor != VENDOR or kind >> 16 != DISPLAY or os.path.islink(os.path.join(place, "physfn")):
            continue
        try:
            subsystem = int(read_text(os.path.join(place, "subsystem_device")), 16)
        except (EnvironmentError, ValueError):
            subsystem = 0
        out.append(Device(address, device, subsystem, link_name(os.path.join(place, "driver"))))
    return out


# ---- pci.ids

class Names(object):
    """Of one vendor's part of pci.ids. devices: (line number, name); subsystems: (device, vendor, subsystem): name."""

    def __init__(self, text, vendor=VENDOR):
        self.name, self.line, self.devices, self.subsystems = "", 0, {}, {}
        inside, device = False, None
        for n, line in enumerate(text.split("\n"), 1):
            line = line.rstrip("\r")
            found = VENDOR_LINE.match(line)
            if found or (line and line[0] not in "\t#"):  # another vendor, or the list of classes
                inside = bool(found) and int(found.group(1), 16) == vendor
                if inside:
                    self.name, self.line = found.group(2).strip(), n
                continue
            sub, found = SUBSYSTEM_LINE.match(line), DEVICE_LINE.match(line)
            if inside and sub and device is not None:
                self.subsystems.setdefault((device, int(sub.group(1), 16), int(sub.group(2), 16)), sub.group(3).strip())
            elif inside and found:
                device = int(found.group(1), 16)
                self.devices.setdefault(device, (n, found.group(2).strip()))

    def device(self, device):
        return self.devices.get(device, (0, ""))[1]

    def subsystem(self, device, number):
        """As libpci's PCI_LOOKUP_SUBSYSTEM: the empty name where there is none."""
        return self.subsystems.get((device, VENDOR, number), "")


def without_ours(text):
    out, ours = [], False
    for line in text.split("\n"):
        if line.startswith(BEGIN):
            ours = True
        elif ours and line.startswith(END):
            ours = False
        elif not ours:
            out.append(line)
    if ours:
        raise Fault(0, "the line '%s' has no '%s' after it: take the lines of pvgpu away by hand" % (BEGIN, END))
    return "\n".join(out)


def with_ours(text, device, named):
    """named: [(subsystem, name)]. The text has none of ours. libpci takes no second line of one device or subsystem."""
    names = Names(text)
    if not names.line:
        raise Fault(0, "has no vendor %04x" % VENDOR)
    for number, name in named:
        if names.subsystem(device, number):
            raise Fault(0, "has '%s' as %04x %04x of device %04x, which is the number of profile %s: give the profile another name"
                        % (names.subsystem(device, number), VENDOR, number, device, name))
    at, own = names.devices.get(device, (0, ""))[0] or names.line, []
    if device not in names.devices:
        own.append("\t%04x  Device %04x" % (device, device))
    own += ["\t\t%04x %04x  %s" % (VENDOR, number, name) for number, name in named]
    lines = text.split("\n")
    return "\n".join(lines[:at] + [BEGIN] + own + [END] + lines[at:])


# ---- vgpuConfig.xml

class Element(object):
    def __init__(self, line, name, attributes):
        self.line, self.name, self.attributes, self.children, self.data = line, name, attributes, [], ""

    def all(self, name):
        """Those of a name, at any depth, without looking into them (find_by_name)."""
        if self.name == name:
            return [self]
        return [e for c in self.children for e in c.all(name)]

    def one(self, name):
        found = self.all(name)
        if not found:
            raise Fault(self.line, "<%s> has no <%s>" % (self.name, name))
        return found[0]

    def attribute(self, name):
        if name not in self.attributes:
            raise Fault(self.line, "<%s> has no attribute %s" % (self.name, name))
        return self.attributes[name]

    def text(self):
        if self.children or not self.data.strip():
            raise Fault(self.line, "<%s> must have text and nothing else" % self.name)
        return self.data.strip()

    def number(self, name):
        return number(self.line, "<%s %s>" % (self.name, name), self.attribute(name))


def number(line, what, text):
    """As OCaml's int_of_string."""
    if not NUMBER.match(text):
        raise Fault(line, "%s: '%s' is no number" % (what, text))
    plain = text.replace("_", "")
    digits = plain.lstrip("-")
    base = {"x": 16, "o": 8, "b": 2}.get(digits[1:2].lower(), 10)
    return int(plain, base) if base != 10 else int(plain)


def parse(data):
    """The root element of a file's bytes."""
    parser, stack = expat.ParserCreate(), [Element(0, "", {})]

    def start(name, attributes):
        e = Element(parser.CurrentLineNumber, name, attributes)
        stack[-1].children.append(e)
        stack.append(e)

    def text(piece):
        stack[-1].data += piece

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, lambda _: stack.pop(), text
    try:
        parser.Parse(data, True)
    except expat.ExpatError as e:
        raise Fault(e.lineno, expat.ErrorString(e.code))
    return stack[0].children[0]


class Supported(object):
    def __init__(self, e):
        self.line, self.id = e.line, e.attribute("vgpuId")
        most = e.one("maxVgpus")
        self.most = number(most.line, "<maxVgpus>", most.text())
        if not 1 <= self.most <= PGPU_SIZE:
            raise Fault(most.line, "<maxVgpus> is %d: xapi divides by it, and would not start" % self.most)


class Gpu(object):
    """<pgpu>: a model of GPUs."""

    def __init__(self, e):
        where = e.one("devId")
        self.line, self.device, self.subsystem = e.line, where.number("deviceId"), where.number("subsystemId")
        self.sriov = e.attributes.get("hostVgpuMode") == "sriov"
        self.supported = [Supported(s) for s in e.all("supportedVgpu")]

    def matches(self, device):
        return self.device == device.device and self.subsystem in (0, device.subsystem)


class Kind(object):
    """<vgpuType>."""

    def __init__(self, e):
        where, display = e.one("devId"), e.one("display")
        self.line, self.id, self.name, self.kind = e.line, e.attribute("id"), e.attribute("name"), e.attribute("class")
        self.device, self.subsystem = where.number("deviceId"), where.number("subsystemId")
        self.framebuffer, self.heads, self.multi = (number(e.one(n).line, "<%s>" % n, e.one(n).text())
                                                    for n in ("framebuffer", "numHeads", "multiVgpuSupported"))
        self.resolution = display.number("width"), display.number("height")


class Config(object):
    """vgpuConfig.xml. A fault anywhere keeps xapi from making any type."""

    def __init__(self, data):
        root = parse(data)
        self.gpu_memory = int(root.attributes["gpuMemory"]) if root.attributes.get("gpuMemory", "").isdigit() else 0
        self.gpus, self.kinds = [Gpu(e) for e in root.all("pgpu")], [Kind(e) for e in root.all("vgpuType")]


class Type(object):
    """A VGPU type, as xapi makes it. line: of its <vgpuType>."""

    def __init__(self, gpu, supported, kind, device, names):
        self.line, self.type_id, self.vclass, self.sriov = kind.line, kind.id, kind.kind, gpu.sriov
        self.identifier = "0001:nvidia,%04x,%s,%04x,%04x" % (device.device, "%04x" % gpu.subsystem if gpu.subsystem else "", kind.device, kind.subsystem)
        self.vendor_name, self.model_name = names.name, names.subsystem(kind.device, kind.subsystem)
        self.wanted_name, self.framebuffer, self.heads, self.resolution = kind.name, kind.framebuffer, kind.heads, kind.resolution
        self.size = PGPU_SIZE // supported.most
        self.capacity = PGPU_SIZE // self.size
        self.most = supported.most


def types_of(config, device, names):
    """Of a GPU, in the file's order: of a type that several matching <pgpu> name, the first counts."""
    supported = {}
    for gpu in config.gpus:
        if gpu.matches(device):
            for s in gpu.supported:
                supported.setdefault(s.id, (gpu, s))
    return [Type(supported[k.id][0], supported[k.id][1], k, device, names) for k in config.kinds if k.id in supported]


def group_name(device, names):
    """Of the GPU group that xapi makes for a GPU (xapi_gpu_group.ml, find_or_create)."""
    return "Group of %s %s GPUs" % (names.name, names.device(device.device))


def find_pci_ids():
    return next((p for p in PCI_IDS if os.path.exists(p)), PCI_IDS[0])


# ---- VGPU objects

def own_types(path, folder):
    """{identifier of a VGPU type: its id, which is a profile} of this host's GPUs; empty where the file is none that pvgpu made."""
    try:
        text = read_text(path)
        if MADE not in text[:400]:
            return {}
        config, none = Config(text.encode("latin-1")), Names("")
        return dict((t.identifier, t.type_id) for d in devices(folder) for t in types_of(config, d, none))
    except (EnvironmentError, Fault):
        return {}


def device_argument(address, type_id, vgpu):
    """Of a VGPU's record, on the GPU of that address: what xenopsd gives the program vgpu (Service.Vgpu.vgpu_args_of_nvidia)."""
    words = [address, type_id, "0000:00:%02x.0" % (int(vgpu["device"]) + FIRST_SLOT), vgpu["uuid"], vgpu["extra_args"]]
    return "--device=" + ",".join(w for w in words if w)


def place_of(vgpu):
    """The PGPU on which it is or will be (Xapi_xenops.get_target_pci_address), or None."""
    for field in ("scheduled_to_be_resident_on", "resident_on"):
        if vgpu[field] != NULL:
            return vgpu[field]
    return None
