# The C types of inputgate.py.

cimport cython

from wsplug.codec.receiver cimport MessageReceiver
from wsplug.transport.flusher cimport Flusher

cdef int _APPLICATION
cdef Py_ssize_t _READ_ON


cdef class InputGate:
    cdef Flusher _flusher
    cdef bint _readPaused
    cdef object _owner
    cdef MessageReceiver _receiver
    cdef object _transport
    cdef public double heard
    cdef readonly int reasons

    cpdef pause(self, int reason)
    @cython.locals(flusher=Flusher)
    cpdef resume(self, int reason)
    cpdef keep(self, Py_ssize_t size)
    cpdef pauseReading(self)
    cpdef open(self)
    cdef _resumeReading(self)
    cdef _readAgain(self)
