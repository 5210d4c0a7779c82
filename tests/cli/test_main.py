"""The command as a whole: exit codes, what goes where, and how fast it says what it can do."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer

from pipeline import cli

REPOSITORY = Path(__file__).parents[2]

TRIAL = """
import sys
from pipeline import cli
from pipeline.errors import TidelineError
def trial():
    {body}
build = cli.build
def with_trial():
    app = build()
    app.command("trial")(trial)
    return app
cli.build = with_trial
sys.argv = ["tideline", "trial"]
cli.main()
"""


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "TERM": "dumb", **environment},
        check=False,
    )


def trial(body, **environment):
    """Run a command whose body is this."""
    return run("-c", TRIAL.format(body=body), **environment)


def test_help_names_the_commands():
    done = run("-m", "pipeline", "--help")

    assert done.returncode == 0
    for command in ("run", "stop", "stage", "worker", "publish", "import"):
        assert f" {command} " in done.stdout


def test_help_loads_neither_kafka_nor_cassandra():
    """That is what keeps it below half a second."""
    heavy = {"faust", "cassandra", "confluent_kafka", "aiohttp", "fastavro", "pydantic"}
    done = run("-c", "import sys; from pipeline.cli import build; build(); print(*sys.modules)")

    assert done.returncode == 0, done.stderr
    assert not heavy & {module.partition(".")[0] for module in done.stdout.split()}


def test_a_command_by_its_old_name_says_the_new_one_and_is_not_in_the_help():
    old, new = run("-m", "pipeline", "policy", "set", "x"), run("-m", "pipeline", "routing", "set", "x")

    said = "`tideline policy` is `tideline routing` now\n"
    assert (old.returncode, old.stdout) == (new.returncode, new.stdout) == (2, "")
    assert old.stderr.startswith(said)
    assert old.stderr.count(said) == 1
    assert " policy " not in run("-m", "pipeline", "--help").stdout


def test_every_command_is_loaded_from_the_module_that_has_it_and_no_other():
    found = typer.main.get_command(cli.build())

    assert {*found.commands} == {*cli.COMMANDS}
    for module in {cli.MODULES.get(name, name) for name in cli.COMMANDS}:
        app = typer.Typer()
        import_module(f"pipeline.cli.{module}").register(app)
        has = typer.main.get_group(app).commands.keys()
        assert has == {name for name in cli.COMMANDS if cli.MODULES.get(name, name) == module}
    registering = {
        path.stem
        for path in Path(cli.__file__).parent.glob("[a-z]*.py")
        if "def register" in path.read_text()
    }
    assert registering == {cli.MODULES.get(name, name) for name in cli.COMMANDS}


LIGHT = {
    "lag": {"cassandra", "faust", "aiokafka", "structlog", "aiohttp", "pydantic_settings"},
    "trace": {"faust", "aiokafka", "structlog", "aiohttp", "prometheus_client", "pydantic_settings"},
    "stop": {"cassandra", "faust", "aiokafka", "structlog", "aiohttp", "yaml", "rich", "fastavro"},
}


@pytest.mark.parametrize("command", LIGHT)
def test_a_command_loads_what_it_needs_only(command, tmp_path):
    """Each of these would take a tenth of a second or more from Enter on."""
    words = [command, *(["7"] if command == "trace" else []), "--home", str(tmp_path)]
    body = f"import sys; from pipeline import cli; sys.argv = ['tideline', *{words!r}]\ntry: cli.main()\nexcept SystemExit: pass\nprint(); print(*sys.modules)"
    done = run("-c", body, TIDELINE_KAFKA="127.0.0.1:1", TIDELINE_CASSANDRA="127.0.0.1:1")

    loaded = {module.partition(".")[0] for module in done.stdout.splitlines()[-1].split()}
    assert "typer" in loaded
    assert not LIGHT[command] & loaded


def test_version_says_which():
    done = run("-m", "pipeline", "--version")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("tideline")


@pytest.mark.parametrize(
    "arguments", [["--nonsense"], ["nonsense"], ["run", "--port", "x"], ["run", "--port", "65536"]]
)
def test_wrong_usage_exits_with_2(arguments):
    done = run("-m", "pipeline", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_an_error_the_user_can_act_on_is_two_lines():
    done = trial('raise TidelineError("the sea is closed", "come back later")')

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: the sea is closed\nhint: come back later\n"


def test_a_setting_that_cannot_be_used_is_named():
    done = run("-m", "pipeline", "publish", "-", TIDELINE_KEYSPACE="Not-This")

    assert done.returncode == 1
    assert done.stderr.startswith("error: TIDELINE_KEYSPACE: ")
    assert "hint: it is 'Not-This' now" in done.stderr


def test_an_unexpected_error_is_a_line_and_its_traceback_is_for_who_asks():
    quiet = trial("[][0]")
    loud = trial("[][0]", TIDELINE_LOG_LEVEL="DEBUG")

    assert quiet.stderr.startswith("error: unexpected IndexError: list index out of range\nhint: ")
    assert "Traceback" not in quiet.stderr
    assert "Traceback" in loud.stderr
    assert (quiet.returncode, loud.returncode) == (1, 1)


def test_an_interrupt_exits_with_130_and_without_a_word():
    done = trial("raise KeyboardInterrupt")

    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "")


@pytest.mark.parametrize("body", ["print('x' * 100_000)", "print('x')"])
def test_a_reader_who_leaves_ends_it_quietly(body):
    """In the middle of the output, and with output still in the buffer at the end."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as gone:
        done = subprocess.run(
            [sys.executable, "-c", TRIAL.format(body=body)],
            stdout=gone,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            check=False,
        )

    assert (done.returncode, done.stderr) == (1, "")
