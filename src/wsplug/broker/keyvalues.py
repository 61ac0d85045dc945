"""
The durable store that each application has beside the channels: keys and values, kept
where the broker keeps its channels.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, execute
from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug.broker.store import Store
from wsplug.broker.trouble import Trouble
from wsplug.broker.valuetable import ENTRY_OVERHEAD
from wsplug.broker.worker import Worker
from wsplug.errors import BrokerError, StoreFull
from wsplug.interfaces import IKeyValueStore

__all__ = ["MAX_KEY_SIZE", "MAX_STORE_SIZE", "MemoryKeyValues", "SqliteKeyValues"]

MAX_KEY_SIZE: Final = 1024
"""
The maximum of bytes of a key, in UTF-8.
"""

MAX_STORE_SIZE: Final = 16 * 1024 * 1024
"""
The maximum of bytes that an application's keys and values may have together, with
L{ENTRY_OVERHEAD} for each key.
"""

_T = TypeVar("_T")


@implementer(IKeyValueStore)
class MemoryKeyValues:
    """
    Keys and values that last as long as the process.
    """

    def __init__(self, most: int = MAX_STORE_SIZE) -> None:
        """
        @param most: bytes that all of it may have.
        """
        self._most = most
        self._values: dict[str, bytes] = {}
        self._size = 0

    def get(self, key: str) -> Deferred[bytes | None]:
        return execute(self._values.get, _checkKey(key))

    def set(self, key: str, value: bytes) -> Deferred[None]:
        return execute(self._set, _checkKey(key), _checkValue(value))

    def delete(self, key: str) -> Deferred[bool]:
        return execute(self._delete, _checkKey(key))

    def items(self, prefix: str = "") -> Deferred[Mapping[str, bytes]]:
        return execute(self._items, _checkKey(prefix))

    def _set(self, key: str, value: bytes) -> None:
        size = self._size + _sizeOf(key, value) - self._sizeAt(key)
        if size > self._most:
            raise StoreFull(key, len(value), self._most)
        self._values[key] = value
        self._size = size

    def _delete(self, key: str) -> bool:
        self._size -= self._sizeAt(key)
        return self._values.pop(key, None) is not None

    def _items(self, prefix: str) -> Mapping[str, bytes]:
        values = self._values
        return {key: values[key] for key in sorted(values) if key.startswith(prefix)}

    def _sizeAt(self, key: str) -> int:
        value = self._values.get(key)
        return 0 if value is None else _sizeOf(key, value)


@implementer(IKeyValueStore)
class SqliteKeyValues:
    """
    Keys and values in the broker's SQLite file.
    """

    def __init__(
        self,
        application: str,
        store: Store,
        worker: Worker,
        trouble: Trouble,
        most: int = MAX_STORE_SIZE,
    ) -> None:
        """
        @param store: the file.
        @param worker: executes what blocks, one thing after the other.
        @param trouble: logs errors of the file.
        @param most: bytes that all of it may have.
        """
        self._application = application
        self._table = store.values
        self._worker = worker
        self._trouble = trouble
        self._most = most

    def get(self, key: str) -> Deferred[bytes | None]:
        _checkKey(key)
        return self._do(key, lambda: self._table.get(self._application, key))

    def set(self, key: str, value: bytes) -> Deferred[None]:
        _checkKey(key)
        data = _checkValue(value)

        def change() -> None:
            if not self._table.set(self._application, key, data, self._most):
                raise StoreFull(key, len(data), self._most)

        return self._do(key, change)

    def delete(self, key: str) -> Deferred[bool]:
        _checkKey(key)
        return self._do(key, lambda: self._table.delete(self._application, key))

    def items(self, prefix: str = "") -> Deferred[Mapping[str, bytes]]:
        _checkKey(prefix)
        return self._do(prefix, lambda: self._table.items(self._application, prefix))

    def _do(self, key: str, work: Callable[[], _T]) -> Deferred[_T]:
        done = self._worker.do(work)
        done.addErrback(self._failed, key)
        return done

    def _failed(self, failure: Failure, key: str) -> Any:
        if failure.check(sqlite3.Error) is None:
            return failure
        self._trouble.add(failure)
        raise BrokerError(f"{self._application}: {key}: {failure.value}") from None


def _checkKey(key: str) -> str:
    """
    @raise TypeError: it isn't a C{str}.
    @raise ValueError: it is too long, or can't be encoded in UTF-8.
    """
    if not isinstance(key, str):
        raise TypeError(f"a key must be a str, not {type(key).__name__}")
    size = len(key.encode())  # a UnicodeEncodeError is a ValueError
    if size > MAX_KEY_SIZE:
        raise ValueError(f"a key has at most {MAX_KEY_SIZE} bytes, not {size}")
    return str(key)


def _checkValue(value: bytes) -> bytes:
    """
    @return: a copy that nobody changes.
    @raise TypeError: it isn't bytes-like.
    """
    if isinstance(value, str):
        raise TypeError("a value must be bytes, not str: encode it")
    return bytes(memoryview(value))


def _sizeOf(key: str, value: bytes) -> int:
    return ENTRY_OVERHEAD + len(key.encode()) + len(value)
