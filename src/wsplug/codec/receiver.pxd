# The C types of receiver.py. Attributes are readonly for tests, which look at them.
# cython: language_level=3

cimport cython

from wsplug.codec._masking cimport unmask, unmask_behind


# Constants, as C integers.
cdef int FIN
cdef int RSV1
cdef int MAX_CONTROL_SIZE
cdef int OP_BINARY
cdef int OP_CLOSE
cdef int OP_CONTINUATION
cdef int OP_PING
cdef int OP_PONG
cdef int OP_TEXT

cdef Py_ssize_t _FRAGMENTS_AT_A_TIME
cdef Py_ssize_t _MAX_WHOLE
cdef Py_ssize_t _MIN_BUFFER

cdef class MessageReceiver:
    cdef readonly object _sink
    cdef readonly Py_ssize_t _limit
    cdef readonly object _inflater
    cdef readonly int _masked
    cdef readonly bytes _input
    cdef readonly Py_ssize_t _position
    cdef readonly bint _paused
    cdef readonly bint _running
    cdef readonly bint _stopped
    cdef readonly bytearray _head
    cdef readonly int _first
    cdef readonly Py_ssize_t _left
    cdef readonly bytes _mask
    cdef readonly bint _collecting
    cdef readonly bytearray _control
    cdef readonly int _opcode
    cdef readonly bint _compressed
    cdef readonly bytearray _message
    cdef readonly object _whole
    cdef readonly Py_ssize_t _updated
    cdef readonly Py_ssize_t _checked
    cdef readonly Py_ssize_t _wire_size
    cdef readonly Py_ssize_t _fragments
    cdef readonly Py_ssize_t _untold
    cdef readonly Py_ssize_t _max_fragments
    cdef readonly bytes _first_bytes

    cpdef feed(self, bytes data)
    cpdef get_buffer(self)
    @cython.locals(size=Py_ssize_t, message=bytearray)
    cpdef Py_ssize_t incomplete_size(self) except -1
    cpdef buffer_updated(self, Py_ssize_t size)
    cpdef pause(self)
    cpdef resume(self)
    @cython.locals(data=bytes, position=Py_ssize_t, size=Py_ssize_t, extra=int, behind=Py_ssize_t)
    cpdef Py_ssize_t look_ahead(self, Py_ssize_t seen) except? -1
    cpdef skip(self, Py_ssize_t size)
    cpdef stop(self)
    cdef _run(self)
    cdef _read(self)
    @cython.locals(
        data=bytes,
        start=Py_ssize_t,
        available=Py_ssize_t,
        first=int,
        second=int,
        size=Py_ssize_t,
        position=Py_ssize_t,
        extra=int,
        mask=bytes,
        end=Py_ssize_t,
        payload=bytes,
    )
    cdef _read_frame(self)
    @cython.locals(
        head=bytearray,
        data=bytes,
        position=Py_ssize_t,
        needed=Py_ssize_t,
        size=Py_ssize_t,
        extra=int,
    )
    cdef _read_head_slowly(self)
    cdef _begin_payload(self, int first, Py_ssize_t size, bytes mask)
    @cython.locals(
        start=Py_ssize_t,
        end=Py_ssize_t,
        data=bytes,
        mask=bytes,
        piece=bytes,
        size=Py_ssize_t,
        control=bytearray,
    )
    cdef _read_payload(self)
    @cython.locals(size=Py_ssize_t)
    cdef _read_buffer(self)
    @cython.locals(mask=bytes, turn=int)
    cdef _turn_mask(self, Py_ssize_t size)
    cdef _check_whole(self, object whole)
    @cython.locals(control=bytearray)
    cdef _end_payload(self)
    @cython.locals(rule=int)
    cdef _check_start(self, int first, int second)
    @cython.locals(room=Py_ssize_t, message=bytearray)
    cdef _check_size(self, int first, Py_ssize_t size)
    cdef _too_big(self)
    @cython.locals(opcode=int)
    cdef _begin_message(self, int first)
    @cython.locals(message=bytearray)
    cdef _collect(self, bytes piece)
    cdef _end_frame(self, int first)
    @cython.locals(message=bytearray, opcode=int)
    cdef _end_message(self)
    cdef _deliver_text(self, bytes payload)
    cdef _deliver_binary(self, bytes payload)
    cdef _deliver_control(self, int opcode, bytes payload)


@cython.locals(size=int, extra=int)
cdef Py_ssize_t _head_size(int second)
@cython.locals(size=Py_ssize_t)
cdef Py_ssize_t _extended_length(bytes data, Py_ssize_t position, int extra) except -1
cdef _check_close_prefix(bytearray payload)
