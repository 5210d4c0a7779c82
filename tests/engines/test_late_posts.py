"""Late is not wrong: what reaches the broker long after it was made is on every follower's page, once.

    ids     ──A──────────●───────B────────────────●──▶ now
            -7 h       -6 h    -3 h             -90 s

The author's class is A from the first post on and B from the second; then the two ● come, whose class is that
of their ids, and whose readers are those who follow now.
"""

import asyncio
import itertools

import orjson

from pipeline.ops import routing_forced
from pipeline.wire.records import AuthorClass, ForcedClass
from tests.engines import events
from tests.engines.dead_letters import letters
from tests.engines.harness import Instance
from tests.engines.thresholds import classes
from tests.waiting import eventually

HOUR_MS = 3_600_000
SWITCHES = [*itertools.permutations(AuthorClass, 2)]


def force(instance: Instance, author: int, to: AuthorClass) -> None:
    """`tideline routing force`, without the start of a process."""
    asyncio.run(routing_forced.force(instance.kafka, ForcedClass(author, to, "a test", events.now())))


def posted_as(instance: Instance, wanted: dict[int, AuthorClass], ago_ms: int) -> dict[int, list[int]]:
    """By author, posts made so long ago up to one of this class: an operator's word takes a moment."""
    for author, to in wanted.items():
        force(instance, author, to)
    made: dict[int, list[int]] = {author: [] for author in wanted}
    waiting = set(wanted)

    def another() -> bool:
        since, at = instance.ends("posts.classified"), events.now() - ago_ms
        posts = {author: events.post(author, at=at) for author in waiting}
        instance.publish(*posts.values())
        for author, post in posts.items():
            made[author].append(post["post_id"])
            told = eventually(lambda: classes(instance, author, since).get(made[author][-1]), 60)  # noqa: B023
            waiting.difference_update({author} if told == wanted[author] else ())
        return not waiting

    eventually(another, 60)
    return made


def test_a_late_post_is_on_every_followers_page_whatever_the_class_was_and_is(instance: Instance) -> None:
    """90 s and 6 h late, before and after a switch between any two classes; then the audit finds nothing."""
    authors = events.take(len(SWITCHES))
    readers = {author: events.take(3) for author in authors}
    everybody = [reader for some in readers.values() for reader in some]
    instance.publish(*(events.followed(author, *some) for author, some in readers.items()))
    instance.settle()
    since = instance.ends("dead.letters")
    was, became = (dict(zip(authors, column, strict=True)) for column in zip(*SWITCHES, strict=True))
    posts = posted_as(instance, was, 7 * HOUR_MS)
    for author, more in posted_as(instance, became, 3 * HOUR_MS).items():
        posts[author] += more
    instance.settle()
    for reader in everybody * 2:  # from now on every cache knows a feed without the late ones
        instance.page(reader)

    told = instance.ends("posts.classified")
    late = {
        author: [events.post(author, at=events.now() - ago) for ago in (6 * HOUR_MS, 90_000)]
        for author in authors
    }
    instance.publish(*itertools.chain(*late.values()))
    instance.settle()

    for author, two in late.items():
        ids = [post["post_id"] for post in two]
        found = classes(instance, author, told)
        assert [found[post] for post in ids] == [was[author].value, became[author].value]
        for reader in readers[author]:
            wanted = sorted(posts[author] + ids, reverse=True)
            assert [post for post, _ in instance.walk(reader)] == wanted, (was[author], became[author])
    assert letters(instance, since) == []
    named = (word for reader in everybody for word in ("--reader", str(reader)))
    audit = instance.command("audit", *named, "--patience", "0", "--json")
    assert (audit.returncode, orjson.loads(audit.stdout)["examples"]) == (0, [])
