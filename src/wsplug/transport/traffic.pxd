# The C types of traffic.py.


cdef class Traffic:
    cdef readonly str application
    cdef public long long connections
    cdef public long long receivedMessages
    cdef public long long receivedBytes
    cdef public long long sentMessages
    cdef public long long sentBytes
    cdef public object latency

    cpdef observe(self, double began)
