"""
Sockets, compiled: the system's calls themselves.

Its contract is that of L{wsplug.transport.sockets}. The interpreter's lock is kept: the
sockets don't block, and giving it away and getting it back takes longer than most of
these calls.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from cpython.exc cimport PyErr_SetFromErrno
from cpython.mem cimport PyMem_Malloc
from libc.errno cimport EAGAIN, EINTR, errno
from libc.string cimport memset

cdef extern from "sys/socket.h" nogil:
    ssize_t recv(int fd, void *buffer, size_t size, int flags)
    ssize_t c_send "send"(int fd, const void *buffer, size_t size, int flags)

cdef extern from "sys/uio.h" nogil:
    cdef struct iovec:
        void *iov_base
        size_t iov_len

cdef extern from "sys/socket.h" nogil:
    cdef struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen

    ssize_t sendmsg(int fd, const msghdr *message, int flags)

cdef extern from *:
    """
    #ifndef MSG_NOSIGNAL  /* where Python itself ignores SIGPIPE */
    #define MSG_NOSIGNAL 0
    #endif
    """
    int MSG_NOSIGNAL

from wsplug.transport import sockets

# It has made its constants before it imports this.
cdef Py_ssize_t READ_SIZE = sockets.READ_SIZE
cdef Py_ssize_t MAX_PIECES = sockets._MAX_PIECES

# All connections share it, as below.
cdef bytearray _memory = bytearray(READ_SIZE)
cdef char* _buffer = _memory


cpdef bytes receive(object source):
    cdef int fd = source.fileno()
    cdef ssize_t size = recv(fd, _buffer, READ_SIZE, 0)
    if size >= 0:
        return PyBytes_FromStringAndSize(_buffer, size)
    if errno == EAGAIN or errno == EINTR:
        return None
    PyErr_SetFromErrno(OSError)


cpdef Py_ssize_t send(object target, bytes data) except -1:
    cdef int fd = target.fileno()
    cdef ssize_t sent = c_send(
        fd, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), MSG_NOSIGNAL
    )
    return sent if sent > 0 else 0


# What is sent in one call. All connections share it: nothing else runs meanwhile.
cdef Py_buffer* _buffers = <Py_buffer*>PyMem_Malloc(MAX_PIECES * sizeof(Py_buffer))
cdef iovec* _vectors = <iovec*>PyMem_Malloc(MAX_PIECES * sizeof(iovec))
if _buffers == NULL or _vectors == NULL:
    raise MemoryError


cpdef Py_ssize_t send_pieces(object target, list pieces) except -1:
    cdef Py_ssize_t count = len(pieces)
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t total = 0
    cdef Py_ssize_t size, sent
    cdef int fd
    if count == 1 and type(pieces[0]) is bytes:
        return send(target, pieces[0])
    fd = target.fileno()
    while first < count:
        size = 0
        sent = _send_some(fd, pieces, first, min(count - first, MAX_PIECES), &size)
        total += sent
        if sent < size:
            break
        first += MAX_PIECES
    return total


cdef Py_ssize_t _send_some(
    int fd, list pieces, Py_ssize_t first, Py_ssize_t count, Py_ssize_t* size
) except -1:
    cdef msghdr message
    cdef Py_ssize_t filled = 0
    cdef ssize_t sent
    try:
        while filled < count:
            PyObject_GetBuffer(pieces[first + filled], &_buffers[filled], PyBUF_SIMPLE)
            _vectors[filled].iov_base = _buffers[filled].buf
            _vectors[filled].iov_len = _buffers[filled].len
            size[0] += _buffers[filled].len
            filled += 1
        memset(&message, 0, sizeof(message))
        message.msg_iov = _vectors
        message.msg_iovlen = count
        sent = sendmsg(fd, &message, MSG_NOSIGNAL)
    finally:
        while filled:
            filled -= 1
            PyBuffer_Release(&_buffers[filled])
    return sent if sent > 0 else 0
