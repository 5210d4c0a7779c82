"""What `tideline advise` says of an overload comes true: as many workers as it names drain it in its time.

The tier's writers wait for a slow store here, and do not compute: two cores have room for more of them, as a
cluster has. `--elsewhere`, because whatever else runs on this machine is no part of the experiment.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.domain.segments import shard
from pipeline.kafka.groups import described
from tests.engines import events
from tests.engines.harness import REPOSITORY, Instance
from tests.engines.test_isolation import LARGE, stopped
from tests.waiting import eventually

STAGE, TOPIC = "fanout.large", "fanout.large"
POSTS = 3_600
THROTTLE_S = 2.0
"""A batch: 4 x 16 tasks in flight make 32 tasks a second and worker, and 3,600 tasks almost two minutes."""

WITHIN_S = 50


class Workers:
    """Throttled writers of the tier, started by hand."""

    def __init__(self, instance: Instance) -> None:
        self.instance, self.running = instance, []

    def add(self, number: int) -> None:
        # the repository as well: what `throttle` imports must be what is tested, not what is installed
        path = f"{Path(__file__).parent / 'throttle'}{os.pathsep}{REPOSITORY}"
        given = {"THROTTLE": str(THROTTLE_S), "PYTHONPATH": path}
        with (self.instance.home / "throttled.log").open("ab") as log:
            self.running += [
                subprocess.Popen(
                    [sys.executable, "-m", "pipeline", "worker", STAGE],
                    cwd=REPOSITORY,
                    env={**os.environ, **self.instance.environment, **given},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
                for _ in range(number)
            ]


@contextmanager
def workers(instance: Instance) -> Iterator[Workers]:
    """None at first; all of them gone at the end."""
    made = Workers(instance)
    try:
        yield made
    finally:
        for process in made.running:
            process.kill()
            process.wait()


def spread(partitions: int, each: int) -> list[int]:
    """Authors of one segment, `each` of them on every shard: the test is about time, not about luck."""
    taken: Counter[int] = Counter()
    authors = []
    while len(authors) < partitions * each:
        (author,) = events.take(1)
        place = shard(author, 0, partitions)
        if taken[place] < each:
            taken[place] += 1
            authors.append(author)
    return authors


def advised(instance: Instance, *more: str) -> dict:
    found = json.loads(instance.tideline("advise", "--json", *more))
    return next(row for row in found if row["stage"] == STAGE)


def at_work(instance: Instance) -> int:
    """How many workers of the tier have partitions, once all of them know theirs."""
    group = instance.lag(STAGE).group
    found = described(instance.kafka, [group])[group]
    return sum(bool(one.partitions) for one in found.members) if found.state == "stable" else 0


def test_the_workers_that_are_advised_drain_an_overload_in_the_time_told(instance: Instance) -> None:
    partitions = instance.topology.topics[TOPIC].partitions
    authors, fans = spread(partitions, 4), events.take(LARGE)
    # nobody has seen the fans, so tasks have their size and cost no rows
    instance.publish(*(events.followed(author, *fans) for author in authors), strangers=True)
    instance.settle()

    with stopped(instance, STAGE), workers(instance) as throttled:
        instance.publish(*events.at_once(authors[n % len(authors)] for n in range(POSTS)))
        instance.settle_but(STAGE)
        queued = instance.lag(STAGE).lag  # of the last ones the controller may have made pulled posts
        idle = advised(instance, "--seconds", "1")
        throttled.add(1)
        eventually(lambda: instance.lag(STAGE).lag < queued, 60)

        said = advised(instance, "--seconds", "10", "--within", str(WITHIN_S), "--elsewhere")
        assert said["advice"], said
        wanted, told_s = said["advice"]["workers"], said["advice"]["drain_seconds"]
        throttled.add(wanted - 1)
        eventually(lambda: at_work(instance) == wanted, 60)
        # the advice is for workers that are there; what starts them, and how busy that is, is not its matter
        left, started = instance.lag(STAGE).lag, time.monotonic()
        told_s *= left / said["backlog"]["records"]
        eventually(lambda: instance.lag(STAGE).lag == 0, 3 * WITHIN_S)
        took_s = time.monotonic() - started
        print(json.dumps({"took_s": took_s, "told_s": told_s, "left": left, **said}), file=sys.stderr)

    assert (idle["workers"], idle["backlog"]["records"]) == (0, queued)
    assert queued > POSTS / 2
    assert (said["workers"], said["partitions"], said["service_source"]) == (1, partitions, "measured")
    assert 1 < wanted < partitions
    assert told_s < WITHIN_S < said["drains"][0]["seconds"]
    assert left > said["backlog"]["records"] / 3
    assert took_s == pytest.approx(told_s, rel=0.3)
