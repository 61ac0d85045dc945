"""
Text that is safe to print: escape sequences of terminals, line breaks and other control
characters become visible.

Only the standard library is imported here, because L{wsplug.errors} uses it.
"""

from __future__ import annotations

__all__ = ["escapeUnprintable", "oneLine"]


def escapeUnprintable(text: str, keep: str = "") -> str:
    """
    Escape the characters of a text that aren't printable, as Python does in string
    literals.

    @param keep: characters to leave as they are, such as tabs.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character in keep or character.isprintable()
        else ascii(character)[1:-1]
        for character in text
    )


def oneLine(error: BaseException) -> str:
    """
    Return the text of an error in one line; its type's name if it has no text.
    """
    return " ".join(str(error).split()) or type(error).__name__
