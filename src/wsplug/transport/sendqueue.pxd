# The C types of sendqueue.py.

cimport cython

from wsplug.codec._frames cimport encode_text, encode_unmasked
from wsplug.transport._sockets cimport send_pieces
from wsplug.transport.flusher cimport Flusher
from wsplug.transport.traffic cimport Traffic

cdef Py_ssize_t _BATCH
cdef Py_ssize_t _CORK_SIZE
cdef Py_ssize_t _APART_SIZE


cdef class SendQueue:
    cdef object _transport
    cdef object _socket
    cdef object _budget
    cdef Py_ssize_t _counted
    cdef Flusher _flusher
    cdef Traffic _traffic
    cdef object _owner
    cdef list _pieces
    cdef Py_ssize_t _queued
    cdef Py_ssize_t _handed
    cdef bint _dirty
    cdef readonly bint blocked
    cdef bint _telling
    cdef object _whenEmpty

    cpdef bint tellDrained(self) except -1
    @cython.locals(size=Py_ssize_t, header=bytes)
    cpdef frame(self, int first, bytes payload)
    cpdef text(self, int first, str text)
    @cython.locals(pieces=list)
    cpdef write(self, bytes frame)
    cdef _added(self, Py_ssize_t size)
    cpdef flush(self)
    @cython.locals(pieces=list, sent=Py_ssize_t)
    cdef _send(self)
    @cython.locals(pieces=list, size=Py_ssize_t)
    cdef _hand(self)
    @cython.locals(count=Py_ssize_t, taken=list)
    cdef list _cut(self, list pieces, Py_ssize_t size)
    @cython.locals(pieces=list, count=Py_ssize_t, size=Py_ssize_t)
    cpdef dropUnsent(self)
    cpdef discard(self)
    @cython.locals(waiting=Py_ssize_t)
    cdef _count(self)
