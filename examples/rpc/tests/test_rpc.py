"""Each rule of JSON-RPC 2.0, with the examples of its specification."""

import json
from typing import Any

import pytest
from wsplug_rpc import Calculator

from wsplug.testing import MemoryServer


def ask(*texts: str) -> Any:
    """Send messages; give the answer, or None if there is none."""
    server = MemoryServer(Calculator)
    client = server.connect()
    for text in texts:
        client.send(text)
    server.advance(1)
    return json.loads(client.receive()) if client.messages else None


def call(method: str, **more: object) -> str:
    return json.dumps({"jsonrpc": "2.0", "method": method, **more})


@pytest.mark.parametrize("params", [[1, 2.5], {"b": 1, "a": 2.5}])
@pytest.mark.parametrize("id", [1, "one", None])
def test_call(params: object, id: object) -> None:
    """A call has its result and its id."""
    answer = ask(call("add", params=params, id=id))
    assert answer == {"jsonrpc": "2.0", "result": 3.5, "id": id}


def test_waiting() -> None:
    """A call may take its time."""
    assert ask(call("wait", params=[0.5], id=1))["result"] is None


@pytest.mark.parametrize(
    ("text", "code", "id"),
    [
        ("[", -32700, None),
        ("[]", -32600, None),
        ("1", -32600, None),
        ('{"method":"add","id":1}', -32600, None),
        (call("subtract", id=1), -32601, 1),
        (call("add", id=2), -32602, 2),
        (call("add", params=[1], id=2), -32602, 2),
        (call("add", params=[1, 2, 3], id=2), -32602, 2),
        (call("add", params={"a": 1, "b": "x"}, id=2), -32602, 2),
        (call("add", params={"a": 1, "b": 1, "c": 1}, id=2), -32602, 2),
    ],
)
def test_errors(text: str, code: int, id: object) -> None:
    """Each mistake has its code."""
    answer = ask(text)
    assert (answer["error"]["code"], answer["id"]) == (code, id)


def test_notifications() -> None:
    """They are performed, and have no answer, not even if they fail."""
    assert ask(call("add", params=[1, 2]), call("nonsense")) is None


def test_batches() -> None:
    """A batch has the answers of its calls; one of notifications has none."""
    calls = [call("add", params=[1, 2], id=1), call("add", params=[1, 2]), "1"]
    answers = ask(f"[{','.join(calls)}]")
    assert [answer.get("result") for answer in answers] == [3, None]
    assert answers[1]["error"]["code"] == -32600
    assert ask(f"[{calls[1]}]") is None
