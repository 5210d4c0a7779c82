"""Where the output of workers goes: to stderr with the stage before each line, and to HOME/logs/STAGE.log."""

import sys
from collections.abc import Callable
from contextlib import suppress
from logging import makeLogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path

MAX_BYTES = 10 * 1024 * 1024
"""Bytes of a log file; the one before it is kept as STAGE.log.1."""


class Logs:
    """The logs of one home. Lines come from many threads."""

    def __init__(self, folder: Path, width: int) -> None:
        """`width` of the column of names on stderr."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._width = folder, width
        self._files: dict[str, RotatingFileHandler] = {}

    def of(self, stage: str, name: str) -> Callable[[str], None]:
        """Where a worker of this stage, shown as `name`, writes its lines."""
        file = self._files.setdefault(stage, self._open(stage))
        prefix = name.ljust(self._width)

        def write(line: str) -> None:
            file.handle(makeLogRecord({"msg": line}))
            with suppress(OSError):  # the terminal is gone; the file is not
                sys.stderr.write(f"{prefix} | {line}\n")

        return write

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()

    def _open(self, stage: str) -> RotatingFileHandler:
        path = self._folder / f"{stage}.log"
        return RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=1, delay=True, errors="replace")
