"""
What every broker does: the contract of L{IBroker}, for each that there is.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from zope.interface.verify import verifyObject

from tests.broker.conftest import KINDS, SMALL, Make, Recorder, makeBroker, result
from wsplug.broker import Position, Publication, Retention
from wsplug.broker.retention import OVERHEAD, channelCost
from wsplug.errors import PublicationTooLarge
from wsplug.interfaces import IBroker, IListsChannels


def test_interface(broker: IBroker) -> None:
    """
    It provides what it says.
    """
    assert verifyObject(IBroker, broker)


def test_publish_and_subscribe(broker: IBroker, clock: Clock) -> None:
    """
    Subscribers of a channel get what is published there, in order, and the publisher
    learns its number and time.
    """
    first, second, other = Recorder(), Recorder(), Recorder()
    position = result(broker.subscribe("a", first))
    assert position.offset == 0
    result(broker.subscribe("a", second))
    result(broker.subscribe("b", other))
    published = result(broker.publish("a", b"\x00one\xff"))
    expected = Publication(
        1, position.epoch, b"\x00one\xff", clock.seconds(), isStored=True
    )
    assert published == expected
    assert published.position == Position(1, position.epoch)
    assert result(broker.publish("a", b"two")).offset == 2
    assert first.got == second.got == [("a", 1, b"\x00one\xff"), ("a", 2, b"two")]
    assert other.got == []
    assert result(broker.publish("b", b"")).offset == 1
    assert other.got == [("b", 1, b"")]


def test_channels_are_listed(broker: Any) -> None:
    """
    Those with the most subscribers come first, then those published to most recently;
    with words that have to be in a name, others are left out.
    """
    assert verifyObject(IListsChannels, broker)
    for name in ("old", "new", "busy"):
        result(broker.publish(name, b"12345"))
    result(broker.publish("passing", b"x", store=False))
    for name, count in (("busy", 2), ("Quiet One", 1)):
        for _ in range(count):
            result(broker.subscribe(name, Recorder()))
    listed = result(broker.listChannels("", 10))
    assert [(each.name, each.subscribers, each.kept) for each in listed] == [
        ("busy", 2, 1),
        ("Quiet One", 1, 0),
        ("new", 0, 1),
        ("old", 0, 1),
    ]
    assert [each.size for each in listed] == [5 + OVERHEAD, 0] + 2 * [5 + OVERHEAD]
    assert [each.name for each in result(broker.listChannels("", 3))] == [
        "busy",
        "Quiet One",
        "new",
    ]
    assert [each.name for each in result(broker.listChannels("ONE quiet", 9))] == [
        "Quiet One"
    ]
    assert [each.name for each in result(broker.listChannels("ne", 9))] == [
        "Quiet One",
        "new",
    ]


def test_nobody_is_there(broker: IBroker) -> None:
    """
    What is published before anybody subscribes is kept all the same.
    """
    result(broker.publish("a", b"one"))
    late = Recorder()
    assert result(broker.subscribe("a", late)).offset == 1
    assert late.got == []
    history = result(broker.history("a"))
    assert [each.data for each in history.publications] == [b"one"]


def test_subscribed_twice(broker: IBroker) -> None:
    """
    A subscriber is called once for each publication, and one unsubscribe is enough.
    """
    recorder = Recorder()
    result(broker.subscribe("a", recorder))
    result(broker.subscribe("a", recorder))
    result(broker.publish("a", b"one"))
    assert recorder.data == [b"one"]
    result(broker.unsubscribe("a", recorder))
    result(broker.publish("a", b"two"))
    assert recorder.data == [b"one"]
    result(broker.unsubscribe("a", recorder))
    result(broker.unsubscribe("never", recorder))


@pytest.mark.parametrize("error", [LookupError, SystemExit])
def test_subscriber_that_fails(broker: IBroker, error: type[BaseException]) -> None:
    """
    It is logged, and costs the others nothing.
    """

    class Failing(Recorder):
        def published(self, channel: str, publication: Publication) -> None:
            raise error("mine")

    recorder = Recorder()
    result(broker.subscribe("a", Failing()))
    result(broker.subscribe("a", recorder))
    with capturedLogs() as logs:
        assert result(broker.publish("a", b"one")).offset == 1
    assert recorder.data == [b"one"]
    assert any(event.get("channel") == "a" for event in logs)


def test_subscribers_that_change(broker: IBroker) -> None:
    """
    Who unsubscribes others, or publishes, while it is called disturbs nobody.
    """
    order: list[str] = []

    class First(Recorder):
        def published(self, channel: str, publication: Publication) -> None:
            super().published(channel, publication)
            order.append("first")
            broker.unsubscribe("a", self)
            if publication.data == b"one":
                broker.publish("a", b"again")

    class Second(Recorder):
        def published(self, channel: str, publication: Publication) -> None:
            super().published(channel, publication)
            order.append(publication.data.decode())

    first, second = First(), Second()
    result(broker.subscribe("a", first))
    result(broker.subscribe("a", second))
    result(broker.publish("a", b"one"))
    assert first.data == [b"one"]
    assert sorted(second.data) == [b"again", b"one"]


# History


def _publish(broker: IBroker, *data: bytes, channel: str = "a") -> None:
    for each in data:
        result(broker.publish(channel, each))


def test_history(broker: IBroker) -> None:
    """
    The end of what is kept, or what came since a position; in order, as much as asked.
    """
    _publish(broker, b"1", b"2", b"3", b"4")
    whole = result(broker.history("a"))
    assert [each.offset for each in whole.publications] == [1, 2, 3, 4]
    assert whole.isComplete
    assert whole.position.offset == 4
    assert result(broker.history("a", limit=2)).publications == whole.publications[2:]
    epoch = whole.position.epoch
    since = result(broker.history("a", Position(1, epoch)))
    assert (since.publications, since.isComplete) == (whole.publications[1:], True)
    assert result(broker.history("a", whole.position)).publications == ()
    assert result(broker.history("a", Position(0, epoch))).isComplete


def test_more_than_is_wanted(broker: IBroker) -> None:
    """
    Of more than the limit, the latest come; who asked for all since a position is told
    that it isn't all.
    """
    _publish(broker, b"1", b"2", b"3", b"4")
    epoch = result(broker.history("a")).position.epoch
    for since, limit, offsets, isComplete in (
        (None, 2, [3, 4], True),
        (None, 0, [], True),
        (1, 3, [2, 3, 4], True),
        (1, 2, [3, 4], False),
        (1, 0, [], False),
        (4, 0, [], True),
        (9, 2, [3, 4], False),
    ):
        position = None if since is None else Position(since, epoch)
        history = result(broker.history("a", position, limit))
        assert [each.offset for each in history.publications] == offsets
        assert history.isComplete is isComplete
        assert history.position == Position(4, epoch)


def test_empty_channel_that_is_forgotten(broker: IBroker, clock: Clock) -> None:
    """
    Who was in a channel in which nothing was ever stored, and comes back, has missed
    nothing; unless something was, in the meantime.
    """
    recorder = Recorder()
    position = result(broker.subscribe("a", recorder))
    assert position.offset == 0
    result(broker.unsubscribe("a", recorder))
    result(broker.publish("a", b"typing", store=False))
    clock.pump([10.0] * 3)
    assert result(broker.history("a", position)).isComplete
    _publish(broker, b"1")
    history = result(broker.history("a", position))
    assert history.isComplete
    assert len(history.publications) == 1
    clock.pump([10.0] * 60)
    assert not result(broker.history("a", position)).isComplete


def test_history_of_nothing(broker: IBroker) -> None:
    """
    A channel that nobody has spoken of is there, and empty.
    """
    history = result(broker.history("never"))
    assert history.publications == ()
    assert history.position.offset == 0
    assert history.isComplete


@pytest.mark.parametrize(
    ("offset", "epoch"), [(2, "another"), (9, None), (-1, None), (0, None)]
)
def test_history_that_is_lost(broker: IBroker, offset: int, epoch: str | None) -> None:
    """
    Another life of the channel, a position that never was, and one from which on
    something is forgotten: it is said, and the end of what is there is given.
    """
    _publish(broker, *(b"%d" % number for number in range(1, 8)))
    position = result(broker.history("a")).position
    history = result(broker.history("a", Position(offset, epoch or position.epoch), 3))
    assert not history.isComplete
    assert [each.offset for each in history.publications] == [5, 6, 7]
    assert history.position == position


def test_kept_by_count(broker: IBroker) -> None:
    """
    No more publications are kept than that.
    """
    _publish(broker, *(b"%d" % number for number in range(1, 9)))
    history = result(broker.history("a"))
    assert [each.offset for each in history.publications] == [4, 5, 6, 7, 8]
    assert result(broker.history("a", Position(3, history.position.epoch))).isComplete
    assert not result(
        broker.history("a", Position(2, history.position.epoch))
    ).isComplete


def test_kept_by_size(broker: IBroker) -> None:
    """
    Nor more bytes.
    """
    _publish(broker, b"a" * 650, b"b" * 650, b"c" * 650)
    history = result(broker.history("a"))
    assert [each.offset for each in history.publications] == [2, 3]


@pytest.mark.parametrize("total", [10_000_000, 2000])
def test_too_large(make: Make, total: int) -> None:
    """
    What alone is more than is kept of a channel, or of all, is refused, not given a
    position that nobody can come back to: nobody gets it, and nothing is forgotten for
    it. The largest that may be is kept; and what isn't to be kept may be larger.
    """
    broker = make(Retention(size=min(total, 5000), total=total))
    most = min(total - channelCost("a"), 5000) - OVERHEAD
    recorder = Recorder()
    result(broker.subscribe("a", recorder))
    with pytest.raises(PublicationTooLarge, match=f"a: {most + 1} bytes; .* {most}$"):
        result(broker.publish("a", b"x" * (most + 1)))
    assert result(broker.publish("a", b"x" * most)).offset == 1
    with pytest.raises(PublicationTooLarge):
        result(broker.publish("a", b"x" * (most + 1)))
    assert not result(broker.publish("a", b"y" * (most + 1), store=False)).isStored
    history = result(broker.history("a"))
    assert [each.data for each in history.publications] == [b"x" * most]
    assert [len(data) for data in recorder.data] == [most, most + 1]


def test_kept_by_size_of_all(broker: IBroker, clock: Clock) -> None:
    """
    Nor more bytes of all channels: those in which the least happens forget first, their
    oldest first, and those who come back are told.
    """

    def kept(channel: str) -> list[int]:
        publications = result(broker.history(channel)).publications
        return [each.offset for each in publications]

    for channel in "abc":
        for _ in range(2):
            clock.advance(1)
            result(broker.publish(channel, b"x" * 250))
    clock.advance(1)
    position = result(broker.history("b")).position
    assert (kept("a"), kept("b"), kept("c")) == ([1, 2], [1, 2], [1, 2])
    result(broker.publish("a", b"x" * (500 + OVERHEAD)))
    assert (kept("a"), kept("b"), kept("c")) == ([1, 2, 3], [], [1, 2])
    assert not result(broker.history("b", Position(0, position.epoch))).isComplete
    for _ in range(20):
        result(broker.publish("d", b"x" * 1600))
    assert (kept("a"), kept("c"), kept("d")) == ([2, 3], [], [20])


def test_kept_by_age(broker: IBroker, clock: Clock) -> None:
    """
    Nor for longer; each publication goes by itself.
    """
    recorder = Recorder()
    result(broker.subscribe("a", recorder))
    _publish(broker, b"1")
    clock.advance(30)
    _publish(broker, b"2")
    clock.advance(31)
    history = result(broker.history("a"))
    assert [each.offset for each in history.publications] == [2]
    clock.advance(30)
    history = result(broker.history("a"))
    assert history.publications == ()
    assert history.position.offset == 2


@pytest.mark.parametrize("hours", [-1, 1])
def test_clock_that_is_set(broker: IBroker, clock: Clock, hours: int) -> None:
    """
    A clock that is set back, or is fast for a while, makes no gaps: what comes behind
    something that is kept is kept, and who comes back is told what is missing.
    """
    recorder = Recorder()
    result(broker.subscribe("a", recorder))
    _publish(broker, b"1")
    position = result(broker.history("a")).position
    clock.rightNow += hours * 3600
    _publish(broker, b"2", b"3")
    clock.rightNow -= hours * 3600
    _publish(broker, b"4")
    for _ in range(8):
        history = result(broker.history("a", position))
        offsets = [each.offset for each in history.publications]
        assert offsets == list(range(5 - len(offsets), 5))
        assert history.isComplete == (len(offsets) == 3)
        clock.advance(10)
    assert offsets == ([] if hours < 0 else [2, 3, 4])


def test_busiest_by_a_clock_that_is_set(make: Make, clock: Clock) -> None:
    """
    Which channel forgets first goes by what was published last, whatever the clock was.
    """
    total = 3 * OVERHEAD + 10 + channelCost("busy") + channelCost("new")
    broker = make(Retention(age=86400.0, total=total))
    _publish(broker, b"1", channel="quiet")
    clock.rightNow -= 3600
    _publish(broker, b"1", channel="busy")
    clock.rightNow += 3600
    _publish(broker, b"1", b"2", channel="new")
    kept = [
        len(result(broker.history(name)).publications)
        for name in ("quiet", "busy", "new")
    ]
    assert kept == [0, 1, 2]


def test_channel_from_another_time(broker: IBroker, clock: Clock) -> None:
    """
    A channel with something in it isn't forgotten, though it was used last before the
    clock was set.
    """
    _publish(broker, b"1")
    clock.rightNow -= 3600
    _publish(broker, b"2")
    clock.rightNow += 3600
    position = Position(0, result(broker.history("a")).position.epoch)
    clock.advance(50)
    assert result(broker.history("a", position)).isComplete
    assert result(broker.publish("a", b"3")).position == Position(3, position.epoch)


def test_nothing_is_kept(make: Make) -> None:
    """
    A broker that keeps nothing delivers all the same.
    """
    broker = make(Retention(count=0))
    recorder = Recorder()
    result(broker.subscribe("a", recorder))
    data = b"x" * (Retention().size + 1)
    published = result(broker.publish("a", data))
    assert (published.offset, published.isStored) == (0, False)
    assert recorder.data == [data]
    assert result(broker.history("a")).publications == ()


def test_not_stored(broker: IBroker) -> None:
    """
    What is of the moment goes to those who are there, takes no number, and isn't kept.
    """
    recorder = Recorder()
    result(broker.subscribe("a", recorder))
    _publish(broker, b"1")
    published = result(broker.publish("a", b"typing", store=False))
    assert (published.offset, published.isStored) == (1, False)
    _publish(broker, b"2")
    assert recorder.data == [b"1", b"typing", b"2"]
    history = result(broker.history("a"))
    assert [each.data for each in history.publications] == [b"1", b"2"]


def test_forgotten_channels(broker: IBroker, clock: Clock) -> None:
    """
    A channel that nobody uses is forgotten some time after what it kept; it begins
    anew with another epoch, and who comes back is told.
    """
    _publish(broker, b"1")
    position = result(broker.history("a")).position
    clock.pump([10.0] * 30)
    _publish(broker, b"anew")
    history = result(broker.history("a", position))
    assert history.position.epoch != position.epoch
    assert not history.isComplete


def test_channels_in_use(broker: IBroker, clock: Clock) -> None:
    """
    One with a subscriber stays, however long nothing is published.
    """
    result(broker.subscribe("a", Recorder()))
    _publish(broker, b"1")
    position = result(broker.history("a")).position
    clock.pump([10.0] * 60)
    assert result(broker.history("a")).position == position


# Presence


def test_presence(broker: IBroker) -> None:
    """
    Who enters is shown, in order, with what is known of it, until it leaves.
    """
    assert result(broker.enter("a", "ann", b"red"))
    assert result(broker.enter("a", "bob"))
    assert result(broker.enter("b", "ann"))
    assert list(result(broker.presence("a")).items()) == [
        ("ann", b"red"),
        ("bob", b""),
    ]
    assert result(broker.update("a", "bob", b"blue"))
    result(broker.leave("a", "ann"))
    result(broker.leave("a", "ann"))
    assert result(broker.presence("a")) == {"bob": b"blue"}
    assert result(broker.presence("b")) == {"ann": b""}
    assert result(broker.presence("c")) == {}


def test_a_key_is_had_once(broker: IBroker) -> None:
    """
    A key that is taken can't be had, until it is given free; and only what is present
    can be changed.
    """
    assert result(broker.enter("a", "ann", b"1"))
    assert not result(broker.enter("a", "ann", b"2"))
    assert result(broker.presence("a")) == {"ann": b"1"}
    result(broker.leave("a", "ann"))
    assert not result(broker.update("a", "ann", b"3"))
    assert result(broker.enter("a", "ann", b"2"))


# Whatever happens


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("publish"), st.integers(0, 400)),
            st.tuples(st.just("moment"), st.integers(0, 10)),
            st.tuples(st.just("wait"), st.integers(0, 40)),
            st.tuples(st.just("set"), st.integers(-200, 200)),
            st.tuples(st.just("leave"), st.just(0)),
            st.tuples(st.just("return"), st.just(0)),
        ),
        max_size=25,
    ),
    st.sampled_from(KINDS),
)
def test_who_comes_back_misses_nothing(steps: list[tuple[str, int]], kind: str) -> None:
    """
    A client that goes and comes back with its last position has every stored
    publication in order and once, or is told that it can't.
    """
    clock = Clock()
    with TemporaryDirectory() as folder:
        broker = makeBroker(kind, clock, Path(folder, "broker.db"), SMALL)
        _comeAndGo(broker, clock, steps)
        result(broker.stop())


def _comeAndGo(broker: IBroker, clock: Clock, steps: list[tuple[str, int]]) -> None:
    result(broker.subscribe("a", Recorder()))
    here: Recorder | None = Recorder()
    assert here is not None
    position = result(broker.subscribe("a", here))
    known: list[int] = []
    expected: list[int] = []
    for step, number in steps:
        if step in ("publish", "moment"):
            publication = result(
                broker.publish("a", b"x" * number, store=step == "publish")
            )
            if publication.isStored:
                expected.append(publication.offset)
                if here is not None:
                    known.append(publication.offset)
                    position = Position(publication.offset, position.epoch)
        elif step == "wait":
            clock.advance(number)
        elif step == "set":
            clock.rightNow += number
        elif step == "leave" and here is not None:
            result(broker.unsubscribe("a", here))
            here = None
        elif step == "return" and here is None:
            here = Recorder()
            result(broker.subscribe("a", here))
            history = result(broker.history("a", position))
            if not history.isComplete:
                known = expected.copy()
            else:
                known += [each.offset for each in history.publications]
            position = history.position
    if here is not None:
        assert known == expected == list(range(1, len(expected) + 1))
