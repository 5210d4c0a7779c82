"""What to do next about a stage that has no live worker, by what the instance here knows of it."""

import pytest

from pipeline.cli._no_worker import explanation, next_command
from pipeline.local.worker import State, WorkerStatus


def workers(*states):
    return [WorkerStatus("fanout.large", n, state, 1, None, 0) for n, state in enumerate(states)]


@pytest.mark.parametrize(
    ("states", "command"),
    [
        ((), "tideline worker fanout.large"),
        ((State.STOPPED,), "tideline stage start fanout.large"),
        ((State.STOPPED, State.STOPPED), "tideline stage start fanout.large"),
        ((State.WAITING,), "tideline status"),
        ((State.STOPPED, State.STARTING), "tideline status"),
        ((State.READY,), "tideline stage stop fanout.large; tideline stage start fanout.large"),
    ],
)
def test_the_next_command_is_the_one_that_helps(states, command):
    assert next_command("fanout.large", workers(*states)) == command


@pytest.mark.parametrize(
    ("lag", "words"), [(0, ""), (1_200, ", 1,200 records wait"), (None, ", unknown what waits")]
)
def test_what_waits_is_said_with_it(lag, words):
    assert explanation(lag, "tideline status") == f"no live worker{words}: tideline status"
