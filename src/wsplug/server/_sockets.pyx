"""
Sockets, compiled: the system's calls themselves.

Its contract is that of L{wsplug.server.sockets}. The interpreter's lock is kept: the
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

cdef enum:
    READ_SIZE = 262144
    # More than these are made one first: they are small.
    MAX_PIECES = 64

cdef char _buffer[READ_SIZE]


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


cpdef Py_ssize_t send_pieces(object target, list pieces) except -1:
    cdef Py_ssize_t count = len(pieces)
    if count > MAX_PIECES:
        return send(target, b"".join(pieces))
    cdef int fd = target.fileno()
    cdef Py_buffer buffers[MAX_PIECES]
    cdef iovec vectors[MAX_PIECES]
    cdef msghdr message
    cdef Py_ssize_t filled = 0
    cdef ssize_t sent
    try:
        while filled < count:
            PyObject_GetBuffer(pieces[filled], &buffers[filled], PyBUF_SIMPLE)
            vectors[filled].iov_base = buffers[filled].buf
            vectors[filled].iov_len = buffers[filled].len
            filled += 1
        memset(&message, 0, sizeof(message))
        message.msg_iov = vectors
        message.msg_iovlen = count
        sent = sendmsg(fd, &message, MSG_NOSIGNAL)
    finally:
        while filled:
            filled -= 1
            PyBuffer_Release(&buffers[filled])
    return sent if sent > 0 else 0
