"""What SIGINT, SIGTERM and SIGHUP mean in each part of a supervisor's life. Main thread only.

While it starts up they interrupt it, as Ctrl-C does; while it supervises they are counted; while it cleans up
they wait.
"""

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interrupting() -> Iterator[None]:
    """Each of them raises KeyboardInterrupt."""
    with _handled_by(signal.default_int_handler):
        yield


@contextmanager
def ignored() -> Iterator[None]:
    """None of them does anything."""
    with _handled_by(signal.SIG_IGN):
        yield


class Wakeup:
    """Counts them, and wakes `wait`. A context manager."""

    def __init__(self) -> None:
        self.received = 0
        self._read, self._write = os.pipe()
        self._handlers = _handled_by(self._take)

    def __enter__(self) -> "Wakeup":
        self._handlers.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._handlers.__exit__(None, None, None)
        os.close(self._read)
        os.close(self._write)

    def wait(self, seconds: float) -> None:
        """Return after this time, or as soon as a signal arrives."""
        if select.select([self._read], [], [], seconds)[0]:
            os.read(self._read, 64)

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        self.received += 1
        os.write(self._write, b"!")


@contextmanager
def _handled_by(handler: "signal._HANDLER") -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in STOPPING}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
