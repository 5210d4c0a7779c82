"""One dead letter for people."""

from typing import TYPE_CHECKING

from pipeline.cli.running import json_text, local_time

if TYPE_CHECKING:
    from pipeline.ops.dead_letter import DeadLetter

_HEX_BYTES = 1024
"""Bytes shown where nobody can read them: --json has them all."""


def lines_of(letter: "DeadLetter", record: object, unread: str) -> list[str]:
    """The letter, line by line. `record`: what its bytes hold; None when they hold none, and `unread` why."""
    from pipeline.wire.headers import own_headers

    lines = [
        ("letter", f"{letter.id}, {letter.state}, kept {local_time(letter.kept.timestamp_ms)}"),
        (
            "from",
            f"{letter.origin or 'it does not say'}, where it came {local_time(letter.came_ms)}",
        ),
        ("reason", f"{letter.reason}: {letter.detail}"),
        ("key", repr(letter.kept.key)),
        *(
            ("header", f"{name}: {value.decode(errors='backslashreplace')}")
            for name, value in own_headers(letter.kept.headers)
        ),
    ]
    if letter.done is not None:
        why = f": {letter.done.reason}" if letter.done.reason else ""
        lines.append((letter.state, f"{local_time(letter.done.at)} by {letter.done.by}{why}"))
    return [*(f"{name:<8} {said}" for name, said in lines), *_stack(letter), *_value(letter, record, unread)]


def _stack(letter: "DeadLetter") -> list[str]:
    return ["", *letter.stack.rstrip().split("\n")] if letter.stack else []


def _value(letter: "DeadLetter", record: object, unread: str) -> list[str]:
    if record is not None:
        return ["", *json_text(record, indented=True).split("\n")]
    value = letter.kept.value
    if value is None:
        return ["", "no value: a tombstone"]
    rows = [value[at : at + 16] for at in range(0, min(len(value), _HEX_BYTES), 16)]
    more = [f"… {len(value) - _HEX_BYTES:,} more bytes, --json has them"] if len(value) > _HEX_BYTES else []
    cut = [", only the beginning of it was kept"] if letter.is_cut else []
    title = f"{len(value):,} bytes{''.join(cut)}; {unread}"
    return [
        "",
        title,
        *(f"{at * 16:06x}  {row.hex(' '):<47}  {_printable(row)}" for at, row in enumerate(rows)),
        *more,
    ]


def _printable(row: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
