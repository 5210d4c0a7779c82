"""Reading back what could not be processed: `tideline dlq list` and `show`.

A letter is open until it was replayed or dropped. The topic keeps a letter for 30 days; what became of one
is a record of the compacted topic `dead.letters.done`, under the letter's place. Letters about erased
accounts are not shown, and not replayed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pipeline.config.names import HOME, Names
from pipeline.domain.erasure import mark
from pipeline.errors import TidelineError
from pipeline.kafka.bounds import Partition
from pipeline.kafka.messages import DEAD_LETTERS
from pipeline.kafka.spans import Span, Spans, spans
from pipeline.kafka.tail import newest_last
from pipeline.ops.dead_letter import DeadLetter, is_forgotten, letter_id, place_of, text
from pipeline.wire.codec import decode
from pipeline.wire.records import LetterDone

DONE = "dead.letters.done"


@dataclass(frozen=True, slots=True)
class NewestLetters:
    """The newest dead letters, newest first, how many there are in all, and how many of them are done."""

    letters: list[DeadLetter]
    total: int
    done: int


class Letters:
    """The dead letters of a domain and what became of each, as of one moment; later ones do not appear."""

    def __init__(self, reader: Spans, names: Names) -> None:
        """Raises EngineError when Kafka does not answer, as all methods do."""
        self._reader, self._names, self._topic = reader, names, names.topic(DEAD_LETTERS)
        self._whole = reader.whole(self._topic)
        self._done: dict[str, LetterDone] = {}
        for message in reader.messages(reader.whole(names.topic(DONE))):
            name = text(message.key)
            with suppress(TidelineError):  # a stranger's record says of no letter that it is done
                place_of(name)
                self._done[name] = decode(message.value or b"", LetterDone)

        self._erased = {
            text(message.key): message.value is not None
            for message in reader.messages(reader.whole(names.topic("accounts.erased")))
        }

    def _is_erased(self, account_id: int) -> bool:
        return self._erased.get(mark(account_id), False)

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(end - start for start, end in self._whole.values())

    @property
    def done(self) -> int:
        """How many of them were replayed or dropped."""
        return sum(self._holds(*place_of(name)) for name in self._done)

    def one(self, name: str) -> DeadLetter:
        """The letter of this name. Raises TidelineError when there is none."""
        partition, offset = place_of(name)
        if self._holds(partition, offset):
            for letter in self._read({(self._topic, partition): (offset, offset + 1)}):
                return letter
        raise TidelineError(f"{name}: no such dead letter", "`tideline dlq list --all` shows them")

    def each(self) -> Iterator[DeadLetter]:
        """All of them, those of one partition in order: so are those of one key."""
        return self._read(self._whole)

    def newest(self, limit: int, wanted: Callable[[DeadLetter], bool]) -> list[DeadLetter]:
        """The newest `limit` of those that are wanted, newest first; reads backwards."""
        found: dict[Partition, list[DeadLetter]] = {place: [] for place in self._whole}
        ends = {place: end for place, (_, end) in self._whole.items()}
        width = limit
        while left := self._before(ends, found, width, limit):
            earlier: dict[Partition, list[DeadLetter]] = {place: [] for place in left}
            for letter in self._read(left):
                if wanted(letter):
                    earlier[self._topic, letter.kept.partition].append(letter)
            for place, letters in earlier.items():
                found[place] = letters + found[place]
                ends[place] = left[place][0]
            width *= 2
        every = [letter for letters in found.values() for letter in letters]
        return sorted(every, key=lambda one: newest_last(one.kept), reverse=True)[:limit]

    def _before(
        self,
        ends: Mapping[Partition, int],
        found: Mapping[Partition, Sequence[DeadLetter]],
        width: int,
        limit: int,
    ) -> dict[Partition, Span]:
        """What to read next of the partitions that have not given enough."""
        return {
            place: (max(start, ends[place] - width), ends[place])
            for place, (start, _) in self._whole.items()
            if ends[place] > start and len(found[place]) < limit
        }

    def _holds(self, partition: int, offset: int) -> bool:
        start, end = self._whole.get((self._topic, partition), (0, 0))
        return start <= offset < end

    def _read(self, of: Mapping[Partition, Span]) -> Iterator[DeadLetter]:
        for message in self._reader.messages(of):
            done = self._done.get(letter_id(message))
            letter = DeadLetter(message, done if done and done.kept_at == message.timestamp_ms else None)
            if not (self._erased and is_forgotten(letter, self._names, self._is_erased)):
                yield letter


def newest(bootstrap: str, limit: int, names: Names = HOME, *, every: bool = False) -> NewestLetters:
    """The newest `limit` open dead letters; `every`: of all. EngineError when Kafka does not answer."""
    with spans(bootstrap) as reader:
        letters = Letters(reader, names)
        found = letters.newest(limit, lambda one: every or one.done is None)
        return NewestLetters(found, letters.total, letters.done)


def one(bootstrap: str, name: str, names: Names = HOME) -> DeadLetter:
    """One letter. Raises TidelineError when there is none of this name."""
    with spans(bootstrap) as reader:
        return Letters(reader, names).one(name)
