"""
Fixtures for the tests of the write path.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.transport.kit import Wire


@pytest.fixture
def wire() -> Iterator[Wire]:
    """
    A set of connections. They are closed afterwards.
    """
    wire = Wire()
    yield wire
    wire.close()
