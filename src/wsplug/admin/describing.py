"""
Describes closed connections, refused handshakes, their causes and the settings for the
status page.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from typing import TypeVar

from wsplug.admin.clients import clip
from wsplug.admin.messages import Cause, DisconnectInfo, RefusalInfo, SettingInfo
from wsplug.guard.origins import completeRules
from wsplug.networks import clientKey, nameOfAddress
from wsplug.server.settings import SETTINGS, Settings
from wsplug.server.statistics import Disconnect, Refusal, Statistics

__all__ = [
    "listCauses",
    "listSettings",
    "newSince",
    "showDisconnect",
    "showRefusal",
]

_CAUSES = 100
"""
The maximum of causes that are shown: the most frequent ones.
"""

_Event = TypeVar("_Event")


def newSince(events: deque[_Event], last: _Event | None) -> list[_Event]:
    """
    Return the remembered events that came after a given one.

    @param last: the last known event. If it is no longer remembered, all are new.
    """
    found: list[_Event] = []
    for event in reversed(events):
        if event is last:
            break
        found.append(event)
    found.reverse()
    return found


def showDisconnect(disconnect: Disconnect) -> DisconnectInfo:
    """
    Describe a closed connection to operators.
    """
    return DisconnectInfo(
        disconnect.time,
        nameOfAddress(disconnect.client),
        clientKey(disconnect.client),
        disconnect.application,
        disconnect.seconds,
        disconnect.code,
        clip(disconnect.reason),
        str(disconnect.side),
        disconnect.setting,
        disconnect.clean,
    )


def showRefusal(refusal: Refusal) -> RefusalInfo:
    """
    Describe a refused handshake to operators.
    """
    return RefusalInfo(
        refusal.time,
        nameOfAddress(refusal.client),
        clientKey(refusal.client),
        refusal.application,
        refusal.status,
        clip(refusal.reason),
        refusal.setting,
    )


def listCauses(statistics: Statistics) -> list[Cause]:
    """
    Count closed connections and refused handshakes by cause.
    """
    causes = [
        Cause("closed", application, code, side, setting, count)
        for (application, code, side, setting), count in statistics.closings.items()
    ]
    causes.extend(
        Cause("refused", application, str(status), "server", setting, count)
        for (application, status, setting), count in statistics.handshakes.items()
        if status != 101
    )
    causes.sort(key=lambda cause: cause.count, reverse=True)
    return causes[:_CAUSES]


def listSettings(settings: Settings, origins: Sequence[str]) -> list[SettingInfo]:
    """
    Return the current settings, as written in a configuration file.
    """
    values = asdict(settings)
    shown = [
        SettingInfo(
            option.name,
            option.show(values[option.name.replace("-", "_")]),
            option.help,
        )
        for option in SETTINGS
    ]
    origin = SettingInfo(
        "origin", ", ".join(completeRules(origins)), "Pages that may connect."
    )
    return [*shown, origin]
