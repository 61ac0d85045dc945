# The C types of flusher.py.

cimport cython


cdef class Flusher:
    cdef object _clock
    cdef int _corks
    cdef bint _scheduled
    cdef list _waiting
    cdef readonly double began
    cdef readonly object turns

    cpdef add(self, object connection)
    cpdef cork(self)
    cpdef uncork(self)
    @cython.locals(waiting=list)
    cdef _flush(self)
