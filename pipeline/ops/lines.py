"""Lines of files of any size, in bounded memory: plain, gzipped, or standard input."""

import asyncio
import gzip
import os
import threading
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar, cast

from pipeline.errors import TidelineError

T = TypeVar("T")

MAX_LINE_BYTES = 1024 * 1024
"""Bytes of a line at most: what a topic takes as one message."""

_BLOCK = 256 * 1024
_MARK = b"\xef\xbb\xbf"
"""A byte order mark in UTF-8: programs on Windows begin files with it, and `cat` leaves it between two."""
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_MAX_KEPT = len(_MARK) + MAX_LINE_BYTES + len(b"\r") + 1
_READ_AHEAD = 4
"""Blocks read before they are asked for: enough to overlap reading with sending."""


class Line(NamedTuple):
    """One line without its end, and without a byte order mark. Of one too long only the start is kept."""

    number: int
    data: bytes

    @property
    def too_long(self) -> bool:
        """Whether the line was longer than MAX_LINE_BYTES."""
        return len(self.data) > MAX_LINE_BYTES


class LineSource:
    """An open input. `position` of `size` bytes have been read; `size` is 0 when nobody can know it."""

    def __init__(self, raw: BinaryIO, *, gzipped: bool) -> None:
        self._raw = raw
        self._stream = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if gzipped else raw
        self._seekable = raw.seekable()
        self.size = os.fstat(raw.fileno()).st_size if self._seekable else 0

    @property
    def position(self) -> int:
        """How far the file has been read, in bytes on disk."""
        return self._raw.tell() if self._seekable else 0

    def batches(self) -> Iterator[list[Line]]:
        """The lines, as many at a time as one read brings, so that a slow pipe is not held up.

        Raises TidelineError when the input cannot be read to its end.
        """
        number, rest = 1, b""
        try:
            while block := self._stream.read(_BLOCK):
                *whole, rest = (rest + block).split(b"\n")
                rest = rest[:_MAX_KEPT]
                yield [_line(number + i, data) for i, data in enumerate(whole)]
                number += len(whole)
        except (OSError, EOFError, zlib.error) as error:
            raise TidelineError(f"cannot read on after line {number - 1}: {error}") from error
        if rest:
            yield [_line(number, rest)]


def _line(number: int, data: bytes) -> Line:
    if number == 1 and data.startswith(_UTF_16):
        raise TidelineError("this is UTF-16, not UTF-8", "PowerShell: Set-Content -Encoding utf8")
    return Line(number, data.removeprefix(_MARK).removesuffix(b"\r")[: MAX_LINE_BYTES + 1])


@contextmanager
def opened(name: str) -> Iterator[LineSource]:
    """The input of this name: a file, gzipped if it ends in .gz, or `-`, standard input.

    Raises TidelineError when there is no such file or it may not be read.
    """
    try:
        raw = _standard_input() if name == "-" else Path(name).open("rb", buffering=0)  # noqa: SIM115
    except OSError as error:
        raise TidelineError(f"{name}: {error.strerror}") from error
    with raw:
        yield LineSource(raw, gzipped=name.endswith(".gz"))


def _standard_input() -> BinaryIO:
    """Unbuffered: a buffer's lock, held by a reading thread, would end the interpreter with a crash."""
    os.set_blocking(0, True)
    return cast(BinaryIO, open(0, "rb", buffering=0, closefd=False))


async def in_background(items: Iterable[T]) -> AsyncIterator[T]:
    """The items, drawn on a thread of their own: a silent pipe delays neither deliveries nor Ctrl-C."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[T | _End] = asyncio.Queue()
    room = threading.Semaphore(_READ_AHEAD)

    def draw() -> None:
        end = _End()
        try:
            for item in items:
                room.acquire()
                loop.call_soon_threadsafe(queue.put_nowait, item)
        except Exception as error:
            end.error = error
        with suppress(RuntimeError):  # the loop is gone, and so is who asked
            loop.call_soon_threadsafe(queue.put_nowait, end)

    threading.Thread(target=draw, name="reader", daemon=True).start()
    while not isinstance(item := await queue.get(), _End):
        room.release()
        yield item
    if item.error is not None:
        raise item.error


class _End:
    """After the last item; with the error that ended them, if one did."""

    error: Exception | None = None
