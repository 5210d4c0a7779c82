"""What Prometheus finds of a running instance: every worker, what a post did to their metrics, and the lag."""

import json
import urllib.request

from tests.engines import events
from tests.engines.harness import Instance
from tests.waiting import eventually


def targets(instance: Instance) -> dict[str, str]:
    """By worker, its address, as HOME/metrics/targets.json has them."""
    listed = json.loads((instance.home / "metrics" / "targets.json").read_text())
    return {one["labels"]["worker"]: one["targets"][0] for one in listed}


def samples(instance: Instance, worker: str) -> dict[str, float]:
    with urllib.request.urlopen(f"http://{targets(instance)[worker]}/metrics", timeout=10) as answer:
        lines = [line for line in answer.read().decode().splitlines() if line and line[0] != "#"]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_a_post_shows_in_the_metrics_of_those_who_brought_it_to_its_readers(instance: Instance) -> None:
    """Classified, written within a budget, and on a first page; all of it by the names of docs/metrics.md."""
    author, *fans = events.take(4)
    instance.publish(events.followed(author, *fans))
    instance.settle()
    post = events.post(author, "counted")
    instance.publish(post)
    instance.settle()
    assert post["post_id"] in instance.paths(fans[0])

    assert samples(instance, "classify")['tideline_posts_classified_total{author_class="push"}'] >= 1
    written = samples(instance, "fanout.small")
    assert written['tideline_publish_to_written_seconds_bucket{le="3600.0",tier="small"}'] >= 1
    for step in ("fetch", "read", "expand", "write"):
        assert written[f'tideline_fanout_step_seconds_count{{step="{step}",tier="small"}}'] >= 1
    shown = samples(instance, "api")['tideline_newest_visible_timestamp_seconds{cohort="active"}']
    assert shown >= post["created_at"] / 1000


def test_the_controller_tells_lag_and_status_once_it_leads(instance: Instance) -> None:
    """A stopped one is no target any more."""
    eventually(lambda: "controller" not in targets(instance))
    instance.tideline("stage", "start", "controller")
    try:
        eventually(lambda: "controller" in targets(instance), 60)
        told = eventually(
            lambda: (
                (now := samples(instance, "controller"))["tideline_controller_acting"] == 1
                and any(name.startswith("tideline_stage_status") for name in now)
                and now
            ),
            60,
        )
    finally:
        instance.tideline("stage", "stop", "controller")

    assert (
        sum(told[name] for name in told if name.startswith('tideline_stage_status{stage="fanout.small"')) == 1
    )
    assert any(name.startswith("kafka_consumergroup_group_lag{") for name in told)
