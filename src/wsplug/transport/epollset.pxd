# The C types of epollset.py.

cimport cython

from wsplug.transport.flusher cimport Flusher

cdef int _READABLE
cdef int _WRITABLE
cdef int _ENDED
cdef int _BROKEN
cdef int _GONE
cdef int _PASS


cdef class EpollSet:
    cdef object _reactor
    cdef Flusher _flusher
    cdef object _epoll
    cdef dict _descriptors
    cdef dict _events
    cdef bint _serving
    cdef list _finished

    @cython.locals(before=int, after=int)
    cdef _change(self, object descriptor, int add, int remove)
    cpdef finish(self, object descriptor)
    cdef _begin(self)
    cdef _end(self)
    cdef _serve(self, object descriptor, object fd, int event)
    cdef _disconnect(self, object descriptor, object why, bint reading)
