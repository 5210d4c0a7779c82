"""Logs: logfmt on stderr, one line an event, whatever is in it.

Details quote what strangers sent. So every value that is not a plain word is quoted as JSON quotes text: no
value can end its line, begin another field, or move the cursor of who reads it.
"""

import json
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from pipeline.telemetry.printable import one_line

_FIRST = ("timestamp", "level", "event")
_WORD = re.compile(r"[^\s\"=\\]+")


def configure(level: str) -> None:
    """Log our own events from this level on. Faust and the driver speak up only when something is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            logfmt,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


class OneLine(logging.Formatter):
    """Other libraries' records, a traceback's lines shown by their escapes."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        return one_line(super().format(record))


def logfmt(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    """An event as one line of logfmt: when, how bad and what, then the rest in its order."""
    names = [*(name for name in _FIRST if name in event), *(name for name in event if name not in _FIRST)]
    return " ".join(f"{name}={_value(event[name])}" for name in names)


def _value(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
    text = str(value)
    if _WORD.fullmatch(text) and text.isprintable():
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in quoted)
