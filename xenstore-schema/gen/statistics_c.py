# SPDX-License-Identifier: MIT
"""pvgpu_statistics.h and .c: the numbers and the tables of statistics."""
import zlib

from statistics_read import PARTS, SCOPES, UNITS, ident

HEAD = """/* SPDX-License-Identifier: MIT */
/* Made by xenstore-schema/gen/schema.py; do not edit. */
"""


def const(*names):
    return "PVGPU_" + "_".join(ident(n).upper() for n in names)


def string(text):
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


def enum(scope, what, things):
    lines = ["enum {"]
    lines += ["\t%s," % const(scope, *what, s.name) for s in things]
    return lines + ["\t%s" % const(scope, *what, "n"), "};"]


def statistics_h(scopes):
    lines = [HEAD + "#ifndef PVGPU_STATISTICS_GEN_H", "#define PVGPU_STATISTICS_GEN_H", "", "#include <stdbool.h>\n#include <stdint.h>", "",
             "#define PVGPU_STATISTICS_LAYOUT 0x%08xu /* of this description */" % layout(scopes), ""]
    for scope in SCOPES:
        lines += ["/* The %s's values. */" % scope] + enum(scope, (), scopes[scope].values) + [""]
    lines += ["/* A vGPU's histograms. */"] + enum("vgpu", ("hist",), scopes["vgpu"].histograms) + [""]
    lines += ["enum pvgpu_statistic_part { PVGPU_PART_VALUE, %s };" % ", ".join("PVGPU_PART_" + p.upper() for p, _ in PARTS), "",
              "enum pvgpu_statistic_unit { %s };" % ", ".join("PVGPU_UNIT_" + u.upper() for u in UNITS), "",
              "struct pvgpu_statistic {",
              "\tconst char *name, *metric, *doc;",
              "\tconst char *column; /* of pvgpuctl; NULL: none */",
              "\tbool seldom;        /* it is shown when one is not 0 */",
              "\tconst char *kind, *by;",
              "\tenum pvgpu_statistic_unit unit;", "};", "",
              "/* A field of the key `statistics`, in its order: which value, or which part of which histogram. */",
              "struct pvgpu_statistic_field {", "\tuint16_t of;", "\tuint16_t part; /* enum pvgpu_statistic_part */", "};", ""]
    for scope in SCOPES:
        lines.append("extern const struct pvgpu_statistic pvgpu_%s_statistics[%s];" % (scope, const(scope, "n")))
    lines += ["extern const struct pvgpu_statistic pvgpu_vgpu_histograms[%s];" % const("vgpu", "hist", "n"),
              "#define PVGPU_STATISTIC_FIELDS %d" % len(field_rows(scopes)),
              "extern const struct pvgpu_statistic_field pvgpu_statistic_fields[PVGPU_STATISTIC_FIELDS];", "", "#endif", ""]
    return "\n".join(lines)


def layout(scopes):
    words = ["%s/%s/%s" % (scope, s.name, s.unit) for scope in SCOPES for s in scopes[scope].all()]
    return zlib.crc32(" ".join(words).encode())


def field_rows(scopes):
    rows = [(const("vgpu", s.name), "VALUE") for s in scopes["vgpu"].values if s.field]
    return rows + [(const("vgpu", "hist", s.name), p.upper()) for s in scopes["vgpu"].histograms if s.field for p, _ in PARTS]


def table(name, size, things, index):
    lines = ["const struct pvgpu_statistic %s[%s] = {" % (name, size)]
    for s in things:
        lines += ["\t[%s] = {%s, %s," % (index(s), string(s.name), string(s.full_metric)), "\t\t%s," % string(s.doc),
                  "\t\t%s, %s, %s, %s, PVGPU_UNIT_%s}," % (string(s.column) if s.column else "NULL", "true" if s.seldom else "false",
                                                       string(s.kind), string(s.by), s.unit.upper())]
    return lines + ["};", ""]


def statistics_c(scopes):
    lines = [HEAD + '#include "pvgpu_statistics.h"', "", "#include <stddef.h>", ""]
    for scope in SCOPES:
        lines += table("pvgpu_%s_statistics" % scope, const(scope, "n"), scopes[scope].values, lambda s: const(s.scope, s.name))
    lines += table("pvgpu_vgpu_histograms", const("vgpu", "hist", "n"), scopes["vgpu"].histograms, lambda s: const("vgpu", "hist", s.name))
    lines += ["const struct pvgpu_statistic_field pvgpu_statistic_fields[PVGPU_STATISTIC_FIELDS] = {"]
    lines += ["\t{%s, PVGPU_PART_%s}," % row for row in field_rows(scopes)]
    return "\n".join(lines + ["};", ""])
