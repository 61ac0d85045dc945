# The C types of flusher.py.

cimport cython


cdef class Flusher:
    cdef object _clock
    cdef int _corks
    cdef bint _scheduled
    cdef long _turn
    cdef bint _turning
    cdef list _waiting
    cdef readonly double began

    cpdef add(self, object connection)
    cpdef long turn(self) except -1
    cpdef cork(self)
    cpdef uncork(self)
    @cython.locals(waiting=list)
    cdef _flush(self)
