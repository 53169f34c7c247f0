# SPDX-License-Identifier: MIT
"""A double of xapi as a plugin sees it: finds the executable by name in one folder, gives it one XML-RPC call as its only argument, and
reads the XML-RPC answer from its standard output. The rules are those of xapi's ocaml/xapi/xapi_plugins.ml (xen-api 24.39):
a plugin that is not there, a non-zero exit, a signal, output that is no XML-RPC, a fault and a value that is no text are failures of
xapi's own; {Status: Failure} is the plugin's, with code and parameters. Also a checker of JSON schemas, for the words that ours use.
"""
import os
import re
import subprocess
import xmlrpc.client as rpc


class ApiError(Exception):
    def __init__(self, code, *params):
        super().__init__("%s: %s" % (code, ", ".join(params)))
        self.code, self.params = code, params


class Host:
    def __init__(self, folder, env=None, python=None):
        """python: run the plugin with it, instead of with what its first line names."""
        self.folder, self.python = folder, python
        # What Python 3.6, which dom0 has, cannot read in this locale, newer ones read by themselves.
        self.env = {"PATH": "/usr/bin:/bin", "LANG": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", **(env or {})}

    def call_plugin(self, plugin, fn, args):
        if plugin not in os.listdir(self.folder):
            raise ApiError("XENAPI_MISSING_PLUGIN", plugin)
        call = rpc.dumps(("OpaqueRef:0a8d5e0c-3a51-4f4e-b1d4-6f3a9f6f7a11", {k: str(v) for k, v in args.items()}), fn)
        words = ([self.python] if self.python else []) + [os.path.join(self.folder, plugin), call]
        done = subprocess.run(words, capture_output=True, env=self.env, timeout=300, stdin=subprocess.DEVNULL)
        out, err = done.stdout.decode(), done.stderr.decode()
        if done.returncode:
            raise ApiError("XENAPI_PLUGIN_FAILURE", "signal" if done.returncode < 0 else "non-zero exit", out, err)
        try:
            (answer,), _ = rpc.loads(out)
        except rpc.Fault as e:
            raise ApiError("XENAPI_PLUGIN_FAILURE", "fault", str(e.faultCode), e.faultString)
        except Exception as e:
            raise ApiError("XENAPI_PLUGIN_FAILURE", "failed to parse plugin output", out, str(e))
        if answer.get("Status") == "Failure":
            code, *params = answer["ErrorDescription"]
            raise ApiError(code, *params)
        if answer.get("Status") != "Success" or not isinstance(answer.get("Value"), str):
            raise ApiError("XENAPI_PLUGIN_FAILURE", "unexpected XMLRPC result", out)
        return answer["Value"]


TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}


def is_type(value, name):
    return isinstance(value, TYPES[name]) and not (name == "integer" and isinstance(value, bool))


def faults(value, schema, root, where="answer"):
    """What of the value is not as the schema says."""
    if "$ref" in schema:
        return faults(value, root["definitions"][schema["$ref"].rsplit("/", 1)[1]], root, where)
    unknown = set(schema) - {"type", "enum", "pattern", "minimum", "required", "properties", "additionalProperties", "items"}
    found = ["%s: the schema has %s, which is not checked" % (where, ", ".join(unknown))] if unknown else []
    names = schema.get("type", [])
    names = [names] if isinstance(names, str) else names
    if names and not any(is_type(value, n) for n in names):
        return found + ["%s is %r, not %s" % (where, value, " or ".join(names))]
    if "enum" in schema and value not in schema["enum"]:
        found.append("%s is %r, not one of %s" % (where, value, schema["enum"]))
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        found.append("%s is %r, not as %s" % (where, value, schema["pattern"]))
    if "minimum" in schema and isinstance(value, int) and value < schema["minimum"]:
        found.append("%s is %d, below %d" % (where, value, schema["minimum"]))
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        found += ["%s lacks %s" % (where, n) for n in schema.get("required", []) if n not in value]
        if schema.get("additionalProperties", True) is False:
            found += ["%s has %s, which nobody promised" % (where, n) for n in value if n not in properties]
        for name in properties.keys() & value.keys():
            found += faults(value[name], properties[name], root, "%s.%s" % (where, name))
    if isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value):
            found += faults(item, schema["items"], root, "%s[%d]" % (where, i))
    return found
