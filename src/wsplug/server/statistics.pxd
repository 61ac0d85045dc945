# The C types of statistics.py.


cdef class Traffic:
    cdef readonly str application
    cdef public long long connections
    cdef public long long receivedMessages
    cdef public long long receivedBytes
    cdef public long long sentMessages
    cdef public long long sentBytes
    cdef public object latency

    cpdef observe(self, double began)


cdef class Statistics:
    cdef public object serving
    cdef readonly dict traffic
    cdef readonly dict handshakes
    cdef readonly dict closings
    cdef readonly object departures
    cdef readonly object refusals
    cdef readonly bint measuring
    cdef public long long stalls
    cdef readonly set stalled
    cdef readonly dict reactorStalls
