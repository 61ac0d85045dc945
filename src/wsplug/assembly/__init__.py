"""
From a configuration to a service: what C{twistd wsplug}, C{wsplug check} and a service
tree of your own share::

    from wsplug.assembly import assemble, readConfiguration

    parts = assemble(readConfiguration("wsplug.toml"), reactor)
    parts.makeService().setServiceParent(application)

    - L{Configuration} has a group for each kind of options.
    - L{readConfiguration} reads one from a file; L{combine} makes one of a command line
      and a file.
    - L{assemble} makes everything that it speaks of. What is wrong about it is found
      then, before anything listens.
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
