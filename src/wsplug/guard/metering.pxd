# The C types of metering.py.

from wsplug.rates cimport TokenBucket


cdef class Meter:
    cdef readonly TokenBucket bytes
    cdef readonly TokenBucket messages
