# The C types of prepared.py.

cimport cython


cdef class PreparedMessage:
    cdef readonly bint isText
    cdef readonly bytes payload
    cdef bytes _plain
    cdef dict _compressed

    @cython.locals(frame=bytes, compressed=bytes)
    cpdef bytes frame(self, object deflater)
