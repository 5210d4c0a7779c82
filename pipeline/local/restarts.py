"""When a worker that died is started again: pure rules, times in seconds, `now` an argument."""

from dataclasses import dataclass

FIRST_PAUSE_S = 0.2
"""A single crash must not cost a lag budget of 2 s."""

MAX_PAUSE_S = 30.0
"""A worker that cannot start is tried twice a minute: soon after its cause is gone, and no flood of logs."""

STABLE = 60.0
"""A worker that ran this long has recovered; its next death is the first of a new row."""


@dataclass(frozen=True, slots=True)
class Restart:
    """The death that follows is number `deaths` of a row; the next start is not before `at`."""

    deaths: int
    at: float


def after_death(deaths: int, started: float, now: float) -> Restart:
    """A worker with `deaths` in a row, started at `started`, died now: the pause doubles up to its cap."""
    row = 1 if now - started >= STABLE else deaths + 1
    doublings = min(row - 1, 16)  # 2**16 is far past the cap, and no float overflows
    return Restart(row, now + min(FIRST_PAUSE_S * 2**doublings, MAX_PAUSE_S))
