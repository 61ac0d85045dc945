"""As in the server's tests: the log is checked, and has no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.certificates import Authority, Issued
from tests.processes import HOST
from tests.server.conftest import logs

__all__ = ["logs"]


@pytest.fixture(scope="session")
def authority() -> Authority:
    """The authority that all clients trust."""
    return Authority()


@pytest.fixture(scope="session")
def issued(authority: Authority) -> Issued:
    """A server's certificate."""
    return authority.issue("first", HOST)


@pytest.fixture
def files(issued: Issued, tmp_path: Path) -> tuple[Path, Path]:
    """A server's certificate and its key, as files."""
    return issued.write(tmp_path)
