"""The instance that the tests of this folder share; each takes ids of its own from `events.take`."""

import random
from collections.abc import Iterator

import pytest

from tests.engines.harness import Instance


@pytest.fixture(scope="package")
def instance(engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A running instance on the session's engines, in a keyspace of its own.

    Its topics are those of the topology, so no other instance may run on these engines at the same time: it
    ends with the last test of this folder.
    """
    environment = {
        "TIDELINE_KAFKA": engines.kafka,
        "TIDELINE_CASSANDRA": engines.cassandra,
        "TIDELINE_KEYSPACE": f"engines_{random.getrandbits(48):x}",
    }
    with Instance(tmp_path_factory.mktemp("instance"), environment) as instance:
        instance.tideline("stage", "stop", "controller")  # it would act when a test, or the machine, is slow
        yield instance
