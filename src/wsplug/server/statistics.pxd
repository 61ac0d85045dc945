# The C types of statistics.py.


cdef class Statistics:
    cdef public object serving
    cdef readonly dict traffic
    cdef readonly dict handshakes
    cdef readonly dict closings
    cdef readonly object disconnects
    cdef readonly object refusals
    cdef readonly bint measuring
    cdef public long long stalls
    cdef readonly set stalled
    cdef readonly dict reactorStalls
