"""
Frames, compiled: header and payload written into one place.

Its contract is that of L{wsplug.codec.frames}.
"""

from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from cpython.unicode cimport PyUnicode_AsUTF8String, PyUnicode_GET_LENGTH
from libc.string cimport memcpy

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    void* PyUnicode_DATA(object text)


cpdef bytes encode_unmasked(int first, bytes payload):
    if payload is None:
        raise TypeError("a payload must be bytes")
    return _encode(first, PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload))


cpdef bytes encode_text(int first, str text):
    if text is None:
        raise TypeError("a text must be a str")
    if PyUnicode_IS_COMPACT_ASCII(text):
        # Its bytes are its UTF-8.
        return _encode(
            first, <const char*>PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text)
        )
    return encode_unmasked(first, PyUnicode_AsUTF8String(text))


cdef bytes _encode(int first, const char* payload, Py_ssize_t size):
    cdef Py_ssize_t extra = 0 if size < 126 else 2 if size < 0x10000 else 8
    cdef bytes frame = PyBytes_FromStringAndSize(NULL, 2 + extra + size)
    cdef unsigned char* target = <unsigned char*>PyBytes_AS_STRING(frame)
    cdef Py_ssize_t rest = size
    cdef Py_ssize_t position
    target[0] = first
    target[1] = size if not extra else 126 if extra == 2 else 127
    for position in range(1 + extra, 1, -1):
        target[position] = rest & 0xFF
        rest >>= 8
    memcpy(target + 2 + extra, payload, size)
    return frame
