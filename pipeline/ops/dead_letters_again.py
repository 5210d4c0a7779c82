"""Dead letters replayed or dropped: `tideline dlq replay` and `drop`.

A replay sends the original bytes, key and headers back to the partition they came from, with the time they
first came (docs/decisions/0017). What is sent is noted once the broker has it, so a replay cut off in between
sends a few messages a second time; every stage is idempotent. A letter that was replayed or dropped is done:
what fails again is another letter. `tests/engines/test_dead_letters_replayed.py` shows it on a whole run.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.config.names import Names
from pipeline.control.lag import consumers
from pipeline.domain.admission import Refusal
from pipeline.domain.containment import OPERATOR
from pipeline.domain.page_request import misdirected
from pipeline.domain.tombstones import outlived
from pipeline.kafka.bounds import Partition
from pipeline.kafka.outbox import Outbox
from pipeline.kafka.ports import Outgoing, TooLarge
from pipeline.kafka.spans import spans
from pipeline.ops.dead_letter import DeadLetter, Origin
from pipeline.ops.dead_letters import DONE, Letters
from pipeline.path import RECORDS
from pipeline.runtime.admitting import admission_of
from pipeline.topology import Topology
from pipeline.wire.codec import CodecError, decode, encode
from pipeline.wire.headers import APPENDED_AT, own_headers
from pipeline.wire.records import LetterDone, TimelineRequest

BATCH, BATCH_BYTES = 500, 16 * 1024 * 1024
"""Letters sent together: an answer of the broker is waited for once for all of them."""

Places = frozenset[Partition]
"""Where stages of a domain read: a letter can go back there."""

ToSend = tuple[DeadLetter, Outgoing | None]
"""A letter and its message; None when another letter stands for the same message."""


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which letters: these, or all of one reason and of one topic; "" is any."""

    ids: tuple[str, ...] = ()
    reason: str = ""
    topic: str = ""

    def of(self, letters: Letters, names: Names) -> Iterator[DeadLetter]:
        """The chosen ones. Raises TidelineError for an id that no letter has."""
        if self.ids:
            yield from map(letters.one, dict.fromkeys(self.ids))
            return
        topics = (self.topic, names.topic(self.topic))
        for letter in letters.each():
            origin = letter.origin
            of_topic = not self.topic or (origin is not None and origin.topic in topics)
            if of_topic and self.reason in ("", letter.reason):
                yield letter


@dataclass(slots=True)
class ReplayReport:
    """What was done, or would be, by topic and reason.

    `again`: letters of a message that another one stands for. `already`: done before. `cannot`: by letter,
    why not.
    """

    ids: list[str] = field(default_factory=list)
    groups: Counter[tuple[str, str]] = field(default_factory=Counter)
    again: int = 0
    already: int = 0
    cannot: dict[str, str] = field(default_factory=dict)

    def add(self, letter: DeadLetter) -> None:
        """Count one more."""
        self.ids.append(letter.id)
        self.groups[letter.origin.topic if letter.origin else "", letter.reason] += 1

    def document(self) -> dict[str, object]:
        """What the commands print with --json; `same_message`: letters that another one stands for."""
        return {
            "letters": self.ids,
            "groups": [
                {"topic": topic, "reason": reason, "letters": number}
                for (topic, reason), number in sorted(self.groups.items())
            ],
            "same_message": self.again,
            "already_done": self.already,
            "cannot": self.cannot,
        }


def places_of(topology: Topology) -> Places:
    """Where stages of this domain read."""
    return frozenset(place for one in consumers(topology, api=False) for place in one.places)


def why_not(letter: DeadLetter, places: Places) -> str:
    """Why a letter cannot be replayed; "" when it can."""
    origin = letter.origin
    if origin is None:
        return "it does not say where it came from"
    if (origin.topic, origin.partition) not in places:
        return f"no stage here reads {origin.topic} {origin.partition}"
    if letter.is_cut:
        return f"only its beginning was kept; {origin} has it while retention does: `tideline offsets reset`"
    return ""


def refused_again(topology: Topology, now_ms: Callable[[], int]) -> Callable[[DeadLetter], str]:
    """Says why the rules of today would refuse a letter again, as of when it came, or why it is too old; ""
    when neither is so.

    Whatever the reason is that it was kept for. Raises Unavailable when a schema registry does not answer.
    """
    admit = admission_of(topology)
    kinds = {topology.names.topic(topic): kind for topic, kind in RECORDS.items() if kind is not bytes}

    def refused(letter: DeadLetter) -> str:
        origin = letter.origin
        if origin is None or origin.topic not in kinds:
            return ""
        try:
            record: Any = decode(letter.kept.value or b"", kinds[origin.topic])
        except CodecError as error:
            return f"its bytes still hold no record: {error.message}"
        own = tuple(own_headers(letter.kept.headers))
        came = replace(letter.kept, topic=origin.topic, headers=own, timestamp_ms=letter.came_ms)
        found = admit(record, came)
        if isinstance(found, Refusal):
            return f"it would be refused again: {found.detail}"
        if isinstance(record, TimelineRequest) and (why_no_reply := misdirected(record.reply_to)):
            return f"it would be refused again: reply_to: {why_no_reply}"
        return outlived(record, letter.came_ms, now_ms())

    return refused


def message_of(letter: DeadLetter, origin: Origin) -> Outgoing:
    """The original message, with the time it first came."""
    kept = letter.kept
    came = (APPENDED_AT, b"%d" % letter.came_ms)
    return Outgoing(origin.topic, kept.value, kept.key, [*own_headers(kept.headers), came], origin.partition)


@dataclass(frozen=True, slots=True)
class Again:
    """What is done to letters. `outbox` None: nothing, only said; it knows topics by Kafka's own names."""

    names: Names
    outbox: Outbox | None
    now_ms: Callable[[], int]

    async def replay(
        self,
        letters: Iterable[DeadLetter],
        places: Places,
        told: Callable[[int], None] = lambda done: None,
        refused: Callable[[DeadLetter], str] = lambda letter: "",
    ) -> ReplayReport:
        """Send them back. A message that was kept twice, as a crash may, is sent once. `told` of how many.

        `refused`: why a letter would be a letter again; it stays, and the report says why.
        """
        report = ReplayReport()
        for batch in _batches(_letters_to_send(_open(letters, report), places, refused, report)):
            if self.outbox is not None:
                batch = await self._sent(self.outbox, batch, report)
                await self._note([letter for letter, _ in batch], "replayed", "")
            for letter, message in batch:
                report.add(letter)
                report.again += message is None
            told(len(report.ids))
        return report

    async def _sent(self, outbox: Outbox, batch: list[ToSend], report: ReplayReport) -> list[ToSend]:
        """Those that the broker has; a message that is too large now keeps no other from being sent."""
        try:
            await outbox.send_all(message for _, message in batch if message is not None)
        except TooLarge as error:
            if len(batch) == 1:
                report.cannot[batch[0][0].id] = f"{error.message} {error.hint}"
                return []
            return [sent for one in batch for sent in await self._sent(outbox, [one], report)]
        return batch

    async def drop(self, letters: Iterable[DeadLetter], reason: str) -> ReplayReport:
        """Have them done without sending anything; they stay in their topic."""
        report = ReplayReport()
        dropped = list(_open(letters, report))
        for letter in dropped:
            report.add(letter)
        if self.outbox is not None:
            await self._note(dropped, "dropped", reason)
        return report

    async def _note(self, letters: Iterable[DeadLetter], action: str, reason: str) -> None:
        assert self.outbox is not None
        topic, at = self.names.topic(DONE), self.now_ms()
        await self.outbox.send_all(
            Outgoing(topic, encode(done), one.id.encode())
            for one in letters
            for done in [LetterDone(action, reason, OPERATOR, at, one.kept.timestamp_ms)]
        )


def _open(letters: Iterable[DeadLetter], report: ReplayReport) -> Iterator[DeadLetter]:
    """Those that nobody has replayed or dropped."""
    for letter in letters:
        if letter.done is None:
            yield letter
        else:
            report.already += 1


def _letters_to_send(
    letters: Iterable[DeadLetter], places: Places, refused: Callable[[DeadLetter], str], report: ReplayReport
) -> Iterator[ToSend]:
    sent: set[Origin] = set()
    for letter in letters:
        origin, refusal = letter.origin, why_not(letter, places) or refused(letter)
        if origin is None or refusal:
            report.cannot[letter.id] = refusal
            continue
        yield letter, None if origin in sent else message_of(letter, origin)
        sent.add(origin)


def _batches(letters: Iterable[ToSend]) -> Iterator[list[ToSend]]:
    batch, size = list[ToSend](), 0
    for one in letters:
        batch.append(one)
        size += len(one[0].kept.value or b"")
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def again(
    bootstrap: str,
    names: Names,
    choice: LetterFilter,
    act: Callable[[Again, Iterator[DeadLetter]], Awaitable[ReplayReport]],
    *,
    execute: bool,
    now_ms: Callable[[], int],
) -> ReplayReport:
    """Do this to the chosen letters. TidelineError when Kafka does not answer; what is done is noted."""
    async with AsyncExitStack() as stack:
        letters = Letters(stack.enter_context(spans(bootstrap)), names)
        outbox = await stack.enter_async_context(Outbox(bootstrap)) if execute else None
        return await act(Again(names, outbox, now_ms), choice.of(letters, names))
