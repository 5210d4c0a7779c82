"""What the controller holds, as metrics."""

import pytest

from pipeline.control import health_metrics
from pipeline.wire.records import AuthorClass, Burn, Containment, JournalEntry, StageHealth
from tests import exported


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    health_metrics.acting(False)


def health(stage="fanout.large", status="OK", pending=9, burn=(), budget=30.0):
    return StageHealth(stage, status, 1, pending, 0.5, budget, tuple(burn), "nothing", (), 0)


def contained(kind, target, since=5_000):
    return Containment(kind, target, AuthorClass.PULL, 0, "burn", "controller", since, 0)


def test_a_stage_has_one_status_at_a_time():
    health_metrics.health([health(status="OK")])
    health_metrics.health([health(status="STALL")])

    found = exported.values("tideline_stage_status")
    assert found == {
        ("fanout.large", status): float(status == "STALL")
        for status in ("OK", "WARN", "ERR", "STOP", "STALL", "REWIND", "UNKNOWN")
    }


def test_what_is_not_known_of_a_stage_is_absent():
    """Pending deliveries, the burn of a window too little of which was seen, a budget where there is none."""
    burn = [Burn(300, 14.4), Burn(3600, None)]
    health_metrics.health([health(burn=burn), health("classify", pending=None, budget=None)])

    assert exported.values("tideline_pending_deliveries") == {("large",): 9}
    assert exported.values("tideline_error_budget_burn_rate") == {("fanout.large", "5m"): 14.4}
    assert exported.values("tideline_lag_budget_seconds") == {("fanout.large",): 30}


def test_a_pending_number_is_that_of_a_tier():
    health_metrics.health([health("backfill", pending=3)])

    assert exported.values("tideline_pending_deliveries") == {}


def test_authors_and_users_are_counted_and_not_named():
    health_metrics.in_force(
        [
            contained("shed", "large", since=8_000),
            contained("shed", "large", since=7_000),  # one by the controller, one by an operator
            contained("throttle", "news"),
            contained("pull", "4711", since=6_000),
            contained("pull", "4712", since=5_000),
            contained("rate", "4711"),
        ]
    )

    assert exported.values("tideline_containment") == {
        ("shed", "large"): 1,
        ("pull", "authors"): 2,
        ("rate", "authors"): 1,
        ("throttle", "users"): 1,
    }
    since = exported.values("tideline_containment_since_timestamp_seconds")
    assert (since["shed", "large"], since["pull", "authors"]) == (7, 5)


def test_what_is_released_is_gone():
    health_metrics.in_force([contained("shed", "large")])
    health_metrics.in_force([])

    assert exported.values("tideline_containment") == {}
    assert exported.values("tideline_containment_since_timestamp_seconds") == {}


@pytest.mark.parametrize(("by", "counted"), [("controller", "controller"), ("kim", "operator")])
def test_an_entry_of_the_journal_is_counted_and_people_are_not_named(by, counted):
    grown = exported.Counted("tideline_containment_events_total", kind="shed", event="started", by=counted)

    health_metrics.journalled(JournalEntry(0, "started", "shed", "large", "burn", by, 0))

    assert grown() == 1


def test_a_controller_that_no_longer_acts_tells_nothing_but_that():
    health_metrics.acting(True)
    health_metrics.health([health()])
    health_metrics.in_force([contained("shed", "large")])
    assert exported.value("tideline_controller_acting") == 1

    health_metrics.acting(False)

    assert exported.value("tideline_controller_acting") == 0
    assert exported.values("tideline_stage_status") == exported.values("tideline_containment") == {}


@pytest.mark.parametrize(
    ("seconds", "name"),
    [(45, "45s"), (300, "5m"), (1800, "30m"), (21_600, "6h"), (259_200, "3d"), (90, "90s")],
)
def test_windows_are_written_as_prometheus_writes_them(seconds, name):
    assert health_metrics.window(seconds) == name
