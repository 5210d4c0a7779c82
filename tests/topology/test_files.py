"""What the files of `topology/` become, and what a profile does to them."""

import shutil
from pathlib import Path

import pytest

from pipeline import topology
from pipeline.config import shipped
from pipeline.topology import TierSpec, TopicSpec
from pipeline.topology.specs import ActSpec


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped folder to change."""
    return Path(shutil.copytree(shipped.folder("topology"), tmp_path / "topology"))


def test_the_shipped_folder_and_every_profile_load() -> None:
    profiles = [path.stem for path in (shipped.folder("topology") / "profiles").glob("*.yaml")]
    assert "small-graph" in profiles

    for profile in ("default", *profiles):
        assert topology.load(profile=profile).profile == profile


def test_values_are_those_of_the_files() -> None:
    loaded = topology.load()

    assert loaded.topics["author.routes"] == TopicSpec(
        name="author.routes",
        partitions=4,
        replicas=1,
        configs={"cleanup.policy": "compact", "segment.ms": "3600000"},
    )
    assert loaded.stages["readers"].topics == ("accounts", "activity", "reader.marks")
    assert list(loaded.tiers) == ["small", "medium", "large"]
    assert loaded.tiers["large"] == TierSpec(
        name="large",
        topic="fanout.large",
        group="tideline.fanout.large",
        workers=1,
        batch=16,
        in_flight=4,
        max_followers=None,
        lag_budget=30,
        objective=0.99,
        act=ActSpec(
            release=0.5,
            shed=0.8,
            rate=0.9,
            pull=1.0,
            narrow=5.0,
            hold_seconds=30,
            hot_share=0.2,
            rate_per_minute=6,
            bound=20_000_000,
        ),
    )


def test_times_are_computed_in_milliseconds() -> None:
    routing = topology.load().routing

    assert routing.window_ms == 30 * 24 * 3600 * 1000
    assert (routing.margin_ms, routing.clock_ahead_ms) == (60_000, 10_000)


def test_a_fraction_of_a_second_is_kept(folder: Path) -> None:
    file = folder / "routing.yaml"
    file.write_text(file.read_text().replace("margin_seconds: 60 ", "margin_seconds: 20.5 "))

    assert topology.load(folder).routing.margin_ms == 20_500


def test_a_profile_overrides_single_values() -> None:
    plain, small = topology.load(), topology.load(profile="small-graph")

    assert (small.routing.push_below, small.routing.margin_ms) == (1000, 2000)
    assert small.routing.window_days == plain.routing.window_days
    assert small.tiers["small"].max_followers == 50
    assert small.tiers["small"].group == plain.tiers["small"].group
    assert small.topics == plain.topics


def test_everybody_shows_a_token_but_in_the_demos_profile() -> None:
    plain, small = topology.load().api, topology.load(profile="small-graph").api

    assert (plain.auth, small.auth) == ("required", "none")
    assert (plain.deadline_ms, small.deadline_ms) == (200, 200)
    assert small.caches == plain.caches


def test_a_profile_may_set_one_cache(folder: Path) -> None:
    (folder / "profiles" / "mine.yaml").write_text(
        "apiVersion: tideline/v1\nkind: Profile\nmetadata: {name: mine}\nspec: {api: {caches: {posts: 7}}}\n"
    )

    caches = topology.load(folder, "mine").api.caches

    assert (caches.posts, caches.readers) == (7, topology.load().api.caches.readers)


def test_a_profile_may_add_a_setting_and_replace_a_list(folder: Path) -> None:
    (folder / "profiles" / "mine.yaml").write_text(
        "apiVersion: tideline/v1\nkind: Profile\nmetadata: {name: mine}\nspec:\n"
        "  topics: {posts: {partitions: 16, configs: {min.insync.replicas: 2, preallocate: true}}}\n"
        "  stages: {readers: {topics: [activity]}}\n"
    )

    loaded = topology.load(folder, "mine")

    assert loaded.topics["posts"].partitions == 16
    assert loaded.topics["posts"].configs == {
        "retention.ms": "2592000000",
        "max.message.bytes": "1048576",
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": "2",
        "preallocate": "true",
    }
    assert loaded.stages["readers"].topics == ("activity",)


def test_a_profile_may_choose_a_model_of_its_own_and_tell_it_anything(folder: Path) -> None:
    (folder / "profiles" / "mine.yaml").write_text(
        "apiVersion: tideline/v1\nkind: Profile\nmetadata: {name: mine}\nspec:\n"
        "  ranking: {model: mine, diversity: 0, options: {mine: {depth: 3, layers: [1, 2]}}}\n"
    )

    plain, mine = topology.load(folder).ranking, topology.load(folder, "mine").ranking

    assert (mine.model, mine.diversity, mine.of_model) == ("mine", 0, {"depth": 3, "layers": [1, 2]})
    assert (mine.candidates, mine.options.weighted) == (plain.candidates, plain.options.weighted)
    assert plain.of_model["half_life_hours"] == 6


def test_a_profile_may_change_a_single_weight(folder: Path) -> None:
    (folder / "profiles" / "mine.yaml").write_text(
        "apiVersion: tideline/v1\nkind: Profile\nmetadata: {name: mine}\nspec:\n"
        "  ranking: {options: {weighted: {weights: {age: 3}}}}\n"
    )

    plain, mine = topology.load(folder).ranking.of_model, topology.load(folder, "mine").ranking.of_model

    assert mine == plain | {"weights": plain["weights"] | {"age": 3}}


def test_the_api_stage_needs_nothing_but_workers(folder: Path) -> None:
    text = (folder / "stages.yaml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("  api:")]
    (folder / "stages.yaml").write_text("\n".join([*lines, "  api: {workers: 2}", ""]))

    api = topology.load(folder).stages["api"]

    assert (api.workers, api.topics, api.group) == (2, (), "")


def test_tables_are_rendered_for_a_keyspace() -> None:
    cql = topology.load().tables("mine", 3)

    assert "'class': 'NetworkTopologyStrategy', 'replication_factor': '3'" in cql
    assert "CREATE TABLE IF NOT EXISTS mine.timeline_by_reader" in cql
    assert "default_time_to_live = 2592000" in cql
    assert "{'class': 'LZ4Compressor', 'chunk_length_in_kb': 16}" in cql


def test_a_stage_that_no_file_names_runs_as_the_path_has_it(folder: Path) -> None:
    """A folder of one's own does not have to follow each new stage."""
    file = folder / "stages.yaml"
    file.write_text(file.read_text().replace("  graph: ", "  # graph: "))

    found = topology.load(folder).stages

    assert list(found) == list(topology.load().stages)
    assert (found["graph"].topics, found["graph"].group) == (("follows", "edge.marks"), "tideline.graph")
    assert (found["graph"].workers, found["graph"].in_flight) == (1, 1)
