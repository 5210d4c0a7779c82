"""The verdict of the demo: what makes it unclean, the figures it writes, and what a probe measures."""

import asyncio
import io
import json
import time
from collections import Counter
from dataclasses import replace

import aiohttp
import jsonschema
import pytest
from aiohttp import web
from rich.console import Console
from typer.testing import CliRunner

from pipeline import cli
from pipeline.audit.from_events import AuditReport, Example
from pipeline.bench import demo
from pipeline.bench.demo_publish import Publisher
from pipeline.bench.demo_view import Moment, verdict
from pipeline.bench.probe import Probe, Sighting
from pipeline.bench.verdict import DemoFigures, Latency, TierFigures, latency, percentile
from pipeline.domain.audit import KINDS, Finding, Ledger

SEEN = Latency(60, 0, 0.05, 0.2)
CLEAN = DemoFigures(
    accounts=5,
    edges=300,
    posts=100,
    events=120,
    classes={"push": SEEN, "partial": SEEN, "pull": SEEN},
    tiers={"small": TierFigures(5_000, 2.0, 0.4, SEEN), "large": TierFigures(7_000, 10.0, 3.0, SEEN)},
    rows_s=1_000.0,
    peak_rows_s=9_000.0,
    unprocessed=0,
    dead_letters=0,
    audit=AuditReport(readers=600, pages=700, posts=9_000, paths=Counter(push=8_000, pull=1_000)),
    seconds={"start": 9.0, "import": 60.0, "traffic": 35.0, "settle": 1.0, "audit": 8.0, "total": 113.0},
    machine={"cores": 2},
)

LATENCY = {
    "type": "object",
    "properties": {
        "probes": {"type": "integer"},
        "never": {"type": "integer"},
        "p50_seconds": {"type": ["number", "null"]},
        "p99_seconds": {"type": ["number", "null"]},
    },
    "required": ["probes", "never", "p50_seconds", "p99_seconds"],
}
SCHEMA = {
    "type": "object",
    "properties": {
        "clean": {"type": "boolean"},
        "problems": {"type": "array", "items": {"type": "string"}},
        "graph": {
            "type": "object",
            "required": ["accounts", "edges", "import_seconds", "edges_per_second"],
        },
        "rows": {"type": "object", "required": ["written", "per_second", "peak_per_second"]},
        "publish_to_visible": {
            "type": "object",
            "required": ["push", "partial", "pull"],
            "additionalProperties": LATENCY,
        },
        "tiers": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {"publish_to_visible": LATENCY},
                "required": ["rows", "lag_budget_seconds", "worst_age_seconds", "publish_to_visible"],
            },
        },
        "audit": {"type": "object", "required": ["readers", *KINDS, "examples"]},
        "unprocessed": {"type": ["integer", "null"]},
        "dead_letters": {"type": "integer"},
        "seconds": {"type": "object", "required": ["import", "total"]},
    },
    "required": [
        *("clean", "problems", "graph", "posts", "events", "rows", "publish_to_visible", "tiers"),
        *("audit", "unprocessed", "dead_letters", "seconds"),
    ],
}


def test_a_run_without_findings_is_clean():
    assert CLEAN.problems == []


@pytest.mark.parametrize("kind", KINDS)
def test_one_finding_is_enough(kind):
    figures = replace(CLEAN, audit=AuditReport(readers=600, found=Counter({kind: 1})))

    assert figures.problems == [f"{kind} 1"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"audit": AuditReport(readers=499)}, "only 499 readers audited, 500 are needed"),
        ({"audit": AuditReport(readers=500, degraded=3)}, "3 degraded pages"),
        ({"unprocessed": 7}, "7 records unprocessed"),
        ({"unprocessed": None}, "unknown records unprocessed"),
        ({"dead_letters": 2}, "2 dead letters"),
        ({"classes": {"pull": Latency(9, 1, 0.1, 0.2)}}, "1 of 9 probes of pull authors never seen"),
        ({"classes": {"pull": Latency(0, 0, None, None)}}, "no probe of pull authors"),
        (
            {"tiers": {"small": TierFigures(9, 2.0, 0.4, Latency(9, 0, 0.1, 2.01))}},
            "small: visible in 2.01 s at p99, 2 s are its budget",
        ),
    ],
)
def test_so_is_anything_else_that_proves_less_than_it_should(changes, problem):
    assert replace(CLEAN, **changes).problems == [problem]


def test_the_figures_are_json_of_this_shape():
    document = json.loads(json.dumps(CLEAN.document()))

    jsonschema.validate(document, SCHEMA)
    assert document["clean"] is True
    assert document["rows"]["written"] == 12_000
    assert document["graph"]["edges_per_second"] == 5.0


def test_the_figures_of_a_broken_run_say_so():
    found = Example(7, Finding("missing", 11, 3), "pull")
    report = AuditReport(readers=600, found=Counter(missing=1), examples=[found])

    document = replace(CLEAN, audit=report).document()

    jsonschema.validate(document, SCHEMA)
    assert document["clean"] is False
    assert document["problems"] == ["missing 1"]
    assert document["audit"]["examples"][0]["reader_id"] == 7


def test_the_screen_shows_the_verdict_and_each_example():
    found = Example(7, Finding("missing", 11, 3), "pull")
    broken = replace(CLEAN, audit=AuditReport(readers=600, found=Counter(missing=1), examples=[found]))
    console = Console(width=200, record=True, file=io.StringIO())

    console.print(verdict(CLEAN))
    console.print(verdict(broken))

    text = console.export_text()
    assert "113 s in all on 2 cores" in text
    assert "missing 0 · duplicates 0 · forbidden 0" in text
    assert "NOT CLEAN: missing 1" in text
    assert "missing: reader 7, post 11, pull author 3, path none" in text


@pytest.mark.parametrize(("dead_letters", "code"), [(0, 0), (1, 1)])
def test_the_command_prints_the_figures_and_fails_unless_they_are_clean(monkeypatch, dead_letters, code):
    """Without a pipeline: only what comes after the run. The temporary home is gone."""
    homes = []

    def run(pipeline, *, seconds, view):
        homes.append(pipeline.home)
        return replace(CLEAN, dead_letters=dead_letters)

    monkeypatch.setattr(demo, "run", run)

    result = CliRunner().invoke(cli.build(), ["demo", "--json"])

    assert result.exit_code == code
    assert json.loads(result.stdout)["clean"] is (code == 0)
    assert not homes[0].exists()


def test_percentiles_are_values_that_were_measured():
    values = [(float(second), 1.0) for second in range(1, 101)]

    assert percentile(values, 0.5) == 50.0
    assert percentile(values, 0.99) == 99.0
    assert percentile([(3.0, 1.0)], 0.99) == 3.0
    assert percentile([], 0.5) is None


def test_a_probe_counts_for_all_posts_of_its_kind():
    """90 small posts and 10 large ones, two probes of each: the median is that of a small one."""
    sightings = [
        Sighting("small", 0.1),
        Sighting("small", 0.2),
        Sighting("large", 5.0),
        Sighting("large", 6.0),
    ]

    both = latency(sightings, ["small", "large"], {"small": 90, "large": 10})

    assert (both.probes, both.never, both.p50_s, both.p99_s) == (4, 0, 0.2, 6.0)


def test_a_post_never_seen_is_in_no_percentile_and_is_counted():
    one = latency([Sighting("pull", None), Sighting("pull", 0.3)], ["pull"], {"pull": 2})

    assert one == Latency(2, 1, 0.3, 0.3)


def test_rows_a_second_are_those_of_the_last_seconds():
    moment = Moment("posts")
    for second, rows in enumerate((0, 100, 200, 300, 1300)):
        moment.written({"small": rows}, float(second))

    assert moment.rows_s == pytest.approx(400)
    assert moment.peak_rows_s == pytest.approx(400)


async def test_a_probe_sees_a_post_when_a_page_has_it():
    """The third look finds it."""
    looks = []

    async def timeline(request):
        looks.append(request.path)
        posts = ["41", "42"] if len(looks) >= 3 else ["41"]
        return web.json_response({"items": [{"post_id": post} for post in posts]})

    app = web.Application()
    app.router.add_get("/v1/readers/{reader}/timeline", timeline)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    begun = time.monotonic()
    try:
        async with aiohttp.ClientSession() as session:
            probe = Probe(session, f"http://127.0.0.1:{runner.addresses[0][1]}")
            await probe.look(42, 7, "pull", begun)
    finally:
        await runner.cleanup()

    (sighting,) = probe.sightings
    assert looks == ["/v1/readers/7/timeline"] * 3
    assert sighting.kind == "pull"
    assert 0.02 <= sighting.seconds <= time.monotonic() - begun


async def test_probes_are_called_off_when_a_run_ends_early():
    """Otherwise they go on with a session that is closed, and say so in tracebacks."""
    publisher = Publisher(outbox=None, probe=None, kinds=None, ledger=Ledger())
    publisher.probes.append(asyncio.create_task(asyncio.Event().wait()))

    publisher.stop()
    await asyncio.wait(publisher.probes, timeout=5)

    assert publisher.probes[0].cancelled()
