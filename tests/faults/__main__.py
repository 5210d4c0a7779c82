"""`make faults MINUTES=15 SEED=7`: faults for so long; a table and a line of JSON; exit 1 when a feed was wrong.

Runs an instance with engines of its own on a temporary home, which is kept, with its logs, when a feed was wrong.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import orjson

from tests.engines.harness import Instance
from tests.faults.chaos import Chaos
from tests.faults.rounds import Report, Run, seed_of
from tests.faults.workload import World

ROUND_S = 72.0
SHORTEST_ROUND_S = 25.0
ENGINE_FAULTS = 2
"""In each round."""


def main() -> int:
    """Run, report, and say with the exit code whether it was clean."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--seed", default="", help="of an earlier run; a new one unless given")
    parser.add_argument("--secure", action="store_true", help="with TLS, users and permissions")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leave nothing behind
    seed = seed_of(given.seed)
    home = Path(tempfile.mkdtemp(prefix="tideline-faults-"))
    _say(f"seed {seed}, home {home}")
    begin = time.monotonic()
    with Instance(home, {}, secured=given.secure) as instance:
        run = Run(instance, seed, World(), _say)
        failed = _failure(run, begin, begin + given.minutes * 60)
    report = run.report
    _print(report)
    if report.clean and not failed:
        shutil.rmtree(home, ignore_errors=True)
        return 0
    (home / "examples.json").write_bytes(
        orjson.dumps([example.document() for example in report.examples], option=orjson.OPT_INDENT_2)
    )
    _say(failed)
    _say(f"not clean: {home}/examples.json explains some, logs are beside it. Again: make faults SEED={seed}")
    return 1


def _failure(run: Run, begin: float, end: float) -> str:
    """Run to the end; returns what kept it from there, so that what was found until then is told as well."""
    try:
        run.open()
        _say(f"world open after {time.monotonic() - begin:.0f} s")
        with Chaos(run.instance) as chaos:
            _rounds(run, chaos, end)
        run.end()
    except Exception:
        return traceback.format_exc()
    return ""


def _rounds(run: Run, chaos: Chaos, end: float) -> None:
    """Rounds until the time is up; a round's calm part takes about as long as the last one's, and a bit more."""
    calm = 25.0
    while (left := end - time.monotonic() - calm * 1.2) >= SHORTEST_ROUND_S or not run.report.rounds:
        began, seconds = time.monotonic(), max(SHORTEST_ROUND_S, min(ROUND_S, left))
        run.round(chaos, seconds, ENGINE_FAULTS)
        calm = time.monotonic() - began - seconds


def _print(report: Report) -> None:
    document = report.document()
    for name, value in document.items():
        _say(f"{name.replace('_', ' '):20} {value}")
    print(orjson.dumps(document).decode())


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
