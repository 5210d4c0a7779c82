"""The command line as users run it, and the topics it writes to."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ops.tap import Tap

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def tap(engines):
    """`tap(topic)`: what is written to a topic from now on."""
    taps = []

    def make(topic):
        taps.append(Tap(engines.kafka, topic))
        return taps[-1]

    yield make
    for each in taps:
        each.close()


@pytest.fixture
def tideline(engines, tmp_path):
    """`tideline(…)`: start the command against the engines, with pipes to all three streams."""
    started = []
    environment = {**os.environ, "TIDELINE_HOME": str(tmp_path), "TIDELINE_KAFKA": engines.kafka}

    def start(*arguments, **changed):
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env={**environment, **changed},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
