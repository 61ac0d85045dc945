# The C types of broadcasting.py.

cimport cython

from wsplug.server.connection cimport Connection
from wsplug.server.prepared cimport PreparedMessage


@cython.locals(prepared=PreparedMessage, connection=Connection)
cpdef broadcast(object message, object transports)
