"""One message nobody could process, as it is kept, and what its bytes hold."""

from dataclasses import asdict, dataclass
from typing import Any

from pipeline.config.names import Names
from pipeline.domain.erasure import IsErased, without
from pipeline.errors import TidelineError
from pipeline.kafka.messages import Incoming
from pipeline.path import RECORDS
from pipeline.wire.codec import decode
from pipeline.wire.headers import ERRORS, appended_at, own_headers
from pipeline.wire.records import LetterDone

_PREVIEW_BYTES = 32


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message could not be processed, as Kafka knows the topic."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic} {self.partition} @{self.offset}"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message nobody could process: as it is kept, and what became of it; None: it is open."""

    kept: Incoming
    done: LetterDone | None = None

    @property
    def id(self) -> str:
        """What commands call it: its place among the dead letters."""
        return letter_id(self.kept)

    @property
    def reason(self) -> str:
        """The reason in a word: codec, clock, the class of an error."""
        return self._said("exception")

    @property
    def detail(self) -> str:
        """The reason in a sentence."""
        return self._said("message")

    @property
    def stack(self) -> str:
        """Where the code broke; empty when it did not."""
        return self._said("stacktrace")

    @property
    def origin(self) -> Origin | None:
        """Where it came from; None when it does not say: anybody can write to a topic."""
        topic, partition, offset = map(self._said, ("topic", "partition", "offset"))
        if not (topic and partition.isdecimal() and offset.isdecimal()):
            return None
        return Origin(topic, int(partition), int(offset))

    @property
    def is_cut(self) -> bool:
        """Whether it was too large to be kept whole."""
        return bool(self._said("size"))

    @property
    def came_ms(self) -> int:
        """When its message came; for letters that do not say, when they were kept."""
        return appended_at(self.kept.headers, self.kept.timestamp_ms)

    @property
    def state(self) -> str:
        """Open | replayed | dropped."""
        return "open" if self.done is None else self.done.action

    @property
    def preview(self) -> str:
        """How the bytes begin, printable."""
        value = self.kept.value or b""
        more = "…" if len(value) > _PREVIEW_BYTES else ""
        return str(value[:_PREVIEW_BYTES])[2:-1] + more

    def _said(self, name: str) -> str:
        return dict(self.kept.headers).get(ERRORS + name, b"").decode(errors="backslashreplace")

    def document(self) -> dict[str, object]:
        """What `tideline dlq list --json` prints."""
        origin = self.origin
        return {
            "id": self.id,
            "state": self.state,
            "partition": self.kept.partition,
            "offset": self.kept.offset,
            "kept_at": self.kept.timestamp_ms,
            "reason": self.reason,
            "detail": self.detail,
            "origin": asdict(origin) if origin else {"topic": "", "partition": None, "offset": None},
            "key": text(self.kept.key),
            "bytes": len(self.kept.value or b""),
            "preview": self.preview,
        }

    def whole(self, record: object) -> dict[str, object]:
        """What `tideline dlq show --json` prints; `record`: what its bytes hold, None when they hold none."""
        return {
            **self.document(),
            "came_at": self.came_ms,
            "stack": self.stack,
            "headers": {name: text(value) for name, value in own_headers(self.kept.headers)},
            "done": asdict(self.done) if self.done else None,
            "record": record,
            "hex": None if self.kept.value is None else self.kept.value.hex(),
        }


def text(data: bytes | None) -> str:
    """Bytes as people can read them, whatever they are."""
    return (data or b"").decode(errors="backslashreplace")


def letter_id(kept: Incoming) -> str:
    """The letter's name, and its key in the topic of what became of it."""
    return f"{kept.partition}@{kept.offset}"


def place_of(name: str) -> tuple[int, int]:
    """The partition and offset of `P@O`. Raises TidelineError for what is none."""
    partition, _, offset = name.partition("@")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise TidelineError(
            f"{name}: no dead letter is called so", "PARTITION@OFFSET, as `tideline dlq list`"
        )
    return int(partition), int(offset)


def record_of(letter: DeadLetter, names: Names) -> tuple[dict[str, object] | None, str]:
    """What the bytes hold, by field; or None, and why they hold nothing that can be read."""
    try:
        return asdict(_record(letter, names)), ""
    except TidelineError as error:
        return None, error.message


def is_forgotten(letter: DeadLetter, names: Names, erased: IsErased) -> bool:
    """Whether a letter is about an erased account alone: by its record, else by its key."""
    key = letter.kept.key or b""
    try:
        return without(_record(letter, names), erased) is None
    except TidelineError:
        return key.isdigit() and len(key) < 20 and erased(int(key))


def _record(letter: DeadLetter, names: Names) -> Any:
    """Raises TidelineError for bytes that hold no record."""
    came_from = letter.origin.topic if letter.origin else ""
    kind = next((kind for topic, kind in RECORDS.items() if names.topic(topic) == came_from), bytes)
    if kind is bytes:
        raise TidelineError(f"no record is known to travel on {came_from or 'a topic it does not name'}")
    return decode(letter.kept.value or b"", kind)
