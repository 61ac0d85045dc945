# The C types of inboundlimits.py.

from wsplug.guard.metering cimport Meter

cdef Py_ssize_t _FRAGMENT
cdef Py_ssize_t _SHARE
cdef Py_ssize_t _UNCOUNTED


cdef class InboundLimits:
    cdef object _budget
    cdef Meter _meter
    cdef object _owner
    cdef bint _yields
    cdef Py_ssize_t _share
    cdef Meter _shared
    cdef object _scheduler
    cdef Py_ssize_t _incomplete
    cdef readonly object account
    cdef readonly bint isMetered

    cpdef takeBytes(self, Py_ssize_t size, double now)
    cpdef takeMessage(self, double now)
    cpdef takeInflated(self, Py_ssize_t size, double now)
    cpdef takeFragments(self, Py_ssize_t count)
    cdef _spend(self, Py_ssize_t size)
    cpdef reserve(self, Py_ssize_t size)
    cdef _meterBytes(self, Py_ssize_t size, double now)
