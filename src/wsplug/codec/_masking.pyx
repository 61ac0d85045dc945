"""
Masking, compiled: the exclusive-or of eight bytes at a time.

Its contract is that of L{wsplug.codec.masking}.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy


cpdef bytes unmask(bytes data, Py_ssize_t start, Py_ssize_t end, bytes mask):
    if len(mask) != 4 or start < 0 or end < start or end > len(data):
        raise ValueError("a mask has four bytes, and a part lies within its data")
    cdef bytes result = PyBytes_FromStringAndSize(NULL, end - start)
    _apply(
        PyBytes_AS_STRING(data) + start,
        PyBytes_AS_STRING(result),
        end - start,
        PyBytes_AS_STRING(mask),
    )
    return result


cpdef bytes apply_mask(bytes data, bytes mask):
    return unmask(data, 0, len(data), mask)


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
