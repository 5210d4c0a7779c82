"""Of two events about one thing the later counts, and its write time says the same."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.order import Version, of_post, time_of
from pipeline.kafka.messages import Delivery, Incoming, version_of
from pipeline.wire.records import ModerationEvent, PostEvent

JAN_2020 = 1_577_836_800_000
FEB_2020 = JAN_2020 + 31 * 86_400_000
LAST_MS = JAN_2020 + 2**41 - 1

times = st.integers(JAN_2020 + 1, LAST_MS) | st.integers(JAN_2020 + 1, JAN_2020 + 3)
offsets = st.integers(0, 4_194_303) | st.integers(0, 2)


@given(times, offsets, times, offsets)
def test_write_times_are_ordered_as_events_are(at, offset, other_at, other_offset):
    """First by time, then by place: of any two events, and equal only for the same."""
    mine, other = Version(at, offset), Version(other_at, other_offset)
    later = at > other_at if at != other_at else offset > other_offset

    assert (mine > other) == later
    assert (mine.write_time > other.write_time) == later
    assert (mine.write_time == other.write_time) == ((at, offset) == (other_at, other_offset))


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**63 - 1))
def test_every_version_has_a_write_time(at, offset):
    """Cassandra takes it, and no version looks as if it was never written."""
    assert 0 < Version(at, offset).write_time < 2**63


@given(
    st.integers(946_684_800_000, JAN_2020 + 1), offsets, st.integers(946_684_800_000, JAN_2020 + 1), offsets
)
def test_before_2020_the_partition_decides(at, offset, other_at, other_offset):
    """Times that old are one time."""
    mine, other = Version(at, offset).write_time, Version(other_at, other_offset).write_time

    assert (mine > other) == (offset > other_offset)


@given(times, offsets)
def test_a_later_time_wins_from_any_place(at, offset):
    """Also from the first place, where the offset has just wrapped."""
    assert Version(at + 1, 4_194_304).write_time > Version(at, offset).write_time or at == LAST_MS


def test_the_offset_wraps_after_four_million():
    """Stated in the module: more events than that inside one millisecond of `at` are taken for each other."""
    assert Version(FEB_2020, 4_194_303).write_time > Version(FEB_2020, 4_194_304).write_time
    assert Version(FEB_2020, 4_194_304).write_time == Version(FEB_2020, 0).write_time


@given(st.integers(FEB_2020, LAST_MS), offsets, st.integers(FEB_2020, 4_000_000_000_000))
def test_rows_of_older_releases_are_older(at, offset, written_ms):
    """They carry microseconds; whatever their time was, the first event written since then wins."""
    assert Version(at, offset).write_time > written_ms * 1000


@given(st.integers(FEB_2020, LAST_MS), offsets)
def test_a_write_time_tells_its_time(at, offset):
    """In both units: of this release and of older ones."""
    assert time_of(Version(at, offset).write_time) == at
    assert time_of(1_700_000_000_123 * 1000) == 1_700_000_000_123


@given(
    times,
    st.integers(-(10**6), 10**6),
    offsets,
    st.integers(1, 100),
    st.sampled_from(["edited", "published"]),
)
def test_what_comes_after_a_post_on_its_partition_is_later(born, lead_ms, offset, further, kind):
    """An edit or another publication, whatever time they name."""
    post_id = (born - JAN_2020) * 4_194_304 + 5
    post = PostEvent("published", post_id, 7, born)
    change = PostEvent(kind, post_id, 7, born + lead_ms)

    assert of_post(change, offset + further) > of_post(post, offset)


@given(times, st.integers(0, 10**6), offsets)
def test_an_edit_counts_as_of_its_own_time_or_its_post_whichever_is_later(born, lead_ms, offset):
    """Its clock may be behind that of the post, and never moves it before the post."""
    post_id = (born - JAN_2020) * 4_194_304 + 5

    assert of_post(PostEvent("edited", post_id, 7, born + lead_ms), offset) == Version(born + lead_ms, offset)
    assert of_post(PostEvent("edited", post_id, 7, born - lead_ms), offset) == Version(born, offset)


def test_a_delivery_has_the_version_of_its_event_and_its_place():
    """The time is the event's own, not the broker's."""
    message = Incoming("moderation", 3, 17, b"1", b"", (), 1_800_000_000_000)

    assert version_of(Delivery(ModerationEvent("muted", FEB_2020, 1, 2), message, 0)) == Version(FEB_2020, 17)
