"""
The chats that the tests use.
"""

from __future__ import annotations

import pytest

from tests.apps.chat.kit import Chat


@pytest.fixture(params=["at once", "later"])
def room(request: pytest.FixtureRequest) -> Chat:
    """
    A chat whose broker answers at once, or takes its time.
    """
    return Chat(slow=request.param == "later")
