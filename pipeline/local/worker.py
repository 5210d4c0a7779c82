"""One worker: a child process of a stage that is kept alive while it is wanted."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import orjson

from pipeline.local import lifeline, restarts

READY_FILE = "TIDELINE_READY_FILE"
"""Names the file in which a worker says that it is ready: {"pid": …, "port": …}."""

_MAX_LINE_BYTES = 64 * 1024
"""A log line beyond this goes on in pieces: a worker without line ends must not fill the memory."""


class State(StrEnum):
    """`waiting`: it died and is started again after a pause. `stopped`: somebody stopped it."""

    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Job:
    """What to run: worker number `worker` of a stage."""

    stage: str
    worker: int
    command: Sequence[str]
    environment: Mapping[str, str]

    @property
    def file(self) -> str:
        """The stage in the name of a file: that of a domain is no folder."""
        return self.stage.replace("/", ".")


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker as others see it. `port` serves its metrics; None until it is ready."""

    stage: str
    worker: int
    state: State
    pid: int | None
    port: int | None
    restarts: int


class Worker:
    """Runs a job on a thread of its own, and again whenever it ends, with the pauses of `restarts`."""

    def __init__(self, job: Job, ready_file: Path, output: Callable[[str], None]) -> None:
        """`output` gets each line the process writes, and each word about it, on the worker's thread."""
        self.job = job
        self._ready_file, self._output = ready_file, output
        self._changed = threading.Condition()
        self._wanted, self._closing = True, False
        self._process: subprocess.Popen[bytes] | None = None
        self._port: int | None = None
        self._restarts = 0
        self._thread = threading.Thread(target=self._keep, name=f"{job.stage}.{job.worker}")
        self._thread.start()

    def status(self) -> WorkerStatus:
        """How it is now."""
        process = self._process
        alive = process is not None and process.poll() is None
        if process is not None and alive and self._port is None:
            self._port = self._told_port(process.pid)
        if not alive:
            state = State.WAITING if self._wanted else State.STOPPED
        else:
            state = State.STARTING if self._port is None else State.READY
        pid = process.pid if process is not None and alive else None
        return WorkerStatus(
            self.job.stage, self.job.worker, state, pid, self._port if alive else None, self._restarts
        )

    def start(self) -> None:
        """Want it running again after `dismiss`; its past deaths are forgotten."""
        with self._changed:
            self._wanted = True
            self._changed.notify_all()

    def dismiss(self) -> None:
        """Want it stopped, and ask it to leave; returns at once."""
        with self._changed:
            self._wanted = False
            self._changed.notify_all()
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it without asking."""
        with self._changed:
            self._signal(signal.SIGKILL)

    def close(self) -> None:
        """After it is gone: never start it again."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        self._ready_file.unlink(missing_ok=True)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _keep(self) -> None:
        deaths = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted or self._closing)
                if self._closing:
                    return
                started = time.monotonic()
                self._process = self._spawn()
            ending = self._until_exit(self._process) if self._process else "no process"
            with self._changed:
                if not self._wanted:
                    deaths = 0
                    continue
                now = time.monotonic()
                restart = restarts.after_death(deaths, started, now)
                deaths = restart.deaths
                self._output(f"ended: {ending}; started again in {restart.at - now:.1f} s")
                self._changed.wait_for(lambda: not self._wanted or self._closing, restart.at - now)
                self._restarts += self._wanted

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        self._ready_file.unlink(missing_ok=True)
        self._port = None
        ours = {READY_FILE: str(self._ready_file), lifeline.VARIABLE: "1", "PYTHONUNBUFFERED": "1"}
        try:
            return subprocess.Popen(
                self.job.command,
                env={**os.environ, **self.job.environment, **ours},
                stdin=subprocess.PIPE,  # its lifeline
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the supervisor, which stops workers in its own way
            )
        except OSError as error:  # no memory or no process left: as good as a death
            self._output(f"cannot be started: {error}")
            return None

    def _until_exit(self, process: subprocess.Popen[bytes]) -> str:
        assert process.stdout is not None and process.stdin is not None
        with process.stdout, process.stdin:
            while line := process.stdout.readline(_MAX_LINE_BYTES):
                self._output(line.decode(errors="replace").rstrip("\n"))
            code = process.wait()
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    def _told_port(self, pid: int) -> int | None:
        try:
            told = orjson.loads(self._ready_file.read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return None
        return int(told.get("port", 0)) if told.get("pid") == pid else None
