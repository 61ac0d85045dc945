# The C types of metering.py.

cimport cython


cdef class Meter:
    cdef double _at
    cdef double _byteBurst
    cdef double _byteRate
    cdef double _bytes
    cdef double _messageBurst
    cdef double _messageRate
    cdef double _messages
    cdef readonly str exhausted

    cpdef bint takeMessage(self, double now) except -1
    cpdef bint takeBytes(self, Py_ssize_t size, double now) except -1
    @cython.locals(passed=double)
    cdef bint _refill(self, double now) except -1
