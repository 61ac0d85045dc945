# The C types of connection.py.

cimport cython

from wsplug.codec.receiver cimport MessageReceiver
from wsplug.transport.flusher cimport Flusher
from wsplug.server.intake cimport Intake
from wsplug.server.prepared cimport PreparedMessage
from wsplug.transport.sendqueue cimport SendQueue
from wsplug.server.statistics cimport Statistics
from wsplug.transport.traffic cimport Traffic

# Constants, as C integers.
cdef int FIN
cdef int RSV1
cdef int MAX_CONTROL_SIZE
cdef int OP_BINARY
cdef int OP_CLOSE
cdef int OP_PING
cdef int OP_PONG
cdef int OP_TEXT
cdef Py_ssize_t _READ_ON
cdef int _HELD_BY_APPLICATION
cdef int _HELD_BY_OUTPUT
cdef int _HELD_TO_REST


cdef class Connection:
    cdef readonly object request
    cdef readonly Intake intake
    cdef object _application
    cdef object _burst
    cdef object _closeDeadline
    cdef object _closed
    cdef Py_ssize_t _compressFrom
    cdef object _context
    cdef object _deflater
    cdef list _drained
    cdef Flusher _flusher
    cdef double _handlerTimeout
    cdef object _handlers
    cdef double _heard
    cdef int _held
    cdef bint _inflates
    cdef bint _isOpen
    cdef object _keepalive
    cdef object _late
    cdef object _left
    cdef bint _overlaps
    cdef bint _parting
    cdef bint _paused
    cdef object _producer
    cdef object _progress
    cdef SendQueue _queue
    cdef MessageReceiver _receiver
    cdef object _rules
    cdef object _sendDeadline
    cdef object _state
    cdef Statistics _statistics
    cdef Traffic _traffic
    cdef object _transport
    cdef object _whenLost
    cdef readonly double opened

    cdef _advance(self, object event)
    @cython.locals(flusher=Flusher, unfinished=Py_ssize_t)
    cpdef dataReceived(self, bytes data)
    @cython.locals(intake=Intake, statistics=Statistics, traffic=Traffic, began=double)
    cpdef text_received(self, str message)
    @cython.locals(intake=Intake, statistics=Statistics, traffic=Traffic, began=double)
    cpdef binary_received(self, bytes message)
    @cython.locals(deflater=object, frame=bytes)
    cpdef sendPrepared(self, PreparedMessage message)
    cdef _sendText(self, str text)
    @cython.locals(first=int, compressed=bytes)
    cdef _sendMessage(self, int opcode, bytes payload)
    @cython.locals(waiting=Py_ssize_t)
    cdef bint _mayWait(self, Py_ssize_t size) except -1
