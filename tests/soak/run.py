"""
Hold a server under a mixed load, and check all that it does::

    python tests/soak/run.py --minutes 5 --connections 5000
    python tests/soak/run.py --quick
    python tests/soak/run.py --minutes 60 -- --max-send-buffer-total 64MiB

What stands behind C{--} is given to C{twistd wsplug}.

Exit status: 0 when all was as it has to be; 1 when something was not; 2 when the run
could not begin; 130 when it was interrupted.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # As a script it has its own folder in the module search path, in place of the
    # project's root that the absolute imports start from.
    sys.path[0] = str(Path(__file__).resolve().parents[2])

    from tests.soak.command import main

    sys.exit(main())
