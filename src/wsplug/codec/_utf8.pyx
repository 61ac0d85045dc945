"""
UTF-8, compiled: many bytes of ASCII at a time, the rest by the table of RFC 3629
section 4.

Its contract is that of C{known_utf8} in L{wsplug.codec.utf8}.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint64_t
from libc.string cimport memcpy


cpdef Py_ssize_t known_utf8(object buffer, Py_ssize_t start, bint final) except? -1:
    cdef Py_buffer view
    PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
    try:
        if start < 0 or start > view.len:
            raise ValueError("the check must start within the buffer")
        return _known(<const unsigned char*>view.buf, start, view.len, final)
    finally:
        PyBuffer_Release(&view)


cdef Py_ssize_t _known(
    const unsigned char* text, Py_ssize_t position, Py_ssize_t end, bint final
) noexcept nogil:
    cdef unsigned char first, low, high
    cdef int size, index
    while position < end:
        first = text[position]
        if first < 0x80:
            position = _skip_ascii(text, position + 1, end)
            continue
        low = 0x80
        high = 0xBF
        if first < 0xE0:
            size = 2
            if first < 0xC2:  # a byte that goes on, or a longer form than is needed
                return -1
        elif first < 0xF0:
            size = 3
            if first == 0xE0:
                low = 0xA0
            elif first == 0xED:  # no surrogates
                high = 0x9F
        else:
            size = 4
            if first > 0xF4:
                return -1
            if first == 0xF0:
                low = 0x90
            elif first == 0xF4:  # nothing over U+10FFFF
                high = 0x8F
        if position + 1 == end:
            return -1 if final else position
        if text[position + 1] < low or text[position + 1] > high:
            return -1
        for index in range(2, size):
            if position + index == end:
                return -1 if final else position
            if text[position + index] & 0xC0 != 0x80:
                return -1
        position += size
    return position


cdef Py_ssize_t _skip_ascii(
    const unsigned char* text, Py_ssize_t position, Py_ssize_t end
) noexcept nogil:
    cdef uint64_t word, block
    cdef int index
    while position + 8 <= end:
        memcpy(&word, text + position, 8)
        if word & <uint64_t>0x8080808080808080:
            break
        position += 8
        # A loop that the compiler makes vectors of.
        while position + 64 <= end:
            block = 0
            for index in range(8):
                memcpy(&word, text + position + 8 * index, 8)
                block |= word
            if block & <uint64_t>0x8080808080808080:
                break
            position += 64
    return position
