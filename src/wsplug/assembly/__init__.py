"""
From a configuration to a service. C{twistd wsplug}, C{wsplug check} and your own
service tree share this::

    from wsplug.assembly import assemble, readConfiguration

    parts = assemble(readConfiguration("wsplug.toml"), reactor)
    parts.makeService().setServiceParent(application)

    - L{Configuration} has a group for each kind of option.
    - L{readConfiguration} reads one from a file. L{combine} makes one from a command
      line and a file.
    - L{assemble} makes all parts of the server. It reports errors in the configuration
      before the server listens.
"""

from wsplug.assembly.combining import combine, readConfiguration
from wsplug.assembly.configuration import Configuration, Listening, Operation
from wsplug.assembly.file import readFile
from wsplug.assembly.parts import Parts, assemble

__all__ = [
    "Configuration",
    "Listening",
    "Operation",
    "Parts",
    "assemble",
    "combine",
    "readConfiguration",
    "readFile",
]
