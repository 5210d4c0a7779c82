"""From "a tier is red" to "contained", by the runbook and nothing else: its commands, as they stand there."""

import json
import re
import shlex

from tests.engines import events
from tests.engines.harness import REPOSITORY, Instance
from tests.engines.test_isolation import LARGE, stopped
from tests.waiting import eventually

RUNBOOK = (REPOSITORY / "docs" / "runbook.md").read_text()


def commands(heading: str) -> list[list[list[str]]]:
    """The `tideline` commands of each block under a heading, as words."""
    section = RUNBOOK.split(f"## {heading}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [
        [shlex.split(line, comments=True)[1:] for line in block.splitlines() if line.startswith("tideline ")]
        for block in blocks
    ]


def test_from_red_to_contained_and_back(instance: Instance) -> None:
    celebrity, *fans = events.take(LARGE + 1)
    instance.publish(events.followed(celebrity, *fans))
    instance.settle()
    instance.await_covered(celebrity, fans[:1])
    contain, look, release = commands("From red to contained")
    first = events.post(celebrity, "first")
    of = {"TIER": "large", "AUTHOR": str(celebrity), "POST": str(first["post_id"])}

    def follow(block: list[list[str]]) -> list[str]:
        done = [instance.command(*(of.get(word, word) for word in words)) for words in block]
        for words, one in zip(block, done, strict=True):
            assert one.returncode == (1 if words == ["status"] else 0), one.stderr
        return [one.stdout for one in done]

    with stopped(instance, "fanout.large"):
        instance.publish(first)
        eventually(lambda: instance.lag("fanout.large").lag == 1)
        said = follow(contain)
        assert "fanout.large" in said[0] and "fanout.large" in said[1]
        assert said[0].startswith("fanout.large: no live worker")
        assert "RED" in said[-1]
        second = events.post(celebrity, "second")
        instance.publish(second)
        instance.settle_but("fanout.large")
        assert instance.lag("fanout.large").lag == 1, "it does not grow any more"
        eventually(lambda: instance.paths(fans[0]) == {second["post_id"]: "pull"})
        assert "fanout.large" in follow(look)[-1]
        follow(release)
    instance.settle()

    assert [post for post, _ in instance.walk(fans[0])] == [second["post_id"], first["post_id"]]
    assert json.loads(instance.tideline("contain", "list", "--json")) == []
