"""A ranked page in the order of time, in which posts of authors the reader engages with count as newer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.domain.ranking import Features


@dataclass(frozen=True)
class Chronological:
    """The score is hours: a post loses one an hour, and has some back for an engagement with its author."""

    hours_an_engagement: float

    def score(self, candidates: Sequence[Features]) -> list[Mapping[str, float]]:
        return [
            {"age": -one.age_s / 3600, "affinity": self.hours_an_engagement * one.affinity}
            for one in candidates
        ]


def chronological(options: Mapping[str, Any]) -> Chronological:
    return Chronological(float(options.get("hours_an_engagement", 0)))
