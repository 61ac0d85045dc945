cpdef bytes receive(object source)
cpdef Py_ssize_t send(object target, bytes data) except -1
cpdef Py_ssize_t send_pieces(object target, list pieces) except -1
