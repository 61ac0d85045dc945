"""
Options. Each one is declared once, for the command line, the configuration file,
C{wsplug check}, the help, the reference and the type.

    - An L{Option} has a name, a kind, a default and a help text. A plugin has a tuple
      of options. The server's own options are fields of groups, made by L{option}.
    - A kind parses the value, as L{size} does. It raises a C{ValueError} that says
      which values it takes.
    - L{splitDescription} and L{pairOptions} parse C{NAME:key=value}.
"""

from wsplug.options.descriptions import COLONS, pairOptions, splitDescription
from wsplug.options.groups import makeGroup, option, optionOf, optionsOf
from wsplug.options.kinds import (
    UNLIMITED,
    Kind,
    ValueKind,
    boolean,
    choice,
    count,
    delay,
    delayUpTo,
    describeKind,
    integer,
    number,
    path,
    period,
    seconds,
    secret,
    showValue,
    size,
    text,
    threshold,
    wholeSeconds,
)
from wsplug.options.option import REQUIRED, Option, findRenamed, parseOptions

__all__ = [
    "COLONS",
    "REQUIRED",
    "UNLIMITED",
    "Kind",
    "Option",
    "ValueKind",
    "boolean",
    "choice",
    "count",
    "delay",
    "delayUpTo",
    "describeKind",
    "findRenamed",
    "integer",
    "makeGroup",
    "number",
    "option",
    "optionOf",
    "optionsOf",
    "pairOptions",
    "parseOptions",
    "path",
    "period",
    "seconds",
    "secret",
    "showValue",
    "size",
    "splitDescription",
    "text",
    "threshold",
    "wholeSeconds",
]
