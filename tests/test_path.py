"""The path as it is declared and the stages as they are built are one."""

import pytest
from prometheus_client import generate_latest

from pipeline import path, topology
from pipeline.control import lag, lag_metrics
from pipeline.domain import intake
from pipeline.domain.admission import INPUTS, MARKS
from pipeline.local import launch
from pipeline.runtime import serving, wiring
from pipeline.runtime.memory import MemoryResources
from pipeline.wire.records import AuthorClass, ClassifiedPost
from tests import regions
from tests.stages.fakes import deliver
from tests.twin import SETTINGS

LOADED = topology.load()
HANDLERS = [one.name for one in path.STAGES.values() if one.reads and one.name != path.FANOUT]


class Recorder(MemoryResources):
    """The twin of what a process opens; it remembers which topics are followed."""

    def __init__(self):
        super().__init__(LOADED, settings=SETTINGS)
        self.followed = set()

    def view(self, topic, kept=None, *, lost=None):
        self.followed.add(topic)
        return super().view(topic, kept, lost=lost)


@pytest.mark.parametrize("stage", [*HANDLERS, *map(path.tier_stage, LOADED.tiers)])
async def test_a_stage_follows_what_it_says(stage):
    recorder = Recorder()
    wiring.handler_of(stage, recorder)

    declared = path.STAGES[stage if path.tier_of(stage) is None else path.FANOUT].follows
    assert recorder.followed == {*declared, "accounts.erased"}


async def test_who_serves_pages_follows_what_it_says():
    recorder, auditor = Recorder(), Recorder()
    serving.pages(recorder, "api")
    serving.core_of(auditor)

    assert recorder.followed == set(path.STAGES["api"].follows)
    assert auditor.followed == set(path.STAGES["auditor"].follows)


def test_every_stage_is_built_somewhere():
    for stage in path.STAGES:
        assert callable(wiring.builder(stage))


def test_the_shipped_topology_reads_what_the_path_says():
    read = {name: stage.topics for name, stage in LOADED.stages.items()}

    assert {name: tuple(topics) for name, topics in read.items()} == {
        one.name: one.reads for one in path.STAGES.values() if one.name != path.FANOUT
    }
    assert [tier.topic for tier in LOADED.tiers.values()] == [
        one.name for one in path.TOPICS.values() if one.is_fanout
    ]


def test_every_topic_has_a_writer_and_who_reads_it():
    """But for what leaves the pipeline, and for what it keeps for people."""
    read = {topic for one in path.STAGES.values() for topic in (*one.reads, *one.follows)}
    written = {topic for one in path.STAGES.values() for topic in one.writes}
    internal = {
        one.name for one in path.TOPICS.values() if one.writer == path.STAGES_WRITE and not one.is_fanout
    }

    assert internal - written == {"dead.letters"}
    leave = {"posts.classified", "timeline.replies", "pipeline.health", "dead.letters", "dead.letters.done"}
    assert {one for one in path.TOPICS if not path.TOPICS[one].is_fanout} - read <= leave | {
        "accounts.erased"
    }


def test_strangers_write_to_topics_that_say_so():
    strangers = {one.name for one in path.TOPICS.values() if one.writer in (path.UPSTREAM, path.READERS)}

    assert strangers == set(INPUTS)
    upstream = {one.name: one for one in path.TOPICS.values() if one.writer == path.UPSTREAM}
    assert {name: one.renamed for name, one in upstream.items() if one.renamed} == intake.RENAMED
    assert set(upstream) - set(intake.RENAMED) == set(intake.TOPICS)
    assert {one.name for one in path.TOPICS.values() if one.beside} == set(MARKS)


@pytest.mark.parametrize(
    ("stage", "tier"), [("fanout.large", "large"), ("fanout.", ""), ("fanout", None), ("graph", None)]
)
def test_a_stage_of_a_tier_is_known_by_its_name(stage, tier):
    assert path.tier_of(stage) == tier


def test_tiers_stand_where_fan_out_is():
    names = path.names(["small", "large"])

    assert names[names.index("classify") + 1 :][:2] == ["fanout.small", "fanout.large"]
    assert [name for name in names if path.tier_of(name) is None] == [
        name for name in path.STAGES if name != path.FANOUT
    ]


def classified(region):
    return ClassifiedPost(1, 7, 1, "public", region, AuthorClass.PUSH, 5)


async def test_a_new_stage_is_an_entry_and_a_module(monkeypatch):
    """`tests/regions.py` counts posts by region. What is derived from the path knows it, from the entry alone."""
    entry = path.Stage(
        "regions", ("posts.classified",), (), "how many posts a region has", build="tests.regions:build"
    )
    monkeypatch.setitem(path.STAGES, "regions", entry)
    loaded = topology.load(profile="small-graph")

    assert loaded.stages["regions"].group == "tideline.regions"
    assert "regions" in path.names(loaded.tiers)
    assert launch.workers_by_stage(loaded)["regions"] == 1
    (consumer,) = [one for one in lag.consumers(loaded, api=True) if one.stage == "regions"]
    assert consumer.topics == ("posts.classified",)
    assert loaded.of("notifications").stages["regions"].group == "notifications.tideline.regions"
    assert any("posts.classified ─▶ regions" in " ".join(line.split()) for line in path.picture())
    assert "posts.classified" in loaded.acls["workers"].topics["Read"]

    handle = wiring.handler_of("regions", Recorder())
    assert await handle([deliver(classified(region)) for region in ("eu", "eu", "us")]) == []
    assert regions.POSTS == {"eu": 2, "us": 1}

    waiting = lag.PartitionLag("posts.classified", 0, 1, 3, 2, 1_000, 5.0)
    lag_metrics.export([lag.StageLag("regions", consumer.group, None, (waiting,))])
    assert 'stage="regions"' in generate_latest().decode()
