"""Batches share replicas, keep the caps, and say on the wire what the driver itself would say."""

import struct
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from cassandra.cqltypes import lookup_casstype
from cassandra.metadata import Murmur3Token, SimpleStrategy, TokenMap
from cassandra.protocol import BatchMessage, ProtocolHandler
from cassandra.query import BatchStatement, BatchType
from hypothesis import given
from hypothesis import strategies as st

from pipeline.store.cassandra.graph import CassandraGraph
from pipeline.store.cassandra.posts import CassandraPosts
from pipeline.store.cassandra.ring import MAX_BYTES, MAX_ROWS, Ring, cut
from pipeline.store.cassandra.session import Database, connect
from pipeline.store.cassandra.timelines import GRAIN, CassandraTimelines
from pipeline.store.cassandra.wire import UNSET, EncodedBatches, Mutation, Statement, StatementBatch
from pipeline.store.values import Push, TimelineEntry

A, B, C = (SimpleNamespace(endpoint=name, host_id=name) for name in "ABC")


def key(reader: int) -> bytes:
    return struct.pack(">q", reader)


def three_nodes(replication_factor: int) -> TokenMap:
    """Three nodes with four tokens each in no regular order, as the driver learns of them."""
    step = 2**64 // 12
    order = (A, A, B, C, B, A, C, C, B, A, B, C)
    owners = {Murmur3Token(-(2**63) + n * step): node for n, node in enumerate(order)}
    strategy = SimpleStrategy({"replication_factor": replication_factor})
    keyspaces = {"ks": SimpleNamespace(replication_strategy=strategy)}
    tokens = TokenMap(Murmur3Token, owners, sorted(owners), SimpleNamespace(keyspaces=keyspaces))
    tokens.rebuild_keyspace("ks", build_if_absent=True)
    return tokens


def mutations(readers: range, *, rows: int = 1, size: int = 60) -> list[Mutation]:
    return [Mutation(key(reader), rows, bytes(size)) for reader in readers]


@pytest.mark.parametrize("replication_factor", [1, 2])
def test_rows_of_a_batch_share_their_replicas(replication_factor):
    tokens = three_nodes(replication_factor)

    batches = list(cut(mutations(range(2000)), Ring.of(tokens, "ks")))

    for batch in batches:
        replicas = {
            frozenset(node.endpoint for node in tokens.get_replicas("ks", Murmur3Token.from_key(row.key)))
            for row in batch
        }
        assert len(replicas) == 1
    assert sorted(row.key for batch in batches for row in batch) == [key(reader) for reader in range(2000)]
    assert len(batches) <= 2000 / MAX_ROWS + 3


@pytest.mark.parametrize("ring", [Ring((), ()), Ring.of(three_nodes(3), "ks"), Ring.of(three_nodes(1), "??")])
def test_nothing_is_grouped_where_every_node_holds_everything(ring):
    rows = mutations(range(2 * MAX_ROWS))

    assert ring.uniform
    assert list(cut(rows, ring)) == [rows[:MAX_ROWS], rows[MAX_ROWS:]]


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, []), (1, [1]), (199, [199]), (200, [200]), (201, [200, 1]), (400, [200, 200])]
)
def test_a_batch_has_at_most_two_hundred_rows(count, sizes):
    batches = cut(mutations(range(count)), Ring((), ()))

    assert [len(batch) for batch in batches] == sizes


def test_rows_of_one_reader_count_one_by_one_but_stay_together():
    batches = cut(mutations(range(5), rows=80), Ring((), ()))

    assert [len(batch) for batch in batches] == [2, 2, 1]


@pytest.mark.parametrize(
    ("size", "sizes"),
    [(MAX_BYTES // 2 - 1, [2, 1]), (MAX_BYTES // 2, [2, 1]), (MAX_BYTES // 2 + 1, [1, 1, 1])],
)
def test_a_batch_keeps_the_cap_of_bytes(size, sizes):
    batches = cut(mutations(range(3), size=size), Ring((), ()))

    assert [len(batch) for batch in batches] == sizes


def test_what_is_larger_than_a_cap_goes_alone():
    small, large = mutations(range(2)), Mutation(key(9), 1, bytes(MAX_BYTES * 2))

    assert list(cut([small[0], large, small[1]], Ring((), ()))) == [[small[0]], [large], [small[1]]]


def body(batch: BatchStatement, handler: type[ProtocolHandler], version: int) -> bytes:
    message = BatchMessage(batch.batch_type, batch._statements_and_parameters, 6, 9, 1234)
    message.tracing, message.custom_payload = False, None
    first = handler.encode_message(message, 1, version, compressor=None, allow_beta_protocol_version=False)
    again = handler.encode_message(message, 1, version, compressor=None, allow_beta_protocol_version=False)
    assert first == again  # a retried statement sends the same message object once more
    return first


@pytest.fixture
async def db(engines, keyspace):
    db = await connect(engines.cassandra, keyspace)
    yield db
    await db.close()


@pytest.mark.parametrize("version", [4, 5])
async def test_rows_are_encoded_as_the_driver_would(db: Database, version):
    posts, graph = CassandraPosts(db), CassandraGraph(db)
    rows = [
        (graph._put_edge, (1, -2, True, 2**62, -1, 2**63 - 1, 0, UNSET, 5, 4000, 0)),
        (graph._set_live, (3, 1, 0, None)),
        (posts._edit, (1, UNSET, "eu", "Grüße", None, UNSET, 5, 6)),
        (posts._take_down, (1000, {"eu"}, 1)),
        (posts._index, (7, 12, 1, -5, UNSET, 1000)),
    ]
    by_driver = BatchStatement(BatchType.UNLOGGED)
    for statement, values in rows:
        by_driver.add(statement.prepared, values)

    ours = [statement.mutation(*values) for statement, values in rows]

    assert body(StatementBatch(ours), EncodedBatches, version) == body(by_driver, ProtocolHandler, version)
    for (statement, values), row in zip(rows, ours, strict=True):
        assert row.key == statement.prepared.bind(values).routing_key


async def test_a_push_is_encoded_as_the_driver_would(db: Database):
    timelines = CassandraTimelines(db)
    entries = [TimelineEntry(post, 7, -1, 1000 + post, 60) for post in (1, 2)]
    by_driver = BatchStatement(BatchType.UNLOGGED)
    for e in entries:
        for reader in (5, -6):
            values = (reader, e.post_id, e.author_id, e.hints, e.timestamp_us, e.ttl_s)
            by_driver.add(timelines._push.prepared, values)

    ours = list(timelines._mutations(Push([5, -6], entries), db.ring()))

    assert body(StatementBatch(ours), EncodedBatches, 5) == body(by_driver, ProtocolHandler, 5)
    assert [(rows.key, rows.rows) for rows in ours] == [(key(5), 4)]


@pytest.mark.parametrize("entries", [1, 3, GRAIN, GRAIN + 1, MAX_ROWS + 1])
@pytest.mark.parametrize("replication_factor", [1, 3])
async def test_a_grain_of_rows_shares_its_replicas(db: Database, entries, replication_factor):
    """And holds all entries of its readers, as far as they fit into a batch."""
    timelines = CassandraTimelines(db)
    ring = Ring.of(three_nodes(replication_factor), "ks")
    posts = [TimelineEntry(post, 7, -1, 1000 + post, 60) for post in range(entries)]
    head, row = len(timelines._push.head) + 4, len(timelines._push.mutation(1, 1, 7, -1, 1001, 60).data)

    grains = list(timelines._mutations(Push(range(500), posts), ring))

    for grain in grains:
        keys = [grain.data[at + head : at + head + 8] for at in range(0, len(grain.data), row)]
        assert len(keys) == grain.rows <= max(GRAIN, min(entries, MAX_ROWS))
        assert {keys.count(each) for each in keys} <= {min(entries, MAX_ROWS), entries % MAX_ROWS}
        assert {ring.group(each) for each in keys} == {ring.group(grain.key)}
    assert sum(grain.rows for grain in grains) == 500 * entries


def statement(types: Sequence[str], keys: Sequence[int]) -> Statement:
    """One that writes columns of these types, as the driver would have prepared it."""
    columns = [SimpleNamespace(type=lookup_casstype(f"{name}Type")) for name in types]
    prepared = SimpleNamespace(
        query_string="INSERT INTO t", query_id=b"id", column_metadata=columns, routing_key_indexes=keys
    )
    return Statement(prepared, 5)


VALUES = {
    "Long": st.integers(-(2**63), 2**63 - 1),
    "Int32": st.integers(-(2**31), 2**31 - 1),
    "Boolean": st.booleans(),
    "UTF8": st.sampled_from(["", "a", "é" * 9]),
}


@given(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=6), st.data())
def test_a_row_is_its_parameters_one_after_another(types, data):
    """Whether or not all sizes are known, and whatever is absent; the key as the partitioner hashes it."""
    keys = data.draw(st.lists(st.sampled_from(range(len(types))), min_size=1, unique=True))
    values = [
        data.draw(VALUES[name] if n in keys else VALUES[name] | st.sampled_from([None, UNSET]))
        for n, name in enumerate(types)
    ]
    made = statement(types, keys)

    row, parameters = made.mutation(*values), made.parameters(*values)

    assert (row.rows, row.data) == (1, made.head + b"".join(parameters))
    parts = [parameters[n][4:] for n in keys]
    composite = b"".join(struct.pack(">H", len(part)) + part + b"\0" for part in parts)
    assert row.key == (parts[0] if len(parts) == 1 else composite)
