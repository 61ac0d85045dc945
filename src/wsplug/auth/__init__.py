"""
Who a client is: Twisted's C{cred} for WebSockets, and for the pages beside them.

    - L{Authenticator} finds the credentials in a handshake, and has a C{Portal} judge
      them. Whoever fails too often is not heard for a while.
    - L{makePortal} makes that portal of what C{--auth} says: strings of Twisted's
      C{strcred}, of which C{token:} and C{jwt:} are wsplug's own.
    - L{Avatar} is what an application finds as C{request.avatar} then, unless a realm
      of one's own gives something else.
"""

from wsplug.auth.authenticator import Authenticator, Login
from wsplug.auth.checkers import makePortal
from wsplug.auth.credentials import BearerToken, LoginRefused, UsernamePassword
from wsplug.auth.realm import Avatar, Identity, Realm

__all__ = [
    "Authenticator",
    "Avatar",
    "BearerToken",
    "Identity",
    "Login",
    "LoginRefused",
    "Realm",
    "UsernamePassword",
    "makePortal",
]
