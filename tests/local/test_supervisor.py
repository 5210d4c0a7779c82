"""The supervisor with small children that do what workers do on a bad day."""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pipeline.auth import home_keys
from pipeline.auth.tokens import Caller
from pipeline.config.settings import Settings
from pipeline.errors import TidelineError
from pipeline.local import control, instance
from pipeline.local.instance import NoInstanceError
from pipeline.local.logs import Logs
from pipeline.local.worker import State
from tests.waiting import eventually

REPOSITORY = Path(__file__).parents[2]

GOOD = "ready(); signal.pause()"
STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN); ready()\nwhile True: signal.pause()"
CRASHING = "sys.exit('no luck')"
NEVER_READY = "signal.pause()"


@pytest.fixture
def supervise(tmp_path):
    """`supervise(stage=code…)`: start a supervisor over these; everything is dead at the end of the test."""
    started = []

    def start(home=tmp_path, grace=10.0, **stages):
        process = subprocess.Popen(
            [sys.executable, REPOSITORY / "tests/local/small_instance.py", home, str(grace)]
            + [f"{stage.replace('_', '.')}={code}" for stage, code in stages.items()],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        children = psutil.Process(process.pid).children() if process.poll() is None else []
        process.kill()
        for child in children:
            child.kill()
        process.communicate()


def worker(home, stage):
    found = [worker for worker in instance.stages(home) if worker.stage == stage]
    assert found, "no instance yet"
    return found[0]


def pids(home):
    return [worker.pid for worker in instance.stages(home)]


def alive(pid):
    """Neither gone nor a zombie that nobody has buried yet."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_ready(process, within=20.0):
    readable, _, _ = select.select([process.stdout], [], [], within)
    return bool(readable) and process.stdout.readline() == "ready\n"


def test_ready_is_said_when_every_worker_is(supervise, tmp_path):
    """And instance.json then tells where each of them is, as does a file for Prometheus."""
    process = supervise(graph=GOOD, fanout_small=GOOD)

    assert is_ready(process)

    found = instance.find(tmp_path)
    assert found.supervisor.pid == process.pid
    assert [(w.stage, w.worker, w.state, w.port, w.restarts) for w in found.workers] == [
        ("graph", 0, State.READY, 1, 0),
        ("fanout.small", 0, State.READY, 1, 0),
    ]
    assert all(alive(worker.pid) for worker in found.workers)
    listed = json.loads((tmp_path / "metrics" / "targets.json").read_text())
    assert [one["labels"]["worker"] for one in listed] == ["graph", "fanout.small"]


def test_ready_is_not_said_while_one_is_not(supervise, tmp_path):
    """A ready file that an earlier run left behind does not count."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run/query.0.json").write_text('{"pid": 1, "port": 1}')

    process = supervise(graph=GOOD, query=NEVER_READY)

    eventually(lambda: worker(tmp_path, "graph").state is State.READY)
    assert worker(tmp_path, "query").state is State.STARTING
    assert not (tmp_path / "run/query.0.json").exists()
    assert not is_ready(process, within=0.0)


def test_a_killed_worker_is_started_again_and_no_other(supervise, tmp_path):
    process = supervise(graph=GOOD, query=GOOD)
    assert is_ready(process)
    graph, query = pids(tmp_path)

    os.kill(graph, signal.SIGKILL)

    eventually(lambda: worker(tmp_path, "graph").restarts == 1)
    eventually(lambda: worker(tmp_path, "graph").state is State.READY)
    new_graph, same_query = pids(tmp_path)
    assert new_graph != graph
    assert same_query == query
    assert worker(tmp_path, "query").restarts == 0
    assert "ended: SIGKILL; started again in 0.2 s" in (tmp_path / "logs/graph.log").read_text()


def test_a_crashing_worker_is_started_again_with_growing_pauses(supervise, tmp_path):
    """Its words are kept, and the others are none the worse for it."""
    supervise(graph=CRASHING, query=GOOD)

    eventually(lambda: worker(tmp_path, "graph").restarts >= 3)

    log = (tmp_path / "logs/graph.log").read_text().splitlines()
    assert log[:6] == [
        "no luck",
        "ended: exit code 1; started again in 0.2 s",
        "no luck",
        "ended: exit code 1; started again in 0.4 s",
        "no luck",
        "ended: exit code 1; started again in 0.8 s",
    ]
    assert worker(tmp_path, "query").state is State.READY


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_everything_with_exit_code_0(supervise, tmp_path, number):
    process = supervise(graph=GOOD, query=GOOD, classify=CRASHING)
    eventually(lambda: worker(tmp_path, "query").state is State.READY)
    children = [pid for pid in pids(tmp_path) if pid]

    process.send_signal(number)

    assert process.wait(timeout=5) == 0
    assert json.loads((tmp_path / "metrics" / "targets.json").read_text()) == []
    assert not any(map(alive, children))
    assert not (tmp_path / "instance.json").exists()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["lock"]


def test_workers_may_finish_within_the_grace_period(supervise, tmp_path):
    slow = "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.3), print('done'), sys.exit())); " + GOOD
    process = supervise(graph=slow)
    assert is_ready(process)

    process.terminate()

    assert process.wait(timeout=5) == 0
    assert (tmp_path / "logs/graph.log").read_text() == "done\n"


def test_a_stubborn_worker_is_killed_after_the_grace_period(supervise, tmp_path):
    process = supervise(grace=0.5, graph=STUBBORN, query=GOOD)
    assert is_ready(process)
    children = pids(tmp_path)

    process.terminate()

    assert process.wait(timeout=5) == 0
    assert not any(map(alive, children))


def test_a_second_signal_cuts_the_grace_period_short(supervise, tmp_path):
    process = supervise(grace=60, graph=STUBBORN, query=GOOD)
    assert is_ready(process)
    stubborn, good = pids(tmp_path)

    process.send_signal(signal.SIGINT)
    eventually(lambda: not alive(good))
    assert alive(stubborn)
    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=5) == 0
    assert not alive(stubborn)


def test_workers_die_with_a_supervisor_that_is_killed(supervise, tmp_path):
    """Also one that ignores SIGTERM. The home is free again, and says that nothing runs."""
    process = supervise(graph=STUBBORN, query=GOOD)
    assert is_ready(process)
    children = pids(tmp_path)

    process.kill()

    eventually(lambda: not any(map(alive, children)))
    process.wait()
    assert (tmp_path / "instance.json").exists()
    with pytest.raises(NoInstanceError, match="no running instance"):
        instance.find(tmp_path)
    assert is_ready(supervise(graph=GOOD))
    assert instance.find(tmp_path).supervisor.pid != process.pid


def test_a_second_instance_is_kept_out_of_the_home(supervise, tmp_path):
    process = supervise(graph=GOOD)
    assert is_ready(process)

    with pytest.raises(TidelineError, match=r"an instance runs in .* already"), instance.claimed(tmp_path):
        pass

    assert instance.find(tmp_path).supervisor.pid == process.pid


def test_a_stopped_stage_stays_stopped_until_it_is_started(supervise, tmp_path):
    process = supervise(grace=0.5, graph=STUBBORN, query=GOOD)
    assert is_ready(process)
    graph, query = pids(tmp_path)
    where = instance.find(tmp_path).control

    control.order(where, "stop", "graph")
    assert not alive(graph)
    eventually(lambda: worker(tmp_path, "graph").state is State.STOPPED)
    assert pids(tmp_path) == [None, query]
    control.order(where, "stop", "graph")

    control.order(where, "start", "graph")
    eventually(lambda: worker(tmp_path, "graph").state is State.READY)
    assert worker(tmp_path, "graph").restarts == 0
    assert pids(tmp_path)[1] == query


def test_a_stage_stopped_while_it_waits_to_be_restarted_is_not(supervise, tmp_path):
    supervise(graph=CRASHING, query=GOOD)
    eventually(lambda: worker(tmp_path, "graph").restarts == 3)
    eventually(lambda: worker(tmp_path, "graph").state is State.WAITING)  # for 1.6 s

    control.order(instance.find(tmp_path).control, "stop", "graph")

    eventually(lambda: worker(tmp_path, "graph").state is State.STOPPED)
    assert worker(tmp_path, "graph").restarts == 3


def test_a_stage_of_a_domain_has_files_that_are_no_folders(supervise, tmp_path):
    process = supervise(**{"inbox/graph": GOOD, "graph": GOOD})
    assert is_ready(process)

    control.order(instance.find(tmp_path).control, "stop", "inbox/graph")

    eventually(lambda: worker(tmp_path, "inbox/graph").state is State.STOPPED)
    assert worker(tmp_path, "graph").state is State.READY
    assert sorted(path.name for path in (tmp_path / "run").glob("*.json")) == [
        "graph.0.json",
        "inbox.graph.0.json",
    ]


def test_an_unknown_stage_is_refused_with_the_known_ones(supervise, tmp_path):
    assert is_ready(supervise(graph=GOOD, fanout_small=GOOD))

    with pytest.raises(TidelineError, match=r"no stage fanout; stages: graph, fanout\.small"):
        control.order(instance.find(tmp_path).control, "stop", "fanout")


def test_a_home_whose_path_is_too_long_for_a_socket(supervise, tmp_path):
    home = tmp_path / ("long" * 30)
    process = supervise(home=home, graph=GOOD)
    assert is_ready(process)
    socket = Path(instance.find(home).control)

    control.order(str(socket), "stop", "graph")

    eventually(lambda: worker(home, "graph").state is State.STOPPED)
    process.terminate()
    assert process.wait(timeout=5) == 0
    assert not socket.parent.exists()


def test_an_instance_that_ended_meanwhile_is_an_error_in_words(tmp_path):
    with pytest.raises(TidelineError, match="does not answer"):
        control.order(str(tmp_path / "control.sock"), "stop", "graph")


def test_lines_carry_the_name_of_their_worker_on_stderr_and_not_in_the_file(supervise, tmp_path):
    """A line without end is passed on in pieces."""
    process = supervise(graph="print('one'); print('x' * 70_000, file=sys.stderr); " + GOOD, query=GOOD)
    assert is_ready(process)
    process.terminate()
    _, err = process.communicate()

    assert "graph | one\n" in err
    assert f"graph | {'x' * 65_536}\ngraph | {'x' * 4_464}\n" in err
    assert (tmp_path / "logs/graph.log").read_text().startswith("one\nxxx")


def test_a_log_file_is_capped_and_the_one_before_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.local.logs.MAX_BYTES", 100)
    logs = Logs(tmp_path, width=5)
    write = logs.of("graph", "graph")

    for number in range(30):
        write(f"line {number:04}")  # 10 bytes with its end
    logs.close()

    assert sorted(path.name for path in tmp_path.iterdir()) == ["graph.log", "graph.log.1"]
    assert all(path.stat().st_size <= 100 for path in tmp_path.iterdir())
    assert (tmp_path / "graph.log").read_text().endswith("line 0029\n")


def test_the_cursor_keys_are_made_once_for_their_owner_alone(tmp_path):
    settings = Settings(home=tmp_path, cursor_keys="")
    assert home_keys.cursors_of(settings) is None

    file = home_keys.cursor_keys(tmp_path)
    made = file.read_text()

    assert home_keys.cursor_keys(tmp_path).read_text() == made
    assert list(home_keys.cursors_of(settings)) == ["home"]
    assert list(home_keys.cursors_of(Settings(home=tmp_path, cursor_keys=f"given:{'g' * 32}"))) == ["given"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_token_keys_are_made_once_for_their_owner_alone(tmp_path):
    settings = Settings(home=tmp_path, token_keys="")
    assert home_keys.tokens_of(settings) is None

    file = home_keys.token_keys(tmp_path)
    token = home_keys.tokens_of(settings).sign(Caller(7), life_s=60)

    assert home_keys.token_keys(tmp_path) == file
    assert home_keys.tokens_of(settings).verify(token) == Caller(7)
    assert file.stat().st_mode & 0o777 == 0o600


def test_given_token_keys_come_before_those_of_the_home(tmp_path):
    home_keys.token_keys(tmp_path)
    given = Settings(home=tmp_path, token_keys=f"given:{'g' * 32}")

    assert list(home_keys.tokens_of(given).secrets) == ["given"]
