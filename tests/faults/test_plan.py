"""The plan of faults: the same for the same seed, and everybody gets a turn."""

from tests.faults.plan import ENGINE_FAULTS, Kind, Planner

STAGES = ("graph", "readers", "classify", "fanout.small", "fanout.large", "api")


def test_one_seed_one_plan() -> None:
    assert Planner(7, STAGES).round(60, 2) == Planner(7, STAGES).round(60, 2)
    assert Planner(7, STAGES).round(60, 2) != Planner(8, STAGES).round(60, 2)


def test_in_a_minute_every_stage_is_killed() -> None:
    for seed in range(20):
        faults = Planner(seed, STAGES).round(60, 0)

        assert {fault.target for fault in faults if fault.kind in (Kind.KILL, Kind.TERMINATE)} == {*STAGES}


def test_rounds_take_the_faults_of_engines_in_turn() -> None:
    planner = Planner(1, STAGES)

    seen = [
        (fault.kind, fault.target)
        for _ in range(5)
        for fault in planner.round(30, 1)
        if fault.target in ("kafka", "cassandra")
    ]

    assert sorted(seen) == sorted(ENGINE_FAULTS)


def test_cassandra_is_never_killed_and_the_api_never_doubled() -> None:
    for seed in range(20):
        faults = Planner(seed, STAGES).round(120, 5)

        assert not [fault for fault in faults if fault.kind is Kind.CRASH and fault.target == "cassandra"]
        assert not [fault for fault in faults if fault.kind is Kind.ADD and fault.target == "api"]
