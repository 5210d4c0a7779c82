"""A tier whose only worker is gone: that is said first, everywhere, and nobody is contained for it."""

import json
import time

from tests.engines import events
from tests.engines.harness import Instance
from tests.engines.test_containment import LONG, controlled, held, journal
from tests.engines.test_isolation import LARGE, stopped
from tests.waiting import eventually

__all__ = ["controlled"]

STAGE, START = "fanout.large", "tideline stage start fanout.large"


def row(controlled: Instance, command: str) -> dict[str, object]:
    rows = json.loads(controlled.tideline(*command.split(), "--json"))
    return next(one for one in rows if one["stage"] == STAGE)


def test_no_live_worker_stands_first_and_nobody_is_contained(controlled: Instance) -> None:
    """Neither while it is dead, far beyond its budget, nor while another one makes up for it."""
    celebrity, *fans = events.take(LARGE + 1)
    controlled.publish(events.followed(celebrity, *fans))
    controlled.settle()
    controlled.await_covered(celebrity, fans[:1])
    began, budget_s = time.time_ns() // 1_000_000, controlled.topology.tiers["large"].lag_budget

    with stopped(controlled, STAGE):
        controlled.publish(*(events.post(celebrity, f"burst {number}") for number in range(20)))
        eventually(lambda: row(controlled, "lag")["workers"] == 0, LONG)
        eventually(lambda: (controlled.lag(STAGE).age_s or 0) > 1.5 * budget_s, LONG)
        controlled.tideline("contain", "shed", "large", "--for", "2m", "--reason", "a test")

        lag = row(controlled, "lag")
        assert (lag["status"], lag["next"]) == ("STOP", START)
        assert row(controlled, "budget")["next"] == START
        for command in ("lag", "budget", "advise --seconds 1"):
            first = controlled.tideline(*command.split()).splitlines()[0]
            assert first.startswith(f"{STAGE}: no live worker"), command
            assert first.endswith(START), command
        status, listed = controlled.command("status"), controlled.tideline("contain", "list")
        assert status.returncode == 1
        assert f"no live worker: {START}" in status.stdout
        assert f"{STAGE}: no live worker" in " ".join(listed.split())
        assert held(controlled) == {("shed", "large")}  # by hand
        controlled.tideline("contain", "release", "shed", "large")
    controlled.settle()

    eventually(lambda: row(controlled, "lag")["status"] == "OK", LONG)
    assert journal(controlled, began) == [("started", "shed", "large"), ("released", "shed", "large")]
    described = json.loads(controlled.tideline("status", "--json"))
    assert {one["next"] for one in described["stages"]} == {None}
