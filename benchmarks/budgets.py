"""The goals: each is a ratio to a named server, measured side by side in one run."""

from __future__ import annotations

from benchmarks.statistics import Budget

_KINDS = ("text", "binary")


def _echo(shape: str, peer: str, goal: float) -> list[Budget]:
    return [Budget(f"{shape}-{kind}", goal, peer) for kind in _KINDS]


_COMPILED = (
    *_echo("echo-1", "autobahn", 5),
    *_echo("echo-1", "picows", 1),
    *_echo("echo-1", "c-raw", 0.75),
    *_echo("echo-16", "autobahn", 25),
    *_echo("echo-16", "picows", 8),
    *_echo("echo-1m", "autobahn", 8),
    *_echo("echo-1m", "picows", 1),
    Budget("fanout-1", 4, "autobahn"),
    Budget("fanout-1", 1.1, "picows"),
    Budget("fanout-8", 7, "autobahn"),
    Budget("fanout-8", 6, "picows"),
    Budget("fanout-deflate-1", 20, "autobahn"),
    Budget("fanout-deflate-8", 20, "autobahn"),
    Budget("handshakes", 3, "autobahn"),
    Budget("idle-deflate", 3 * 1024, at_most=True),
    Budget("idle-deflate", 0.4, "autobahn", peer_workload="idle", at_most=True),
)


def _without_compiler() -> list[Budget]:
    """The pure build, compared with Autobahn without its native code, on each of
    those lines. For memory, 1.5 times as good means two thirds.
    """
    workloads = dict.fromkeys(each.workload for each in _COMPILED)
    found = [
        Budget(name, 1.5, "autobahn-pure", server="wsplug-pure")
        for name in workloads
        if name != "idle-deflate"
    ]
    found.append(
        Budget(
            "idle-deflate",
            1 / 1.5,
            "autobahn-pure",
            peer_workload="idle",
            at_most=True,
            server="wsplug-pure",
        )
    )
    return found


BUDGETS: tuple[Budget, ...] = (*_COMPILED, *_without_compiler())
