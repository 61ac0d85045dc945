# The C types of frames.py.

cimport cython

from wsplug.codec._masking cimport apply_mask

cdef tuple _SHORT_HEADERS

cpdef bytes encode_header(int first, Py_ssize_t size, bint masked=*)
@cython.locals(size=Py_ssize_t, headers=tuple)
cpdef bytes encode_frame(int first, bytes payload, bytes mask=*)
