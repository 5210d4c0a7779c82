"""Record batches as strangers make them: read without end, without harm, and within a bound of memory."""

import gzip
import resource
import tracemalloc
from types import SimpleNamespace

import cramjam
import pytest
from aiokafka.codec import snappy_encode
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.structs import TopicPartition

from pipeline.kafka import batches
from pipeline.kafka.batches import Records, Unreadable, inflate
from tests.kafka.strangers import batch, with_checksum

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4

PACK = {
    GZIP: gzip.compress,
    SNAPPY: snappy_encode,
    LZ4: lambda data: bytes(cramjam.lz4.compress(data)),
    ZSTD: lambda data: bytes(cramjam.zstd.compress(data)),
}


def read(*made):
    """What aiokafka's fetcher hands on of these batches, and where it fetches next."""
    found = PartitionRecords(
        TopicPartition("posts", 0), Records(b"".join(made)), [], 0, None, None, True, READ_COMMITTED
    )
    return list(found), found.next_fetch_offset


@pytest.mark.parametrize("codec", [0, GZIP, SNAPPY, LZ4, ZSTD])
def test_ordinary_batches_are_read_as_they_are(codec):
    records, after = read(batch((b"one", [("a", b"1")]), (None, []), codec=codec))

    assert [(r.offset, r.key, r.value, r.headers) for r in records] == [
        (0, b"key", b"one", (("a", b"1"),)),
        (1, b"key", None, ()),
    ]
    assert after == 2


def test_a_header_name_that_is_no_text_is_one_with_replacements():
    """Also of a record in the middle; every record comes once."""
    made = batch((b"one", []), (b"two", [(b"\xff\xfe-name", b"x"), (b"b-good", None)]), (b"three", []))

    records, after = read(made)

    assert [r.value for r in records] == [b"one", b"two", b"three"]
    assert records[1].headers == ((r"\xff\xfe-name", b"x"), ("b-good", None))
    assert [r.offset for r in records] == [0, 1, 2]
    assert after == 3


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
def test_a_batch_that_inflates_past_the_limit_is_one_unreadable_record(codec, monkeypatch):
    """At its last offset, so that what is committed is behind all of it."""
    monkeypatch.setattr(batches, "MAX_BATCH_BYTES", 1000)

    records, after = read(batch((bytes(500), []), (bytes(500), []), codec=codec))

    (one,) = records
    assert isinstance(one.value, Unreadable)
    assert one.value.why == "offsets 0 to 1: more than 1000 bytes when inflated"
    assert (one.offset, one.key, one.timestamp) == (1, None, 1_700_000_000_000)
    assert after == 2


def test_what_is_broken_inside_of_a_batch_is_unreadable_and_what_is_before_it_is_read():
    made = bytearray(batch((b"one", []), (b"two", [])))
    at = made.index(b"two")
    made[at - 1] = 99  # the length of its value

    records, after = read(with_checksum(made))

    assert [r.value for r in records] == [b"one", b""]
    assert records[1].value.why.startswith("offset 1: ")
    assert after == 2


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 100_000])
def test_the_limit_is_exact(codec, size):
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)

    if size <= 1000:
        assert inflate(codec, PACK[codec](data), 1000) == data
    else:
        with pytest.raises(batches.InflatedTooLarge):
            inflate(codec, PACK[codec](data), 1000)


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
def test_a_gigabyte_of_zeros_takes_no_more_memory_than_the_limit(codec):
    bomb = PACK[codec](bytes(1 << 28))
    bomb = bomb * 4 if codec in (GZIP, ZSTD) else bomb  # members and frames one behind the other
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()

    with pytest.raises(batches.InflatedTooLarge):
        inflate(codec, bomb, batches.MAX_BATCH_BYTES)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * batches.MAX_BATCH_BYTES
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 3 * batches.MAX_BATCH_BYTES // 1024


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
def test_bytes_that_are_no_compression_are_refused_and_never_read_for_ever(codec):
    for data in (b"garbage", b"\x82SNAPPY\0" + bytes(8) + b"\xff\xff\xff\xfc", PACK[codec](bytes(500))[:-3]):
        with pytest.raises(Exception):  # noqa: B017 - whatever its library raises
            inflate(codec, data, 1000)


def test_a_poll_ends_after_some_bytes_and_goes_on_where_it_ended(monkeypatch):
    """However many records it may take: a few large ones are as much as thousands of small ones."""
    monkeypatch.setattr(batches, "POLLED", 1000)
    partition = TopicPartition("posts", 0)
    found = PartitionRecords(
        partition, Records(batch(*[(bytes(400), [])] * 7)), [], 0, None, None, True, READ_COMMITTED
    )
    state = SimpleNamespace(paused=False, position=0)
    state.consumed_to = lambda offset: setattr(state, "position", offset)
    assignment = SimpleNamespace(active=True, state_value=lambda _: state)
    result = batches.Result(partition, assignment=assignment, partition_records=found, backoff=0)

    polls = [[record.offset for record in result.getall(100)] for _ in range(4)]

    assert polls == [[0, 1, 2], [3, 4, 5], [6], []]
    assert not result.has_more()
    assert state.position == 7


def test_a_poll_takes_no_more_records_than_it_may():
    partition = TopicPartition("posts", 0)
    found = PartitionRecords(
        partition, Records(batch(*[(b"", [])] * 7)), [], 0, None, None, True, READ_COMMITTED
    )
    state = SimpleNamespace(paused=False, position=0)
    state.consumed_to = lambda offset: setattr(state, "position", offset)
    assignment = SimpleNamespace(active=True, state_value=lambda _: state)
    result = batches.Result(partition, assignment=assignment, partition_records=found, backoff=0)

    assert [len(result.getall(3)) for _ in range(4)] == [3, 3, 1, 0]
