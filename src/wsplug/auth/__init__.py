"""
Authentication: Twisted's C{cred} for WebSockets and pages.

    - L{Authenticator} finds the credentials in a handshake, and logs in with a
      C{Portal}. Clients that fail too often have to wait.
    - L{makePortal} makes the portal from C{--auth}: strings of Twisted's C{strcred}.
      C{token:} and C{jwt:} are wsplug's own.
    - L{Avatar} is the application's C{request.avatar}, unless you use your own realm.
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
