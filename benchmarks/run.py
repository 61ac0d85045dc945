"""
Measure wsplug beside other WebSocket servers::

    python benchmarks/run.py
    python benchmarks/run.py --quick
    python benchmarks/run.py --only echo-1-text,fanout-8 --servers wsplug,autobahn

C{docs/explanation/benchmarks.md}, which a full run writes, tells what is measured and
how.

Exit status: 0 when each measurement came to its end with right answers; 1 when one did
not; 2 when the run could not begin; 130 when it was interrupted.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # As a script it has its own folder in the module search path, in place of the
    # project's root that the absolute imports start from.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

    from benchmarks.command import main

    sys.exit(main())
