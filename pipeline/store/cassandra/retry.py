"""What a failed statement means: try again, or nothing more to do; and whether it may have been executed."""

import random
from collections.abc import Iterator

from cassandra import (
    OperationTimedOut,
    ReadFailure,
    RequestExecutionException,
    RequestValidationException,
    Unavailable,
)
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionException
from cassandra.protocol import (
    ErrorMessage,
    IsBootstrappingErrorMessage,
    OverloadedErrorMessage,
)
from cassandra.protocol import RequestValidationException as WrongMessage

FAILURES = (
    OperationTimedOut,
    RequestExecutionException,
    RequestValidationException,
    NoHostAvailable,
    ConnectionException,
    ErrorMessage,
)
"""Everything the driver raises for a statement."""

_WRONG = (RequestValidationException, WrongMessage)
"""What the driver translates itself, and what it does not."""

_REFUSED = (NoHostAvailable, Unavailable, OverloadedErrorMessage, IsBootstrappingErrorMessage)

_FIRST_PAUSE_S = 0.05
_MAX_PAUSE_S = 2.0


_NEVER = {1, 4}
"""Why replicas failed (native protocol 5): READ_TOO_MANY_TOMBSTONES, READ_SIZE. It is about the partition."""

_NEVER_SAID = ("TombstoneOverwhelming", "MutationExceededMaxSize", "too large for the maximum size")
"""The same in words, where the server gives no code."""


def transient(error: Exception) -> bool:
    """Whether the same statement may succeed later; every outcome is then unknown until it does."""
    if isinstance(error, _WRONG):
        return False  # wrong, too large a batch, too long a key
    if isinstance(error, ReadFailure) and _NEVER & set((error.error_code_map or {}).values()):
        return False
    return not any(said in str(error) for said in _NEVER_SAID)


def refused(error: Exception) -> bool:
    """Whether the statement was certainly not executed: no node was reached, or it was turned away.

    NoHostAvailable qualifies because the driver itself never retries here (FallthroughRetryPolicy): an error
    after sending is raised as what it is.
    """
    return isinstance(error, _REFUSED)


def pauses() -> Iterator[float]:
    """Seconds between the attempts: exponential with full jitter, so that writers do not return in step."""
    longest = _FIRST_PAUSE_S
    while True:
        yield random.uniform(0, longest)  # noqa: S311  # spread, not secrecy
        longest = min(longest * 2, _MAX_PAUSE_S)
