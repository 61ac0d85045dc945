cpdef bytes unmask(bytes data, Py_ssize_t start, Py_ssize_t end, bytes mask)
cpdef bytes unmask_behind(bytes data, Py_ssize_t start, Py_ssize_t end)
cpdef bytes apply_mask(bytes data, bytes mask)
cdef void _apply(
    const char* source, char* target, Py_ssize_t size, const char* mask
) noexcept nogil


cdef class PayloadBuffer:
    cdef bytes _buffer
    cdef Py_ssize_t _size
    cdef readonly Py_ssize_t filled

    cdef _grow(self, Py_ssize_t needed)
