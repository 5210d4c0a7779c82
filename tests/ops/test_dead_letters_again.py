"""Dead letters replayed and dropped: what is sent, in which order it is noted, and what is left alone."""

from dataclasses import replace

import pytest

from pipeline import topology
from pipeline.config.names import HOME, Names
from pipeline.domain.snowflake import first_id
from pipeline.errors import TidelineError
from pipeline.kafka.dead_letters import cut, dead_letter
from pipeline.kafka.ports import NotDelivered, TooLarge
from pipeline.ops.dead_letter import record_of
from pipeline.ops.dead_letters_again import BATCH, Again, LetterFilter, places_of, refused_again
from pipeline.wire.codec import encode
from pipeline.wire.records import (
    AuthorClass,
    FanoutTask,
    LetterDone,
    ModerationEvent,
    PostEvent,
    TimelineRequest,
)
from tests.ops.letters import CAME, kept, refused
from tests.stages.fakes import RecordingOutbox

PLACES = frozenset({("posts", partition) for partition in range(4)})
NOW = CAME + 3_600_000


class Narrow(RecordingOutbox):
    """Takes no message whose value is in `refused`, nor those that come with it."""

    def __init__(self, refuses, error):
        super().__init__()
        self.refuses, self.error = refuses, error

    async def send_all(self, messages):
        messages = list(messages)
        if any(message.value in self.refuses for message in messages):
            raise self.error
        return await super().send_all(messages)


async def replay(letters, outbox, names=HOME, places=PLACES):
    return await Again(names, outbox, lambda: NOW).replay(letters, places)


async def test_the_original_message_goes_back_to_its_partition_with_the_time_it_first_came():
    """Bytes, key and headers as they were; nothing of the failure is left."""
    outbox = RecordingOutbox()

    report = await replay([kept(7, value=b"\xc3\x01x", partition=2)], outbox)

    message = outbox.sent[0]
    assert (message.topic, message.partition, message.key, message.value) == ("posts", 2, b"k", b"\xc3\x01x")
    assert message.headers == [("origin_ts", b"%d" % CAME), ("tideline_appended_at", b"%d" % CAME)]
    assert (report.ids, report.groups) == (["1@7"], {("posts", "codec"): 1})


async def test_what_was_sent_is_noted_afterwards_under_the_letters_place():
    outbox = RecordingOutbox()

    await replay([kept(7), kept(8)], outbox)

    assert outbox.journal == ["posts", "dead.letters.done"]
    assert [message.key for message in outbox.sent[2:]] == [b"1@7", b"1@8"]
    assert outbox.of("dead.letters.done") == [
        LetterDone("replayed", "", "operator", NOW, CAME + 60_000 + number) for number in (7, 8)
    ]


async def test_what_was_not_delivered_is_not_noted():
    outbox = Narrow({b"value"}, NotDelivered("away"))

    with pytest.raises(NotDelivered):
        await replay([kept(7)], outbox)

    assert outbox.sent == []


async def test_a_dry_run_sends_nothing_and_says_the_same():
    letters = [
        kept(7),
        kept(7),
        kept(8, done=LetterDone("dropped", "x", "operator", 1, 1)),
        kept(9, topic="x"),
    ]

    said = await Again(HOME, None, lambda: NOW).replay(letters, PLACES)
    done = await replay(letters, RecordingOutbox())

    assert said == done
    assert (said.ids, said.again, said.already, list(said.cannot)) == (["1@7", "1@7"], 1, 1, ["1@9"])


async def test_a_letter_that_is_done_is_left_alone():
    outbox = RecordingOutbox()

    report = await replay([kept(7, done=LetterDone("replayed", "", "operator", 1, 1))], outbox)

    assert (outbox.sent, report.already, report.ids) == ([], 1, [])


async def test_a_message_that_was_kept_twice_is_sent_once_and_both_letters_are_done():
    """A crash between the dead letter and the acknowledgement keeps it again."""
    outbox = RecordingOutbox()

    report = await replay([kept(7, dead_letter(refused())), kept(8, dead_letter(refused()))], outbox)

    assert [message.topic for message in outbox.sent] == ["posts", "dead.letters.done", "dead.letters.done"]
    assert (report.ids, report.again) == (["1@7", "1@8"], 1)


async def test_more_than_one_batch_keeps_its_order():
    outbox = RecordingOutbox()
    letters = [kept(number, value=b"%d" % number) for number in range(BATCH + 2)]

    await replay(letters, outbox)

    sent = [int(message.value) for message in outbox.sent if message.topic == "posts"]
    assert sent == list(range(BATCH + 2))
    assert len(outbox.of("dead.letters.done")) == BATCH + 2


async def test_a_message_too_large_for_its_topic_now_holds_up_no_other():
    outbox = Narrow({b"large"}, TooLarge("posts: too large", "raise its max.message.bytes"))

    report = await replay([kept(1), kept(2, value=b"large"), kept(3)], outbox)

    assert [message.key for message in outbox.sent if message.topic != "posts"] == [b"1@1", b"1@3"]
    assert report.ids == ["1@1", "1@3"]
    assert report.cannot == {"1@2": "posts: too large raise its max.message.bytes"}


@pytest.mark.parametrize(
    ("letter", "why"),
    [
        (kept(1, without=["topic"]), "does not say where it came from"),
        (kept(1, without=["offset"]), "does not say where it came from"),
        (kept(1, topic="elsewhere"), "no stage here reads elsewhere 2"),
        (kept(1, topic="dead.letters"), "no stage here reads dead.letters 2"),
        (kept(1, partition=4), "no stage here reads posts 4"),
        (
            kept(1, cut(dead_letter(refused(b"x" * 900_000)))),
            "only its beginning was kept; posts 2 @77 has it",
        ),
    ],
)
async def test_what_cannot_go_back_is_said_and_stays_open(letter, why):
    """Whoever may write to the dead letters cannot have anything written anywhere else by that."""
    outbox = RecordingOutbox()

    report = await replay([letter], outbox)

    assert why in report.cannot["1@1"]
    assert outbox.sent == []


async def test_a_letter_from_before_letters_said_when_their_message_came_goes_by_its_own_time():
    outbox = RecordingOutbox()

    await replay([kept(7, without=["tideline_appended_at"])], outbox)

    assert dict(outbox.sent[0].headers)["tideline_appended_at"] == b"%d" % (CAME + 60_007)


async def test_a_tombstone_goes_back_as_one():
    outbox = RecordingOutbox()

    await replay([kept(7, value=None)], outbox)

    assert outbox.sent[0].value is None


async def test_dropped_letters_are_noted_with_their_reason_and_nothing_is_sent():
    outbox = RecordingOutbox()

    report = await Again(HOME, outbox, lambda: NOW).drop([kept(7), kept(8, topic="x")], "a test of ours")

    assert [message.topic for message in outbox.sent] == ["dead.letters.done"] * 2
    assert {(one.action, one.reason) for one in outbox.of("dead.letters.done")} == {
        ("dropped", "a test of ours")
    }
    assert report.ids == ["1@7", "1@8"]


class Letters:
    """Letters without a broker."""

    def __init__(self, *letters):
        self.letters = {letter.id: letter for letter in letters}

    def one(self, name):
        if name not in self.letters:
            raise TidelineError(f"{name}: no such dead letter")
        return self.letters[name]

    def each(self):
        return iter(self.letters.values())


LETTERS = Letters(
    kept(1), kept(2, reason="clock"), kept(3, topic="feed.posts"), kept(4, reason="clock", without=["topic"])
)


@pytest.mark.parametrize(
    ("choice", "names", "chosen"),
    [
        (LetterFilter(), HOME, [1, 2, 3, 4]),
        (LetterFilter(reason="clock"), HOME, [2, 4]),
        (LetterFilter(topic="posts"), HOME, [1, 2]),
        (LetterFilter(topic="posts", reason="clock"), HOME, [2]),
        (LetterFilter(topic="posts"), Names("feed"), [1, 2, 3]),
        (LetterFilter(topic="feed.posts"), Names("feed"), [3]),
        (LetterFilter(("1@3", "1@1", "1@3")), HOME, [3, 1]),
    ],
)
def test_letters_are_chosen_by_id_or_by_what_they_say(choice, names, chosen):
    """A topic as the code calls it, or as Kafka does."""
    assert [letter.kept.offset for letter in choice.of(LETTERS, names)] == chosen


def test_an_id_that_no_letter_has_is_an_error():
    with pytest.raises(TidelineError, match="1@5: no such dead letter"):
        list(LetterFilter(("1@1", "1@5")).of(LETTERS, HOME))


def test_letters_go_back_to_where_stages_of_the_domain_read():
    """Shared topics have the home feed's name; nothing but stages reads dead letters."""
    whole = topology.load()
    home, inbox = places_of(whole), places_of(whole.of("notifications"))

    assert {("posts", 3), ("fanout.large", 7), ("timeline.requests", 0)} <= home
    assert {("notifications.posts", 3), ("accounts", 0)} <= inbox
    assert not {topic for topic, _ in home | inbox} & {"dead.letters", "posts.classified", "costs"}


def test_the_record_of_a_letter_is_read_by_its_origin():
    task = FanoutTask(5, 6, AuthorClass.PUSH, 0, 1, 9)

    assert record_of(kept(1, value=encode(task), topic="feed.fanout.small"), Names("feed"))[0]["post_id"] == 5
    assert "unknown schema fingerprint" in record_of(kept(1, value=encode(task)), HOME)[1]
    assert record_of(kept(1, topic="nowhere"), HOME)[1] == "no record is known to travel on nowhere"


def letter_of(record, topic):
    return kept(7, value=encode(record), topic=topic)


ASK = TimelineRequest("one", 7, 20, None, "latest", False, "timeline.replies.mine")
POST = PostEvent("published", first_id(CAME), 9, CAME, "public", "", "hello", ())


@pytest.mark.parametrize(
    ("topic", "record", "why"),
    [
        ("posts", POST, ""),
        ("posts", replace(POST, visibility="friends"), "it would be refused again: visibility: "),
        ("posts", replace(POST, type="deleted_for_good"), "it would be refused again: type: "),
        ("posts", replace(POST, at=CAME + 60_000), "it would be refused again: created_at: "),
        ("fanout.small", FanoutTask(1, 9, AuthorClass.PUSH, 0, 0, 0), ""),
        ("timeline.requests", ASK, ""),
        (
            "timeline.requests",
            replace(ASK, reply_to="posts"),
            "it would be refused again: reply_to: must be ",
        ),
    ],
)
def test_what_the_rules_would_refuse_again_is_said(topic, record, why):
    """As of when it came: a post that was not too old then is not, however long the fix took."""
    said = refused_again(topology.load(), lambda: NOW)(letter_of(record, topic))

    assert said.startswith(why)
    assert bool(said) == bool(why)


@pytest.mark.parametrize(("days", "old"), [(9.99, False), (10, True), (29, True)])
@pytest.mark.parametrize("kind", ["taken_down", "restored", "suspended"])
def test_a_take_down_that_may_have_been_undone_since_is_not_replayed(kind, days, old):
    """The tombstone of its end is gone by then; what is overwritten is known for ever."""
    about = {"author_id": 7} if kind == "suspended" else {"post_id": first_id(CAME - 1000)}
    letter = letter_of(ModerationEvent(kind, CAME - 500, **about), "moderation")

    said = refused_again(topology.load(), lambda: CAME + int(days * 86_400_000))(letter)

    assert said.startswith("it is older than 10 days") == (old and kind == "taken_down"), said


def test_bytes_that_hold_no_record_yet_are_said_to():
    assert refused_again(topology.load(), lambda: NOW)(kept(7)).startswith("its bytes still hold no record: ")


async def test_a_letter_that_would_be_refused_again_stays_and_the_others_are_sent():
    outbox = RecordingOutbox()
    letters = [kept(7), kept(8, value=encode(POST))]

    report = await Again(HOME, outbox, lambda: NOW).replay(
        letters, PLACES, refused=refused_again(topology.load(), lambda: NOW)
    )

    assert report.ids == ["1@8"]
    assert report.cannot.keys() == {"1@7"}
    assert [message.value for message in outbox.sent if message.topic == "posts"] == [encode(POST)]
