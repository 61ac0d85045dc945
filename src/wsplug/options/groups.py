"""
Groups of options: frozen dataclasses whose fields are the options.

A field is declared once, with its option::

    @dataclass(frozen=True)
    class Listening:
        port: int = option(integer(0, 65535), 9000, "TCP port to listen on")

This gives the type, the option on the command line and in the configuration file, its
help with its default, and its row in the reference.
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
    A field of a group.

    @ivar field: the field's name.
    @ivar option: the field's option; C{None} for a group in the group.
    @ivar group: the type of the inner group.
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
    bare: str | None = None,
) -> _T:
    """
    Declare the option of a dataclass's field. The parameters are the attributes of
    L{Option}.

    @param name: the option's name. By default, it is derived from the field's name.
    @return: a C{dataclasses.Field}. Its declared type is that of the default, so that
        you can declare the field with the type of its values.
    """
    # optionsOf adds the name, when the dataclass knows the field's name.
    declared = Option(
        name, kind, default, help, shown, group, repeats, flag, needs, formerly, bare
    )
    made: Any = field(default=default, metadata={_KEY: declared})
    return made  # type: ignore[no-any-return]


def optionsOf(group: type, heading: str = "") -> tuple[Option, ...]:
    """
    Return the options of a group's fields, and of the groups in it.

    @param group: a dataclass.
    @param heading: the C{group} of options that have none.
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
    Return the option of a group's field.

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
    Make a group from parsed values.

    @param values: the values by the options' names. Missing options get their defaults.
        Values for options of other groups are ignored.
    @raise ValueError: the group refuses the values.
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
    Derive an option's name from a field's name: C{max-headers} from C{max_headers},
    C{reuse-port} from C{reusePort}.
    """
    words = re.sub("[A-Z]", lambda match: "-" + match[0].lower(), declared.name)
    return words.replace("_", "-")
