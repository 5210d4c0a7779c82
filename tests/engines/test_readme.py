"""The first lines anybody tries: those of docs/produce.md, which are README's and more, sent as they are, with ids that nobody else has."""

import json
from pathlib import Path

from tests.engines import events
from tests.engines.harness import Instance
from tests.waiting import eventually

PRODUCE = Path(__file__).parents[2] / "docs" / "produce.md"


def shown() -> list[str]:
    """Its events, for a reader and an author of this test."""
    reader, author = events.take(2)
    lines = [line for line in PRODUCE.read_text().splitlines() if line.startswith('{"topic"')]
    ids = {"user_id": reader, "follower_id": reader, "reader_id": reader, "author_id": author}
    found = [json.loads(line) for line in lines]
    return [json.dumps(event | {name: ids[name] for name in ids if name in event}) for event in found]


def test_what_one_is_told_to_produce_is_on_the_readers_page_until_the_block(instance: Instance) -> None:
    *lines, block = shown()
    reader = json.loads(lines[0])["user_id"]

    done = instance.command("publish", "-", stdin="\n".join(lines).encode())

    assert done.returncode == 0, done.stderr
    instance.settle()
    (item,) = eventually(lambda: instance.page(reader)["items"], 30)
    assert item["body"] == "hello"
    assert done.stdout == f"line 3: post {item['post_id']}\n"

    instance.command("publish", "-", stdin=block.encode())

    eventually(lambda: not instance.page(reader)["items"], 30)
