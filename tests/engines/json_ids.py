"""Numbers in JSON that a double cannot hold, and ids that are numbers at all."""

from collections.abc import Iterator
from typing import Any


def numbers_that_lose_digits(value: Any, name: str = "$") -> Iterator[str]:
    """Where in a document they are."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers_that_lose_digits(inner, f"{name}.{key}")
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from numbers_that_lose_digits(inner, f"{name}[{at}]")
    elif isinstance(value, int) and not isinstance(value, bool) and (abs(value) > 2**53 or _is_id(name)):
        yield f"{name}: {value}"


def _is_id(name: str) -> bool:
    return name.rpartition(".")[2].partition("[")[0].endswith(("_id", "_ids"))
