"""`tideline offsets reset` on a whole run: not while a stage works, and what it processes again changes nothing."""

import json

from tests.engines import events
from tests.engines.harness import Instance
from tests.engines.test_isolation import stopped


def test_a_group_at_work_is_refused_and_that_of_a_stopped_stage_is_moved(instance: Instance) -> None:
    author, *readers = events.take(4)
    instance.publish(events.followed(author, *readers))
    instance.settle()
    instance.await_covered(author, readers)
    made = [events.post(author, f"post {number}") for number in range(5)]
    instance.publish(*made)
    instance.settle()
    page, rows = instance.walk(readers[0]), instance.timeline(readers)
    back = ["offsets", "reset", "fanout.small", "--by-duration", "1h", "--execute", "--json"]
    before = instance.lag("fanout.small").partitions

    refused = instance.command(*back)

    assert refused.returncode == 1
    assert "tideline.fanout.small is active" in refused.stderr
    assert "`tideline stage stop fanout.small` first" in refused.stderr
    assert json.loads(refused.stdout)["executed"] is False
    assert instance.lag("fanout.small").partitions == before

    with stopped(instance, "fanout.small"):
        plan = json.loads(instance.tideline(*back))
        assert plan["executed"]
        assert plan["records_again"] >= len(made)
        assert plan["deliveries"]["deliveries"] >= len(made) * len(readers)
        assert instance.lag("fanout.small").lag == plan["records_waiting"]

    instance.settle()
    assert (instance.walk(readers[0]), instance.timeline(readers)) == (page, rows)
