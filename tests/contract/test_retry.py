"""Which failures of Cassandra may pass, and which are about one key and never do."""

import pytest
from cassandra import InvalidRequest, OperationTimedOut, ReadFailure, ReadTimeout, Unavailable, WriteFailure
from cassandra.cluster import NoHostAvailable
from cassandra.protocol import OverloadedErrorMessage, ServerError

from pipeline.store.cassandra.retry import transient

TOMBSTONES, INCOMPATIBLE_SCHEMA, READ_SIZE = 1, 3, 4


def server_error(text):
    return ServerError(0, text, {})


@pytest.mark.parametrize(
    "error",
    [
        OperationTimedOut(),
        NoHostAvailable("none", {}),
        ReadTimeout("late"),
        Unavailable("no quorum"),
        ReadFailure("failed", error_code_map={"127.0.0.1": INCOMPATIBLE_SCHEMA}),
        ReadFailure("failed", error_code_map={"127.0.0.1": 0}),
        ReadFailure("failed"),
        WriteFailure("failed", error_code_map={"127.0.0.1": 0}),
        OverloadedErrorMessage(0x1001, "busy", {}),
        server_error("java.lang.OutOfMemoryError"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_may_pass_is_tried_again(error):
    assert transient(error)


@pytest.mark.parametrize(
    "error",
    [
        ReadFailure("failed", error_code_map={"127.0.0.1": 0, "127.0.0.2": TOMBSTONES}),
        ReadFailure("failed", error_code_map={"127.0.0.1": READ_SIZE}),
        InvalidRequest("Batch too large"),
        InvalidRequest("Key length of 70000 is longer than maximum of 65535"),
        server_error("org.apache.cassandra.db.MutationExceededMaxSizeException: too large"),
    ],
    ids=["tombstones", "read size", "batch", "key", "mutation"],
)
def test_what_is_about_one_key_is_not(error):
    assert not transient(error)
