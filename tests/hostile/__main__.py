"""`make hostile MINUTES=30 SEED=7`: half of it quiet, half of it with hostile events; exit 1 when anybody noticed.

Runs an instance with engines of its own on a temporary home, which is kept, with its logs, when the verdict is
red. Prints a line of JSON on stdout.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import traceback
from pathlib import Path

import orjson

from tests.engines.harness import Instance
from tests.faults.rounds import seed_of
from tests.faults.workload import World
from tests.hostile.run import Hostile


def main() -> int:
    """Run, report, and say with the exit code whether anybody noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="of both rounds together")
    parser.add_argument("--seed", default="", help="of an earlier run; a new one unless given")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leave nothing behind
    seed = seed_of(given.seed)
    home = Path(tempfile.mkdtemp(prefix="tideline-hostile-"))
    _say(f"seed {seed}, home {home}")
    with Instance(home, {}) as instance:
        hostile = Hostile(instance, seed, World(), given.minutes * 30, _say)
        try:
            hostile.run(ratios=True)
        except Exception:
            hostile.report.problems.append(traceback.format_exc())
    document = hostile.report.document()
    for name, value in document.items():
        _say(f"{name.replace('_', ' '):24} {value}")
    print(orjson.dumps(document).decode())
    if document["clean"]:
        shutil.rmtree(home, ignore_errors=True)
        return 0
    _say(f"red: logs are in {home}/logs. Again: make hostile SEED={seed}")
    return 1


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
