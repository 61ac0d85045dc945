"""
Options: how each is declared, once, for the command line, the configuration file,
C{wsplug check}, the help, the reference and the type.

    - An L{Option} has a name, a kind, a default and a help text. Plugins have a tuple
      of them; the server's own are fields of groups, made by L{option}.
    - A kind makes the value from text, as L{size} does, or says in a C{ValueError} what
      it takes.
    - L{splitDescription} and L{pairOptions} take C{NAME:key=value} apart.
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
