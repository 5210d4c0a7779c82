"""Two instances on one machine, each with engines of its own, share nothing but the jars."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.engines import events
from tests.engines.harness import Instance

pytestmark = [pytest.mark.engines, pytest.mark.slow]


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Instance, Instance]]:
    """Two instances that were started at the same time."""
    both = Instance(tmp_path / "one", {}), Instance(tmp_path / "other", {})
    with ExitStack() as stack:
        for each in both:
            each.launch()
            stack.callback(each.stop)
        for each in both:
            each.await_ready()
        yield both


def processes(instance: Instance) -> set[int]:
    """Everything that runs for a home: supervisor, workers, engines."""
    engines = json.loads((instance.home / "engines.json").read_text())["processes"].values()
    workers = instance.description()["workers"]
    return {instance.process.pid, *(each["pid"] for each in [*workers, *engines])}


def test_two_homes_side_by_side_do_not_see_each_other(two: tuple[Instance, Instance]) -> None:
    one, other = two
    author, reader = events.take(2)
    post = events.post(author)

    for instance in two:
        instance.publish(events.followed(author, reader))
    for instance in two:
        own = post | {"body": f"from {instance.home.name}"}
        instance.publish(own)
        instance.settle()

    assert one.walk(reader) == [(post["post_id"], "from one")]
    assert other.walk(reader) == [(post["post_id"], "from other")]

    for instance in two:
        page = json.loads(instance.tideline("timeline", str(reader), "--json"))
        assert [item["body"] for item in page["items"]] == [f"from {instance.home.name}"]

    ours, theirs = processes(one), processes(other)
    assert not ours & theirs
    one.tideline("stop")
    one.process.wait(60)
    assert not any(psutil.pid_exists(pid) for pid in ours)
    assert other.walk(reader) == [(post["post_id"], "from other")]

    other.stop()
    assert other.process.returncode == 0
    assert not any(psutil.pid_exists(pid) for pid in theirs)
