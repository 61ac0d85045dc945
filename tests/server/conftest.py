"""Each test gets the log, and fails if it has an unexpected traceback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.logger import capturedLogs

from tests.server.kit import Logs


@pytest.fixture(autouse=True)
def logs() -> Iterator[Logs]:
    """The log of the test."""
    with capturedLogs() as events:
        logs = Logs(events)
        yield logs
        left = logs.failures()
    assert not left, "logged: " + "".join(each.getTraceback() for each in left)
