"""One soak, from the server's start to its end."""

from __future__ import annotations

import json
import re
import secrets
import selectors
import signal
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.live.certificates import Authority
from tests.processes import HOST, TCP, Server, portOf, waitUntil
from tests.soak.crowd import Plan
from tests.soak.ledger import Ledger
from tests.soak.verdict import SPARE_DESCRIPTORS, Evidence
from tests.soak.watch import Watch, busy, isReady, scrape

__all__ = ["Scale", "soak"]

_ROOT: Final = Path(__file__).parents[2]

_PINGS: Final = 8
"""Seconds of silence after which a client is pinged, and seconds that its pong may
take.
"""

_SEND_TIMEOUT: Final = 6

_HANGUPS: Final = 20.0
"""Seconds between two SIGHUPs."""


@dataclass(frozen=True)
class Scale:
    """The size and duration.

    @ivar seconds: from when all clients have connected.
    @ivar connections: simultaneous ones, of all crowds.
    @ivar crowds: the number of client processes.
    """

    seconds: float
    connections: int
    crowds: int

    @property
    def ramp(self) -> float:
        """Seconds during which all clients connect."""
        return max(2.0, self.connections / 250)

    @property
    def session(self) -> float:
        """The average length of a session, in seconds."""
        return min(40.0, self.seconds / 4)


class _Crowd:
    """A process full of clients, as seen from outside."""

    def __init__(self, path: Path, plan: Plan) -> None:
        plan.write(path)
        self._path = path
        self._err = path.with_suffix(".err")
        with self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.soak.crowd", str(path)],
                cwd=_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=err,
                start_new_session=True,
            )

    def say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(word.encode() + b"\n")
        self._process.stdin.flush()

    def wait(self, word: str, seconds: float) -> str:
        """Wait until it prints a word.

        @return: the text after it.
        @raise AssertionError: it has ended, or hasn't printed it in time.
        """
        out = self._process.stdout
        assert out is not None
        with selectors.DefaultSelector() as selector:
            selector.register(out, selectors.EVENT_READ)
            if not selector.select(seconds):
                raise AssertionError(f"a crowd is not {word} in {seconds:g} seconds")
        line = out.readline().decode().strip()
        if not line.startswith(word):
            raise AssertionError(f"a crowd has ended: {self._err.read_text('utf-8')}")
        return line[len(word) :].strip()

    def result(self) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(self._path.read_text("utf-8"))
        return result

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


@contextmanager
def _serving(
    folder: Path, authority: Authority, token: str, more: Sequence[str]
) -> Iterator[Server]:
    (folder / "tokens").write_text(token, "ascii")
    authority.issue("soak", HOST).write(folder)
    arguments = [
        *("--app=echo", "--app=chat", "--app=bot", "--app=push:token-file=tokens"),
        *(
            "--app=ticker",
            "--app=process:command=cat -u:max-programs=200:max-address-programs=200",
        ),
        f"--app={_ROOT / 'examples' / 'shout.py'}",
        f"--app={Path(__file__).with_name('abused.py')}",
        *("--port=0", f"--interface={HOST}"),
        *("--tls-cert=server.pem", "--tls-key=server.key"),
        *(f"--admin={TCP}", "--metrics=yes", "--broker=sqlite:soak.db"),
        *("--exempt=none", "--cool-down=2", f"--send-timeout={_SEND_TIMEOUT}"),
        *(f"--ping-interval={_PINGS}", f"--ping-timeout={_PINGS}"),
        *more,
    ]
    # The option port has such a backlog, but Twisted's default is shorter: many clients
    # may connect at once. A client that finds no room retries after one second, three,
    # or seven.
    with Server(folder, arguments, listen=(f"{TCP}:backlog=1024",)) as server:
        yield server


def _ports(server: Server) -> list[int]:
    """
    Give the ports, in the order of L{_serving}: TLS, plain, and that of operators.
    """
    found: list[str] = []

    def listens() -> bool:
        found[:] = re.findall(r"listen(?:ing|s) on (\S+)$", server.log, re.M)
        return len(found) == 3

    waitUntil(listens, "the server listens on all ports")
    return [portOf(address) for address in found]


def soak(scale: Scale, folder: Path, more: Sequence[str] = ()) -> Evidence:
    """
    Run it.

    @param folder: for all files.
    @param more: arguments for C{twistd wsplug}.
    @raise AssertionError: something did not come to its end in time, or ended before.
    """
    authority = Authority()
    token = secrets.token_hex(16)
    pem = authority.pem.decode("ascii")
    trust = ssl.create_default_context(cadata=pem)
    with ExitStack() as stack:
        server = stack.enter_context(_serving(folder, authority, token, more))
        tls, plain, admin = _ports(server)
        # The pipes of its applications' programs.
        waitUntil(lambda: isReady(admin), "all applications have started")
        before = server.descriptors()
        watch = Watch(server, plain, tls, admin, trust)
        watch.begin()
        stack.callback(watch.leave)
        crowds = []
        for number in range(scale.crowds):
            plan = Plan(
                number,
                scale.crowds,
                scale.connections // scale.crowds,
                plain,
                tls,
                pem,
                token,
                scale.ramp,
                scale.session,
                2 * _PINGS + 20.0,
            )
            crowds.append(_Crowd(folder / f"crowd-{number}.json", plan))
            stack.callback(crowds[-1].kill)
        _progress(f"{scale.connections} clients connect")
        for crowd in crowds:
            crowd.wait("ready", scale.ramp + 120)
        _progress(f"they are there, for {scale.seconds:g} seconds")
        began, used = time.monotonic(), busy(server)
        held, hangups = _hold(scale.seconds, server, folder, authority, admin)
        share = (busy(server) - used) / (time.monotonic() - began)
        ended = time.monotonic()
        _tell(crowds, "hush", "quiet", 90)
        stayed = sum(map(int, _tell(crowds, "finish", "finished", 120)))
        watch.end()
        _progress("all but those who are idle have gone")
        most = before + stayed + SPARE_DESCRIPTORS
        with suppress(AssertionError):
            # What isn't true in time is judged with everything else.
            waitUntil(lambda: server.descriptors() <= most, "they have", 20)
        evidence = Evidence(
            server_busy=share,
            wanted=scale.connections,
            held=held,
            hangups=hangups,
            stayed=stayed,
            descriptors=(before, server.descriptors()),
            metrics=scrape(admin),
            latencies=watch.latencies,
            connecting=watch.connecting,
            memory=[each for each in watch.memory if began <= each[0] <= ended],
            scrapes=watch.scrapes,
            samples=watch.samples,
            seconds=ended - began,
        )
        for crowd in crowds:
            crowd.say("end")
        moment = time.monotonic()
        server.signal(signal.SIGTERM)
        evidence.status = server.wait(60)
        evidence.stopping = time.monotonic() - moment
        watch.leave()
        for crowd in crowds:
            crowd.wait("ended", 90)
        evidence.log = server.log + server.err
        evidence.counts = Counter(watch.counts)
        evidence.problems = list(watch.problems)
        ledger = Ledger()
        for crowd in crowds:
            result = crowd.result()
            evidence.counts.update(result["counts"])
            evidence.problems += result["problems"]
            evidence.crowds_busy.append(result["busy"])
            evidence.crowds_late.append(result["late"])
            ledger.add(result["ledger"])
        evidence.ledger = ledger
    return evidence


def _tell(crowds: list[_Crowd], word: str, answer: str, seconds: float) -> list[str]:
    for crowd in crowds:
        crowd.say(word)
    return [crowd.wait(answer, seconds) for crowd in crowds]


def _hold(
    seconds: float, server: Server, folder: Path, authority: Authority, admin: int
) -> tuple[int, int]:
    """Wait, and reload a new certificate now and then.

    @return: the lowest number of connections seen, and the number of certificates.
    """
    deadline = time.monotonic() + seconds
    step = min(_HANGUPS, seconds / 3)
    least, hangups = sys.maxsize, 0
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(step, left))
        if server.ended:
            raise AssertionError(f"the server has ended:\n{server.log[-4000:]}")
        values = scrape(admin).items()
        count = sum(each for key, each in values if key[0] == "wsplug_connections")
        least = min(least, int(count))
        authority.issue("soak", HOST).write(folder)
        server.signal(signal.SIGHUP)
        hangups += 1
    return least, hangups


def _progress(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
