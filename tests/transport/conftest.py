"""
What the tests of the write path share.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.transport.kit import Wire


@pytest.fixture
def wire() -> Iterator[Wire]:
    """
    A set of connections, ended afterwards.
    """
    wire = Wire()
    yield wire
    wire.close()
