"""The figures of a comparison: what one turn measured, and what the turns of all rounds say together.

Contenders take turns within a round, and a ratio is formed within a round only: the machine's own ceiling
moves by a factor of two with the JIT, with compaction and with what else runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

REQUIRED = {("pipeline", "ceiling"): 0.6, ("pipeline", "row-at-a-time"): 4.0}
"""Rows/s of one contender over those of another: what the writer has to reach."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One contender in one round: from the start signal until its last row was readable.

    `rows` were found by a query afterwards, exactly those of the workload. `cpu_s`: CPU-seconds by process,
    within that time; engines that run elsewhere are not in it.
    """

    contender: str
    round: int
    seconds: float
    rows: int
    cpu_s: Mapping[str, float]

    @property
    def rows_s(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds

    @property
    def cpu_us_a_row(self) -> float:
        """CPU-microseconds a row, of all processes but the client that watches.

        Says what a row costs also on a machine that others use.
        """
        return sum(spent for name, spent in self.cpu_s.items() if name != "client") / self.rows * 1e6


@dataclass(frozen=True, slots=True)
class BenchReport:
    """All turns, and by contender the bytes a row takes on disk (None where its disk is out of sight)."""

    machine: Mapping[str, Any]
    workload: Mapping[str, int]
    turns: Sequence[Turn]
    bytes_a_row: Mapping[str, float | None]

    def of(self, contender: str) -> list[Turn]:
        """The turns of one contender, by round."""
        return [turn for turn in self.turns if turn.contender == contender]

    def rows_s(self, contender: str) -> float:
        """Median rows a second."""
        return median(turn.rows_s for turn in self.of(contender))

    def cpu_us_a_row(self, contender: str) -> float:
        """Median CPU-microseconds a row."""
        return median(turn.cpu_us_a_row for turn in self.of(contender))

    def cpu_s(self, contender: str) -> dict[str, float]:
        """Median CPU-seconds by process."""
        turns = self.of(contender)
        return {process: median(turn.cpu_s[process] for turn in turns) for process in turns[0].cpu_s}

    def ratios(self, contender: str, other: str) -> list[float]:
        """Rows a second of one over the other's, round by round."""
        pairs = zip(self.of(contender), self.of(other), strict=True)
        return [ours.rows_s / theirs.rows_s for ours, theirs in pairs]

    def verdicts(self) -> list[dict[str, Any]]:
        """Each ratio that is required, its median, and whether that reaches it."""
        return [
            {
                "ratio": f"{contender} / {other}",
                "median": median(ratios),
                "rounds": ratios,
                "required": required,
                "met": median(ratios) >= required,
            }
            for (contender, other), required in REQUIRED.items()
            for ratios in [self.ratios(contender, other)]
        ]

    def as_json(self) -> dict[str, Any]:
        """Everything, for machines."""
        return {
            "machine": self.machine,
            "workload": self.workload,
            "contenders": {
                name: {
                    "rows_s": self.rows_s(name),
                    "cpu_us_a_row": self.cpu_us_a_row(name),
                    "cpu_s": self.cpu_s(name),
                    "bytes_a_row": self.bytes_a_row[name],
                }
                for name in self.bytes_a_row
            },
            "ratios": self.verdicts(),
            "turns": [asdict(turn) | {"rows_s": turn.rows_s} for turn in self.turns],
        }
