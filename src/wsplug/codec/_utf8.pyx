"""
UTF-8, compiled: eight bytes of ASCII at a time, the rest by the table of RFC 3629
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
            raise ValueError("the check starts within the buffer")
        return _known(<const unsigned char*>view.buf, start, view.len, final)
    finally:
        PyBuffer_Release(&view)


cdef Py_ssize_t _known(
    const unsigned char* text, Py_ssize_t position, Py_ssize_t end, bint final
) noexcept nogil:
    cdef uint64_t word
    cdef unsigned char first
    cdef int low, high, size, index
    while position < end:
        if position + 8 <= end:
            memcpy(&word, text + position, 8)
            if not word & <uint64_t>0x8080808080808080:
                position += 8
                continue
        first = text[position]
        if first < 0x80:
            position += 1
            continue
        low = 0x80
        high = 0xBF
        if 0xC2 <= first <= 0xDF:
            size = 2
        elif 0xE0 <= first <= 0xEF:
            size = 3
            if first == 0xE0:  # no longer form than is needed
                low = 0xA0
            elif first == 0xED:  # no surrogates
                high = 0x9F
        elif 0xF0 <= first <= 0xF4:
            size = 4
            if first == 0xF0:
                low = 0x90
            elif first == 0xF4:  # nothing over U+10FFFF
                high = 0x8F
        else:
            return -1
        for index in range(1, size):
            if position + index == end:
                return -1 if final else position
            if not low <= text[position + index] <= high:
                return -1
            low = 0x80
            high = 0xBF
        position += size
    return position
