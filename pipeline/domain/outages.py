"""How late a tier is because it had no live worker, which is nobody's fault who posts.

    worker   alive ────┐ none for D ┌──── alive ─────────────────────────
    age      0 ────────┴──── rises ─┴──── falls ──── 0
    outage   0                 … D        D ──────── min(D, age + budget) ── 0 inside half the budget

What waited for the worker is late by as much as D, and so is what came behind it, until the tier has caught
up. So the controller goes by the age less the outage: what grows beyond that, living workers cannot carry.
`tests/domain/test_outages.py` holds it against a queue.
"""

from dataclasses import dataclass

CAUGHT_UP = 0.5
"""The share of its lag budget within which a tier has caught up."""


@dataclass(frozen=True, slots=True)
class Outage:
    """`seconds` without a live worker that the tier has not made up for; `down`: it had none at `at_s`.

    `at_s` None: nobody has looked before.
    """

    seconds: float = 0.0
    at_s: float | None = None
    down: bool = False

    def observed(
        self, now_s: float, workers: int | None, age_s: float | None, standing_s: float, budget_s: float
    ) -> "Outage":
        """After a look that found so many workers, and the oldest record of this age (None: unknown).

        `standing_s`: for how long nothing was committed while something waited. A worker that was killed
        leaves its group after the session time-out only: the outage began when it last committed. Of a tier
        that had none when it was first looked at, the outage began with its oldest record.
        """
        if workers == 0 and not self.down:
            began = standing_s if self.at_s is not None else age_s or 0.0
            return Outage(self.seconds + began, now_s, down=True)
        passed = now_s - self.at_s if self.down and self.at_s is not None else 0.0
        seconds, down = self.seconds + max(passed, 0.0), self.down if workers is None else workers == 0
        if not down and age_s is not None:
            seconds = min(seconds, age_s + budget_s) if age_s >= CAUGHT_UP * budget_s else 0.0
        return Outage(seconds, now_s, down)
