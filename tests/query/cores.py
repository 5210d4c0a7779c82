"""The core of the read path on the stores and the broker that a test gives it."""

from unittest import mock

from pipeline.domain.ranking import Weighted
from pipeline.kafka.ports import Outgoing
from pipeline.query.ranked import Ranking
from pipeline.runtime import serving
from pipeline.wire.codec import encode
from tests.twin import Clock, opened, shaped

KEYS = (b"k" * 32,)
WEIGHTS = {
    "age": 1.0,
    "affinity": 1.0,
    "author_prior": 1.0,
    "quality": 1.0,
    "proximity": 1.0,
    "engagement": 1.0,
    "negative": 2.0,
}
RANKING = Ranking(Weighted(WEIGHTS, 6 * 3600), 2_000, 300, 100, 0.5, 24 * 3_600_000)


class Told(dict):
    """What a topic keyed by author holds: what is put here is there at once."""

    def __init__(self, kafka, topic):
        super().__init__()
        self._kafka, self._topic = kafka, topic

    def __setitem__(self, author, record):
        super().__setitem__(author, record)
        self._kafka.append(Outgoing(self._topic, encode(record), str(author).encode()))


def core(stores, *, kafka=None, clock=None, sizes=None, ranking=RANKING, **shape):
    """The core of the read path, as production makes it, on these stores and this broker. `sizes`: of its
    caches; without, it reads the tables.
    """
    clock = clock or (Clock() if kafka is None else kafka.clock)
    process = opened(stores, clock=clock, kafka=kafka, topology=shaped(**shape))
    return core_of(process, sizes, ranking)


def core_of(process, sizes=None, ranking=RANKING):
    """The core of a process, with this model: to look for those that are installed takes half of a world."""
    with mock.patch.object(serving, "ranking_of", lambda topology: ranking):
        return serving.core_of(process, sizes, KEYS)[0]
