"""Containment: what is in force says of a post what the strictest of it says, and ends when it says."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.containment import Contained, Kind, Room, contained, held, holds, key_of
from pipeline.wire.records import AuthorClass, Containment

PARTIAL, PULL = AuthorClass.PARTIAL, AuthorClass.PULL
NOW = 1_700_000_000_000
AUTHOR, TIER, REGION = 7, "large", "eu"


def record(kind, target, to=PULL, rate=0, until=0):
    return Containment(kind, str(target), to, rate, "because", "operator", NOW - 1, until)


def ask(*records, room=lambda one: False):
    in_force = {key_of(one): one for one in records}
    return contained(in_force.get, author_id=AUTHOR, tier=TIER, region=REGION, now_ms=NOW, room=room)


ABOUT_THE_POST = [
    record(Kind.PATH, "push"),
    record(Kind.PULL, AUTHOR),
    record(Kind.FREEZE, TIER),
    record(Kind.SHED, TIER),
    record(Kind.SHED, TIER, PARTIAL),
    record(Kind.RATE, AUTHOR, rate=6),
    record(Kind.PACE, REGION, rate=6),
]
OF_OTHERS = [
    record(Kind.PULL, 8),
    record(Kind.SHED, "small"),
    record(Kind.PACE, "us", rate=6),
    record(Kind.PATH, "pull"),
    record(Kind.DEFER, "backfill"),
    record(Kind.NARROW, "reads"),
]
TIMES = st.sampled_from([0, NOW - 1, NOW, NOW + 1])


@given(
    st.lists(st.sampled_from(ABOUT_THE_POST + OF_OTHERS), unique_by=lambda one: key_of(one)),
    st.data(),
)
def test_the_strictest_that_holds_and_has_no_room_decides(records, data):
    timed = [dataclasses.replace(one, until=data.draw(TIMES)) for one in records]
    free = {one.kind for one in timed if one.rate_per_minute and data.draw(st.booleans())}

    found = ask(*timed, room=lambda one: one.kind in free)

    about = {
        one.author_class
        for one, plain in zip(timed, records, strict=True)
        if plain in ABOUT_THE_POST and (one.until == 0 or one.until > NOW) and one.kind not in free
    }
    assert (found and found.author_class) == (
        PULL if PULL in about else PARTIAL if PARTIAL in about else None
    )


def test_the_reason_names_what_is_in_force():
    assert ask(record(Kind.SHED, TIER, PARTIAL)) == Contained(PARTIAL, "shed large: because")


def test_a_rate_is_asked_only_when_nothing_stricter_applies():
    """Or posts that are pulled anyway would use it up."""
    asked = []

    assert ask(record(Kind.PULL, AUTHOR), record(Kind.RATE, AUTHOR, rate=6), room=asked.append)
    assert asked == []


@given(st.integers(1, 600), st.lists(st.integers(0, 30_000), min_size=1, max_size=300))
def test_a_rate_lets_through_what_it_says_and_a_burst(rate, gaps):
    """Over any stretch of time, by the posts' own clock; and always something."""
    room, rule = Room(), record(Kind.RATE, AUTHOR, rate=rate)
    times = [NOW + sum(gaps[:n]) for n in range(1, len(gaps) + 1)]

    passed = [at for at in times if room(rule, at)]

    burst = max(1, rate // 6)
    assert passed[0] == times[0]
    for n, first in enumerate(passed):
        for m, last in enumerate(passed[n:], 1):
            assert m <= burst + (last - first) * rate / 60_000 + 1e-6


def test_what_an_operator_did_counts_before_what_the_controller_did_about_the_same():
    mine = record(Kind.SHED, TIER, PARTIAL, until=NOW + 1)
    theirs = dataclasses.replace(mine, author_class=PULL, by="controller", until=NOW + 2)
    in_force = {key_of(one): one for one in (mine, theirs)}

    assert held(in_force.get, Kind.SHED, TIER, NOW) == mine
    assert held(in_force.get, Kind.SHED, TIER, NOW + 1) == theirs
    assert held(in_force.get, Kind.SHED, TIER, NOW + 2) is None


def test_what_has_ended_is_not_held():
    ended = record(Kind.FREEZE, TIER, until=NOW)

    assert not holds(ended, NOW) and holds(ended, NOW - 1) and not holds(None, NOW)
    assert held({key_of(ended): ended}.get, Kind.FREEZE, TIER, NOW) is None
