"""Pages as a client gets them, from the process that remembers: at once, ranked, and beyond the window."""

import time

import pytest

from tests.engines import events
from tests.engines.harness import Instance
from tests.waiting import eventually

AT_ONCE_S = 10
"""Far above what it takes: a busy machine is not a bug."""


def shown(instance: Instance, reader: int) -> list[int]:
    """The first page without explanations, which the API may remember."""
    answer = instance.get(f"/v1/readers/{reader}/timeline")
    assert answer.status == 200, answer
    return [int(item["post_id"]) for item in answer.body["items"]]


@pytest.mark.parametrize("what", ["hidden", "muted", "unfollowed", "deleted"])
def test_a_page_that_was_remembered_is_another_at_once(instance: Instance, what: str) -> None:
    """And the rest of it is what it was."""
    reader, author, other = events.take(3)
    instance.publish(events.followed(author, reader), events.followed(other, reader))
    instance.settle()
    post, stays = events.post(author), events.post(other)
    instance.publish(post, stays)
    instance.settle()
    eventually(lambda: shown(instance, reader) == [stays["post_id"], post["post_id"]])
    assert shown(instance, reader) == shown(instance, reader)

    instance.publish(
        {
            "hidden": lambda: events.about_a_post("hidden", reader, post),
            "muted": lambda: events.moderation("muted", reader_id=reader, author_id=author),
            "unfollowed": lambda: events.unfollowed(author, reader),
            "deleted": lambda: events.deleted(post),
        }[what]()
    )

    eventually(lambda: shown(instance, reader) == [stays["post_id"]], AT_ONCE_S)


def test_an_edit_is_on_the_page_at_once_and_so_is_ones_own_post(instance: Instance) -> None:
    reader, author = events.take(2)
    post = events.post(author, "as it was")
    instance.publish(events.followed(author, reader))
    instance.settle()
    instance.publish(post)
    instance.settle()
    assert shown(instance, reader) == [post["post_id"]]

    own = events.post(reader, "mine")
    instance.publish(events.edited(post, body="as it is"), own)

    def bodies() -> list[str]:
        return [item["body"] for item in instance.get(f"/v1/readers/{reader}/timeline").body["items"]]

    eventually(lambda: bodies() == ["mine", "as it is"], AT_ONCE_S)


def test_what_many_engage_with_is_ranked_first_and_says_why(instance: Instance) -> None:
    """The parts add up to the score; the posts are of one author and one minute, so engagement decides."""
    author, reader, *others = events.take(42)
    instance.publish(events.followed(author, reader))
    instance.settle()
    posts = [events.post(author, "the same") for _ in range(3)]
    instance.publish(*posts)
    instance.publish(*(events.about_a_post("engaged", other, posts[1]) for other in others))
    instance.settle()

    page = instance.page(reader, mode="ranked")

    best, *rest = page["items"]
    assert int(best["post_id"]) == posts[1]["post_id"]
    assert best["parts"]["engagement"] > 0 == rest[0]["parts"]["engagement"]
    assert all(abs(sum(item["parts"].values()) - item["score"]) < 1e-9 for item in page["items"])
    assert {item["tier"] for item in page["items"]} == {"small"}


def test_who_scrolls_past_the_window_reads_on_in_the_durable_index(instance: Instance) -> None:
    """Imported posts of forty days ago are in nobody's timeline, and on the pages after it."""
    reader, author = events.take(2)
    old = time.time_ns() // 1_000_000 - 40 * 86_400_000
    imported = [events.post(author, f"old {n}", at=old + n, imported=True) for n in range(3)]
    fresh = [events.post(author, f"new {n}") for n in range(2)]
    instance.publish(events.followed(author, reader), *imported, *fresh)
    instance.settle()

    first, *older = instance.pages(reader, limit=10)

    assert [item["body"] for item in first] == ["new 1", "new 0"]
    assert [item["body"] for page in older for item in page] == ["old 2", "old 1", "old 0"]
