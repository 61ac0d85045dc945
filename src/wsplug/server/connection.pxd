# The C types of connection.py.

cimport cython

from wsplug.codec.receiver cimport MessageReceiver
from wsplug.server.inputgate cimport InputGate
from wsplug.server.inboundlimits cimport InboundLimits
from wsplug.server.prepared cimport PreparedMessage
from wsplug.server.statistics cimport Statistics
from wsplug.transport.flusher cimport Flusher
from wsplug.transport.sendqueue cimport SendQueue
from wsplug.transport.traffic cimport Traffic

# Constants, as C integers.
cdef int FIN
cdef int RSV1
cdef int MAX_CONTROL_SIZE
cdef int OP_BINARY
cdef int OP_PING
cdef int OP_PONG
cdef int OP_TEXT
cdef int PAUSED_BY_APPLICATION


cdef class Connection:
    cdef object _application
    cdef object _closing
    cdef object _deflater
    cdef Flusher _flusher
    cdef object _handlers
    cdef bint _inflates
    cdef bint _overlaps
    cdef MessageReceiver _receiver
    cdef object _served
    cdef Statistics _statistics
    cdef Traffic _traffic
    cdef object _whenLost
    cdef readonly object context
    cdef readonly InputGate gate
    cdef readonly InboundLimits limits
    cdef public bint isOpen
    cdef readonly object keepalive
    cdef readonly double opened
    cdef readonly object output
    cdef readonly SendQueue queue
    cdef readonly object request
    cdef readonly object transport

    @cython.locals(
        flusher=Flusher, gate=InputGate, limits=InboundLimits, receiver=MessageReceiver
    )
    cdef _take(self, Py_ssize_t size, bytes data)
    cpdef dataReceived(self, bytes data)
    cpdef text_received(self, str message)
    cpdef binary_received(self, bytes message)
    @cython.locals(
        limits=InboundLimits, statistics=Statistics, traffic=Traffic, began=double
    )
    cdef _deliver(self, object message, bint isText)
    @cython.locals(deflater=object, frame=bytes)
    cpdef sendPrepared(self, PreparedMessage message)
    @cython.locals(first=int, compressed=bytes)
    cdef _sendMessage(self, int opcode, bytes payload)
