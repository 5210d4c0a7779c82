"""Waiting for something to become true: what every test uses in place of a sleep.

Both helpers return the condition's first truthy value. A condition may also be written with asserts: an
AssertionError counts as "not yet", and the last one is the cause of the failure that ends the wait.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

INTERVAL = 0.02
"""Seconds between two looks: short against what is waited for, long against the cost of a look."""


def eventually(condition: Callable[[], T], timeout: float = 10.0) -> T:
    """Look until the condition holds and return its value; AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value, cause = _look(condition)
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(_overdue(condition, timeout, value)) from cause
        time.sleep(INTERVAL)


async def eventually_async(condition: Callable[[], T | Awaitable[T]], timeout: float = 10.0) -> T:
    """The same inside an event loop; the condition may be a plain function or a coroutine function."""
    deadline = time.monotonic() + timeout
    while True:
        value, cause = _look(condition)
        if inspect.isawaitable(value):
            value, cause = await _look_async(value)
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(_overdue(condition, timeout, value)) from cause
        await asyncio.sleep(INTERVAL)


def _look(condition):
    try:
        return condition(), None
    except AssertionError as error:
        return None, error


async def _look_async(value):
    try:
        return await value, None
    except AssertionError as error:
        return None, error


def _overdue(condition, timeout, value):
    name = getattr(condition, "__qualname__", repr(condition))
    return f"not true within {timeout:g} s: {name}; last value {value!r}"
