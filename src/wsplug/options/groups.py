"""
Groups of options: frozen dataclasses whose fields are the options.

A field is declared once, with its option::

    @dataclass(frozen=True)
    class Listening:
        port: int = option(integer(0, 65535), 9000, "TCP port to listen on")

From that come the type, the option on the command line and in the configuration file,
its help with its default, and its row in the reference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass, replace
from typing import Any, Final, TypeVar

from wsplug.options.kinds import Kind
from wsplug.options.option import Option

__all__ = ["makeGroup", "option", "optionOf", "optionsOf"]

_T = TypeVar("_T")
_Group = TypeVar("_Group")

_KEY: Final = "wsplug.option"


@dataclass(frozen=True)
class _Declared:
    """
    A group's field.

    @ivar field: its name.
    @ivar option: its option; C{None} for a group in the group.
    @ivar group: that group's type.
    """

    field: str
    option: Option | None = None
    group: Any = None


def option(
    kind: Kind,
    default: _T,
    help: str,
    *,
    name: str = "",
    shown: str | None = None,
    group: str = "",
    repeats: bool = False,
    flag: bool = False,
    needs: str = "",
    formerly: tuple[str, ...] = (),
) -> _T:
    """
    Declare the option of a dataclass's field. What can be said is what an L{Option}
    has.

    @param name: the option's name; made from the field's where not given.
    @return: a C{dataclasses.Field}. Its type is said to be that of the default, so
        that the field can be declared with the type of its values.
    """
    # The name follows when the dataclass knows that of the field.
    declared = Option(
        name, kind, default, help, shown, group, repeats, flag, needs, formerly
    )
    made: Any = field(default=default, metadata={_KEY: declared})
    return made  # type: ignore[no-any-return]


def optionsOf(group: type, heading: str = "") -> tuple[Option, ...]:
    """
    Give the options of a group's fields, and of the groups in it.

    @param group: a dataclass.
    @param heading: their C{group}, where they don't say another one.
    """
    found: list[Option] = []
    for each in _declaredIn(group):
        if each.option is None:
            found.extend(optionsOf(each.group, heading))
        else:
            found.append(replace(each.option, group=each.option.group or heading))
    return tuple(found)


def optionOf(group: type, name: str) -> Option:
    """
    Give the option of a group's field.

    @param group: a dataclass.
    @param name: the field's name.
    """
    (found,) = (
        each.option
        for each in _declaredIn(group)
        if each.field == name and each.option is not None
    )
    return found


def makeGroup(group: type[_Group], values: Mapping[str, Any]) -> _Group:
    """
    Make a group of parsed values.

    @param values: by the options' names; those that aren't there have their defaults,
        and others are passed over.
    @raise ValueError: the group refuses what results.
    """
    made: dict[str, Any] = {}
    for each in _declaredIn(group):
        if each.option is None:
            made[each.field] = makeGroup(each.group, values)
        elif each.option.name in values:
            value = values[each.option.name]
            made[each.field] = tuple(value) if each.option.repeats else value
    return group(**made)


def _declaredIn(group: Any) -> list[_Declared]:
    found = []
    for each in fields(group):
        declared = each.metadata.get(_KEY)
        if declared is not None:
            name = declared.name or _nameOf(each)
            found.append(_Declared(each.name, replace(declared, name=name)))
        elif is_dataclass(each.default_factory):
            found.append(_Declared(each.name, group=each.default_factory))
    return found


def _nameOf(declared: Field[Any]) -> str:
    """
    Make an option's name of a field's: C{max-headers} of C{max_headers}, C{reuse-port}
    of C{reusePort}.
    """
    words = re.sub("[A-Z]", lambda match: "-" + match[0].lower(), declared.name)
    return words.replace("_", "-")
