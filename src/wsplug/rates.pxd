# The C types of rates.py.

cimport cython


cdef class TokenBucket:
    cdef double _capacity
    cdef double _rate
    cdef double _tokens
    cdef double _updated

    cpdef bint spend(self, double amount, double now) except -1
    @cython.locals(missing=double)
    cpdef double take(self, double now) except -1
    cpdef refund(self)
    cpdef bint isFull(self, double now) except -1
    @cython.locals(passed=double)
    cdef _refill(self, double now)
