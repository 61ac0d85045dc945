"""
Measure the server with the fuzzing client of the Autobahn testsuite.

To be run from the root of a checkout, with the Python that wsplug is installed in::

    python tests/conformance/run.py
    python tests/conformance/run.py --cases '1.*,5.*'
    python tests/conformance/run.py --server-command 'other-server --port {port}'

The testsuite runs under Python 2.7 only. The command looks for one (option
C{--python27}, environment variable C{PYTHON27}, C{python2.7} on C{PATH}, the versions
of pyenv) and installs the testsuite for it from PyPI, once, in a virtual environment
under C{build/conformance}. One of its dependencies is an extension module, which takes
a C compiler. C{--help} tells the other options.

Where the time goes: the 217 cases of the groups 12 and 13 send 1000 messages each and
wait for the echo of one before they send the next. Most of that time is spent in the
testsuite (it decodes the whole of its test data anew for each message, compresses, and
takes two hashes), so that several fuzzing clients side by side (C{--shards}) shorten a
run until the cores are used up.

Exit status: 0 when every case passed; 1 when one did not, or when the server or the
testsuite did not get to the end; 2 when the run could not be set up (no Python 2.7, a
wrong option); 130 when it was interrupted.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # As a script it has its own folder in the module search path, in place of the
    # project's root that the absolute imports start from.
    sys.path[0] = str(Path(__file__).resolve().parents[2])

    from tests.conformance.command import main

    sys.exit(main())
