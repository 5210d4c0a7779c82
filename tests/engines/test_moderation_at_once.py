"""Deletions, blocks and suspensions hold for the next page, however far behind the clean-up of rows is."""

from collections.abc import Callable

import pytest

from pipeline.wire.codec import encode
from pipeline.wire.records import ModerationEvent, PolicyEvent
from tests.engines import events
from tests.engines.events import Event
from tests.engines.harness import Instance
from tests.waiting import eventually

AT_ONCE_S = 10
"""Far above the second that is promised: a busy machine is not a bug. What it takes is in docs/performance.md."""


def in_force(instance: Instance, reader: int) -> bool:
    return instance.rows("SELECT present FROM relations_by_reader WHERE reader_id = %s", reader) == [(True,)]


@pytest.fixture
def backlog(instance: Instance) -> None:
    """Clean-up that cannot be done: its stage is stopped."""
    instance.tideline("stage", "stop", "retract")
    yield
    instance.tideline("stage", "start", "retract")
    eventually(lambda: instance.lag("retract").lag == 0, 60)


@pytest.mark.parametrize(
    "event",
    [
        lambda reader, post: events.deleted(post),
        lambda reader, post: events.moderation("blocked", reader_id=reader, author_id=post["author_id"]),
        lambda reader, post: events.moderation("suspended", author_id=post["author_id"]),
        lambda reader, post: events.moderation("taken_down", post_id=post["post_id"]),
    ],
    ids=["deleted", "blocked", "suspended", "taken_down"],
)
def test_hidden_with_the_next_page_while_rows_wait(
    instance: Instance, backlog: None, event: Callable[[int, Event], Event]
) -> None:
    reader, author = events.take(2)
    post = events.post(author)
    instance.publish(events.followed(author, reader))
    instance.settle_but("retract")
    instance.publish(post)
    instance.settle_but("retract")
    assert post["post_id"] in instance.paths(reader)

    instance.publish(event(reader, post))

    eventually(lambda: post["post_id"] not in instance.paths(reader), AT_ONCE_S)
    eventually(lambda: instance.lag("retract").lag)
    assert instance.timeline([reader]) == {(reader, post["post_id"])}


def test_what_is_sent_to_the_topic_by_its_old_name_is_in_force_too(instance: Instance) -> None:
    """For one release: a service that has not been changed yet, and one that has; the later event counts."""
    reader, author = events.take(2)
    key = b"%d" % reader
    instance.send("policy", encode(PolicyEvent("blocked", events.now() - 2, reader, author)), key)
    instance.flush()
    eventually(lambda: in_force(instance, reader), AT_ONCE_S)

    instance.send("moderation", encode(ModerationEvent("unblocked", events.now(), reader, author)), key)
    instance.flush()
    eventually(lambda: not in_force(instance, reader), AT_ONCE_S)
