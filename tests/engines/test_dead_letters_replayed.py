"""`tideline dlq replay` after a fix delivers what was missing, once, on a whole run."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.kafka.dead_letters import dead_letter
from pipeline.kafka.messages import Incoming, Refused
from pipeline.wire.codec import encode
from pipeline.wire.headers import published
from pipeline.wire.records import PostEvent
from tests.engines import events
from tests.engines.dead_letters import letter_of, letters
from tests.engines.events import Event
from tests.engines.harness import REPOSITORY, Instance
from tests.faults.sabotage import sabotage

HOUR_MS = 3_600_000


@contextmanager
def broken_classify(instance: Instance) -> Iterator[None]:
    """In place of the instance's own worker one with a bug: posts that say "stumbles" break it."""
    instance.tideline("stage", "stop", "classify")
    worker = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "worker", "classify"],
        cwd=REPOSITORY,
        env={**instance.environment, **sabotage("stumble")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        worker.terminate()
        worker.wait(60)
        instance.tideline("stage", "start", "classify")


def an_author_and_readers(instance: Instance) -> tuple[int, list[int]]:
    author, *readers = events.take(4)
    instance.publish(events.followed(author, *readers))
    instance.settle()
    instance.await_covered(author, readers)
    return author, readers


def shown(made: Event) -> tuple[int, str]:
    return made["post_id"], made["body"]


def test_a_post_that_met_a_bug_is_in_every_followers_page_once_after_the_fix(instance: Instance) -> None:
    author, readers = an_author_and_readers(instance)
    before, stumbling, after = (events.post(author, body) for body in ("before", "it stumbles", "after"))
    since = instance.ends("dead.letters")

    with broken_classify(instance):
        instance.publish(before, stumbling, after)
        instance.settle()
        (letter,) = letters(instance, since)
        assert (letter.topic, letter.reason) == ("posts", "ZeroDivisionError")
        assert {reader: instance.walk(reader) for reader in readers} == {
            reader: [shown(after), shown(before)] for reader in readers
        }

    dry = json.loads(instance.tideline("dlq", "replay", "--reason", "ZeroDivisionError", "--json"))
    assert (dry["executed"], len(dry["letters"])) == (False, 1)
    instance.settle()
    assert len(instance.walk(readers[0])) == 2

    classified = instance.ends("posts.classified")
    told = json.loads(instance.tideline("dlq", "replay", *dry["letters"], "--execute", "--json"))
    assert told["letters"] == dry["letters"]
    instance.settle()
    for reader in readers:
        assert instance.walk(reader) == [shown(after), shown(stumbling), shown(before)]
        assert instance.paths(reader)[stumbling["post_id"]] == "push"

    for chosen in (["--reason", "ZeroDivisionError"], dry["letters"]):
        again = json.loads(instance.tideline("dlq", "replay", *chosen, "--execute", "--json"))
        assert (again["letters"], again["already_done"]) == ([], 1)
    instance.settle()
    ours = [message for message in instance.messages(classified) if message.key() == b"%d" % author]
    assert len(ours) == 1
    assert instance.walk(readers[0]) == [shown(after), shown(stumbling), shown(before)]


def test_a_post_whose_fix_took_an_hour_is_of_its_time_and_one_that_was_ahead_stays(
    instance: Instance,
) -> None:
    """Letters are judged as of when they came; what would be refused again is said instead of sent."""
    author, readers = an_author_and_readers(instance)
    at = events.now() - HOUR_MS
    post = PostEvent("published", events.post_id_at(at), author, at, "public", "", "an hour ago", ())
    keep(instance, post, came=at + 5)
    keep(instance, PostEvent("published", events.post_id_at(at), author, at, body="ahead"), came=at - 61_000)
    since = instance.ends("dead.letters")

    told = json.loads(instance.tideline("dlq", "replay", "--reason", "fixed", "--execute", "--json"))
    instance.settle()

    for reader in readers:
        assert instance.walk(reader) == [(post.post_id, "an hour ago")]
    assert [why.split(": ")[1] for why in told["cannot"].values()] == ["created_at"]
    assert letters(instance, since) == []


def keep(instance: Instance, post: PostEvent, came: int) -> None:
    """A dead letter of this post, which reached its topic then."""
    since, key = instance.ends("dead.letters"), b"%d" % post.author_id
    message = Incoming("posts", 1, 0, key, encode(post), published(post.at), came)
    made = dead_letter(Refused(message, "fixed", "a bug of the past"))
    # two letters of two messages: each says another origin
    origin = {"__streams.errors.offset": b"%d" % post.post_id}
    headers = [(name, origin.get(name, value)) for name, value in made.headers]
    instance.send("dead.letters", made.value, made.key, headers=headers)
    instance.flush()
    letter_of(instance, made.value, since)
