"""The messages of a chat: the JSON of the old tutorials, for each server's chat.

It is written without spaces, as JavaScript and PHP write it, so that the answers of all
servers are the same, byte for byte.
"""

from __future__ import annotations

import json


def answer(text: str | bytes) -> str:
    """@param text: a client's message.
    @return: the message that all clients in its room get.
    """
    said = json.loads(text)
    return _write(
        {
            "type": "usermsg",
            "name": said["name"],
            "message": said["message"],
            "color": said["color"],
        }
    )


def notice(address: str, event: str) -> str:
    """@param event: C{connected} or C{disconnected}.
    @return: the message that all clients in a room get when one joins or leaves.
    """
    return _write({"type": "system", "message": f"{address} {event}"})


def _write(message: dict[str, str]) -> str:
    return json.dumps(message, separators=(",", ":"))
