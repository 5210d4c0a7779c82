"""A reader who stayed away: nothing was pushed to them, and the first page is whole all the same."""

from collections.abc import Iterator

import pytest

from pipeline.wire.codec import encode
from pipeline.wire.records import ActivityEvent
from tests.engines import events
from tests.engines.events import Event
from tests.engines.harness import Instance
from tests.engines.model import Model
from tests.waiting import eventually

FOLLOWEES = 300
POSTS_EACH = 3


@pytest.fixture(scope="module")
def world(instance: Instance) -> Iterator[tuple[int, list[int], list[Event]]]:
    """A reader nobody has seen, the authors they follow, and everything that was published."""
    reader, *authors = events.take(FOLLOWEES + 1)
    said = [events.followed(author, reader) for author in authors]
    said += [post for n in range(POSTS_EACH) for post in events.at_once(authors, f"{n}")]
    instance.publish(*said, strangers=True)
    instance.settle()
    yield reader, authors, said


def test_of_a_dormant_reader_no_row_is_written_and_no_post_is_missed(
    instance: Instance, world: tuple[int, list[int], list[Event]]
) -> None:
    reader, authors, said = world

    def pushed() -> bool:
        said.append(events.post(authors[0], "are you there?"))
        instance.publish(said[-1])
        instance.settle()
        return (reader, said[-1]["post_id"]) in instance.timeline([reader])

    eventually(lambda: not pushed(), 60)  # a writer in doubt pushes, on a busy machine
    assert instance.walk(reader) == Model(said).feed(reader)


def test_who_comes_back_is_caught_up_and_pushed_to(
    instance: Instance, world: tuple[int, list[int], list[Event]]
) -> None:
    reader, authors, said = world
    model = Model(said)

    instance.publish(events.opened(reader))
    assert instance.walk(reader) == model.feed(reader)  # while it is being caught up
    instance.settle()

    assert instance.walk(reader) == model.feed(reader)
    assert len(instance.timeline([reader])) == len(model.feed(reader))
    assert set(instance.paths(reader).values()) == {"push"}
    assert audit(instance, reader) == 0
    news = events.post(authors[0], "news")
    instance.publish(news)
    instance.settle()
    assert instance.paths(reader)[news["post_id"]] == "push"


def test_who_lapses_is_pulled_for_again(instance: Instance) -> None:
    reader, author = events.take(2)
    instance.publish(events.followed(author, reader))
    instance.settle()
    lapsed = ActivityEvent("lapsed", reader, events.now())
    instance.send("reader.marks", encode(lapsed), b"%d" % reader)
    instance.flush()
    instance.settle()

    post = events.post(author)
    instance.publish(post)
    instance.settle()

    assert instance.paths(reader)[post["post_id"]] in ("pull", "push+pull")  # a writer in doubt pushes


def test_a_lost_timeline_is_written_anew_and_pages_stay_whole(
    instance: Instance, world: tuple[int, list[int], list[Event]]
) -> None:
    reader, _, _ = world
    eventually(lambda: len(instance.timeline([reader])) > FOLLOWEES, 30)
    before = instance.walk(reader)
    instance.rows("DELETE FROM timeline_by_reader WHERE reader_id = %s", reader)
    assert audit(instance, reader) == 3

    instance.tideline("rebuild", str(reader))

    assert instance.walk(reader) == before
    assert len(instance.timeline([reader])) == len(before)
    assert audit(instance, reader) == 0


def audit(instance: Instance, reader: int) -> int:
    """The exit code of the audit of this reader."""
    return instance.command("audit", "--reader", str(reader), "--patience", "0").returncode
