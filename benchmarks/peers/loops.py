"""
Running a coroutine on asyncio's own loop or on uvloop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


def run(main: Coroutine[Any, Any, None], on_uvloop: bool) -> None:
    """
    Run a program.

    @param main: the program.
    @param on_uvloop: whether to run it on uvloop.
    """
    if on_uvloop:
        import uvloop  # type: ignore[import-not-found,unused-ignore]

        uvloop.run(main)
    else:
        asyncio.run(main)
