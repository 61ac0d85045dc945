"""
C{python -m tests.conformance}: the same command as C{tests/conformance/run.py}.
"""

import sys

from tests.conformance.command import main

if __name__ == "__main__":
    sys.exit(main())
