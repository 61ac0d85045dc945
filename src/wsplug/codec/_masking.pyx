"""
Masking, compiled: the exclusive-or of eight bytes at a time.

Its contract is that of L{wsplug.codec.masking}.
"""

from cpython.buffer cimport PyBUF_WRITE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from wsplug.codec import masking

# It has made its constants before it imports this.
cdef Py_ssize_t FIRST_BUFFER_SIZE = masking.FIRST_BUFFER_SIZE
cdef Py_ssize_t BUFFER_GROWTH = masking.BUFFER_GROWTH
cdef Py_ssize_t MIN_REST = masking._MIN_REST


cpdef bytes unmask(bytes data, Py_ssize_t start, Py_ssize_t end, bytes mask):
    if len(mask) != 4 or start < 0 or end < start or end > len(data):
        raise ValueError("a mask must have four bytes, and a part must lie within its data")
    cdef bytes result = PyBytes_FromStringAndSize(NULL, end - start)
    _apply(
        PyBytes_AS_STRING(data) + start,
        PyBytes_AS_STRING(result),
        end - start,
        PyBytes_AS_STRING(mask),
    )
    return result


cpdef bytes unmask_behind(bytes data, Py_ssize_t start, Py_ssize_t end):
    if start < 4 or end < start or end > len(data):
        raise ValueError("a part must lie within its data, after its mask")
    cdef bytes result = PyBytes_FromStringAndSize(NULL, end - start)
    cdef const char* source = PyBytes_AS_STRING(data) + start
    _apply(source, PyBytes_AS_STRING(result), end - start, source - 4)
    return result


cpdef bytes apply_mask(bytes data, bytes mask):
    return unmask(data, 0, len(data), mask)


cdef class PayloadBuffer:
    # A bytes object that nobody else knows of yet may be written to: it is what
    # take() gives, without another copy.

    def __init__(self, Py_ssize_t size):
        if size < 0:
            raise ValueError("a payload's size must not be negative")
        self._size = size
        self._buffer = PyBytes_FromStringAndSize(NULL, min(size, FIRST_BUFFER_SIZE))
        self.filled = 0

    @property
    def allocated(self):
        return len(self._buffer)

    cdef _grow(self, Py_ssize_t needed):
        cdef Py_ssize_t size = min(
            self._size, max(needed, BUFFER_GROWTH * len(self._buffer))
        )
        cdef bytes buffer = PyBytes_FromStringAndSize(NULL, size)
        memcpy(
            PyBytes_AS_STRING(buffer), PyBytes_AS_STRING(self._buffer), self.filled
        )
        self._buffer = buffer

    def add(self, bytes data, Py_ssize_t start, Py_ssize_t end, bytes mask):
        cdef Py_ssize_t size = end - start
        if start < 0 or size < 0 or end > len(data):
            raise ValueError("a part must lie within its data")
        if size > self._size - self.filled:
            raise ValueError("more bytes than the payload has")
        if self.filled + size > len(self._buffer):
            self._grow(self.filled + size)
        cdef char* target = PyBytes_AS_STRING(self._buffer) + self.filled
        cdef const char* source = PyBytes_AS_STRING(data) + start
        if mask:
            if len(mask) != 4:
                raise ValueError("a mask must have four bytes")
            _apply(source, target, size, PyBytes_AS_STRING(mask))
        else:
            memcpy(target, source, size)
        self.filled += size

    def rest(self):
        cdef Py_ssize_t wanted = min(self._size, self.filled + MIN_REST)
        if wanted > len(self._buffer):
            self._grow(wanted)
        return PyMemoryView_FromMemory(
            PyBytes_AS_STRING(self._buffer) + self.filled,
            len(self._buffer) - self.filled,
            PyBUF_WRITE,
        )

    def accept(self, Py_ssize_t size, bytes mask):
        if size < 0 or size > len(self._buffer) - self.filled:
            raise ValueError("more bytes than the payload has")
        cdef char* target = PyBytes_AS_STRING(self._buffer) + self.filled
        if mask:
            if len(mask) != 4:
                raise ValueError("a mask must have four bytes")
            _apply(target, target, size, PyBytes_AS_STRING(mask))
        self.filled += size

    def view(self):
        return memoryview(self._buffer)[: self.filled]

    def take(self):
        if self.filled < self._size:
            raise ValueError("the payload is incomplete")
        buffer, self._buffer = self._buffer, b""
        self._size = self.filled = 0
        return buffer


cdef void _apply(
    const char* source, char* target, Py_ssize_t size, const char* mask
) noexcept nogil:
    cdef uint32_t half
    cdef uint64_t key, word
    cdef Py_ssize_t position = 0
    memcpy(&half, mask, 4)
    key = (<uint64_t>half << 32) | half
    # Copied word by word: the data needn't be aligned, and the compiler makes plain
    # loads and stores of it, several words wide.
    while position + 8 <= size:
        memcpy(&word, source + position, 8)
        word ^= key
        memcpy(target + position, &word, 8)
        position += 8
    while position < size:
        target[position] = source[position] ^ mask[position & 3]
        position += 1
