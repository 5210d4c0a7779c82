"""`tideline import follows`: many followers an event, nothing lost, nothing twice in an event."""

import gzip
import json
import random
from collections import Counter
from itertools import count

import pytest

from pipeline.domain.snowflake import EPOCH_MS
from pipeline.ops import import_follows
from pipeline.ops.lines import Line
from pipeline.wire.codec import decode
from pipeline.wire.records import FollowEvent

T = 1_700_000_000_000
author_ids = count(random.getrandbits(60))  # the broker is shared: authors of this test alone


def events_of(author_id, messages):
    return [decode(m.value(), FollowEvent) for m in messages if m.key() == b"%d" % author_id]


def test_followers_are_grouped_by_whom_they_follow_up_to_1000_an_event(tideline, tap, tmp_path):
    """2,500 and 1 followers, their lines mixed."""
    large, small, follows = next(author_ids), next(author_ids), tap("follows")
    lines = [f"{follower} {large}" for follower in range(1, 2501)]
    lines.insert(1700, f"3 {small}")
    (tmp_path / "graph.txt").write_text("\n".join(lines))

    command = tideline("import", "follows", str(tmp_path / "graph.txt"), "--at", str(T), "--json")
    out, err = command.communicate()

    messages = follows.messages()
    assert [len(event.follower_ids) for event in events_of(large, messages)] == [1000, 1000, 500]
    assert [f for event in events_of(large, messages) for f in event.follower_ids] == list(range(1, 2501))
    assert events_of(small, messages) == [FollowEvent("followed", small, (3,), T)]
    assert json.loads(out)["sent"] == 2501
    assert "sent 2,501, refused 0" in err
    assert command.returncode == 0


def test_importing_twice_sends_the_same_events(tideline, tap, tmp_path):
    author, follows = next(author_ids), tap("follows")
    (tmp_path / "graph.txt").write_text("".join(f"{follower} {author}\n" for follower in range(1, 1501)))

    for _ in range(2):
        tideline("import", "follows", str(tmp_path / "graph.txt"), "--at", str(T)).communicate()

    ids = Counter(dict(m.headers())["ce_id"] for m in follows.messages() if m.key() == b"%d" % author)
    assert sorted(ids.values()) == [2, 2]


def test_bad_lines_are_named_comments_are_not_and_gzip_is_read(tideline, tap, tmp_path):
    author, follows = next(author_ids), tap("follows")
    text = f"""# FOLLOWER FOLLOWED
1 {author}

  2\t{author}
3
4 {author} 5
x {author}
0 {author}
{author} {author}
1 {author}
"""
    (tmp_path / "graph.gz").write_bytes(gzip.compress(text.encode()))

    command = tideline("import", "follows", str(tmp_path / "graph.gz"))
    _, err = command.communicate()

    (event,) = events_of(author, follows.messages())
    assert event.follower_ids == (1, 2)
    assert [line for line in err.splitlines() if line.startswith("line")] == [
        "line 5: must be FOLLOWER FOLLOWED, two ids",
        "line 6: must be FOLLOWER FOLLOWED, two ids",
        "line 7: must be FOLLOWER FOLLOWED, two ids",
        "line 8: must be FOLLOWER FOLLOWED, two ids",
        "line 9: nobody follows themselves",
    ]
    assert command.returncode == 1


def test_standard_input_and_the_time_of_an_import_that_undoes_nothing(tideline, tap):
    author, follows = next(author_ids), tap("follows")

    command = tideline("import", "follows", "-")
    command.communicate(f"1 {author}\n")

    (message,) = follows.messages()
    assert message.key() == b"%d" % author
    assert dict(message.headers())["ce_source"] == b"tideline/import"
    assert decode(message.value(), FollowEvent).at == EPOCH_MS
    assert command.returncode == 0


def test_a_broken_archive_is_an_error_with_the_line_it_broke_at(tideline, tmp_path):
    data = gzip.compress("".join(f"{n} 9\n" for n in range(1, 100_000)).encode())
    (tmp_path / "graph.gz").write_bytes(data[: len(data) // 2])

    command = tideline("import", "follows", str(tmp_path / "graph.gz"))
    _, err = command.communicate()

    assert "error: cannot read on after line " in err
    assert "Traceback" not in err
    assert command.returncode == 1


@pytest.mark.parametrize("at", ["946684799999", "7258118400000", "now"])
def test_a_time_that_is_none_is_wrong_usage(tideline, at):
    command = tideline("import", "follows", "-", "--at", at)
    _, err = command.communicate()

    assert "--at" in err
    assert command.returncode == 2


@pytest.mark.parametrize("edges", [9, 10, 11, 35])
async def test_what_is_held_for_grouping_is_bounded(monkeypatch, edges):
    """At 10 held edges all groups go out, although none is full."""
    monkeypatch.setattr(import_follows, "HELD_EDGES", 10)
    lines = [Line(n, b"%d %d" % (n, 1000 + n % 3)) for n in range(1, edges + 1)]

    read, held, sent, rounds = [], [], Counter(), 0

    async def one_by_one():
        for line in lines:
            read.append(line)
            yield [line]

    async for batch in import_follows.batches(one_by_one(), at=T, now_ms=lambda: T):
        for message in batch.messages:
            event = decode(message.value, FollowEvent)
            sent.update((follower, event.author_id) for follower in event.follower_ids)
        rounds += bool(batch.messages)
        held.append(len(read) - sum(sent.values()))

    assert sent == Counter({(n, 1000 + n % 3): 1 for n in range(1, edges + 1)})
    assert max(held) == min(edges, 10)
    assert rounds == -(-edges // 10)
