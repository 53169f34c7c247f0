# SPDX-License-Identifier: MIT
"""A double of xapi as a plugin sees it: finds the executable by name in one folder, gives it one XML-RPC call as its only argument, and
reads the XML-RPC answer from its standard output. The rules are those of xapi's ocaml/xapi/xapi_plugins.ml (xen-api 24.39):
a plugin that is not there, a non-zero exit, a signal, output that is no XML-RPC, a fault and a value that is no text are failures of
xapi's own; {Status: Failure} is the plugin's, with code and parameters. Also a checker of JSON schemas, for the words that ours use.
"""
import json
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


TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None)}
CHECKED = {"type", "enum", "pattern", "minimum", "required", "properties", "additionalProperties", "items", "minItems", "maxItems"}
NOTES = {"$schema", "$comment", "title", "description", "definitions"}


def read_schema(path):
    """A schema's text, with those beside it that it refers to."""
    text = path.read_text()
    files = {name: json.loads(path.with_name(name).read_text()) for name in re.findall(r'"\$ref": "([^"#]+)', text)}
    return dict(json.loads(text), **{"$files": files})


def is_type(value, name):
    return isinstance(value, TYPES[name]) and not (name in ("integer", "number") and isinstance(value, bool))


def of_number(value, schema, where):
    found = []
    if isinstance(value, (int, float)) and value < schema.get("minimum", value):
        found.append("%s is %s, below %s" % (where, value, schema["minimum"]))
    if isinstance(value, list) and not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        found.append("%s has %d items" % (where, len(value)))
    return found


def faults(value, schema, root, where="answer"):
    """What of the value is not as the schema says."""
    if "$ref" in schema:
        name, _, at = schema["$ref"].partition("#")
        root = root["$files"][name] if name else root
        return faults(value, root["definitions"][at.rsplit("/", 1)[1]] if at else root, root, where)
    unknown = set(schema) - CHECKED - NOTES - ({"$files"} if schema is root else set())
    found = ["%s: the schema has %s, which is not checked" % (where, ", ".join(unknown))] if unknown else []
    names = schema.get("type", [])
    names = [names] if isinstance(names, str) else names
    if names and not any(is_type(value, n) for n in names):
        return found + ["%s is %r, not %s" % (where, value, " or ".join(names))]
    if "enum" in schema and value not in schema["enum"]:
        found.append("%s is %r, not one of %s" % (where, value, schema["enum"]))
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        found.append("%s is %r, not as %s" % (where, value, schema["pattern"]))
    found += of_number(value, schema, where)
    if isinstance(value, dict):
        properties, more = schema.get("properties", {}), schema.get("additionalProperties", {})
        found += ["%s lacks %s" % (where, n) for n in schema.get("required", []) if n not in value]
        for name in [n for n in value if n not in properties]:
            found += ["%s has %s, which nobody promised" % (where, name)] if more is False else faults(value[name], more, root, "%s.%s" % (where, name))
        for name in properties.keys() & value.keys():
            found += faults(value[name], properties[name], root, "%s.%s" % (where, name))
    if isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value):
            found += faults(item, schema["items"], root, "%s[%d]" % (where, i))
    return found
