"""The processes of a contender: started, paused before the work is there, resumed as the start signal.

A process says that it is ready by the same file as a worker does for its supervisor, and ends when the bench
does, however that ends (see `local.lifeline`). Paused means SIGSTOP: it has its connections and partitions,
and takes no part in anything, so the clock measures work and never a start-up.
"""

import asyncio
import os
import platform
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipeline.errors import EngineError
from pipeline.local import lifeline
from pipeline.local.process import tail
from pipeline.local.worker import READY_FILE

START_S = 60.0
"""How long a process may take to be ready: it joins a consumer group, on a machine that may be busy."""

STOP_S = 15.0
"""How long it may take to leave after SIGTERM; then it is killed."""


def say_ready() -> None:
    """For a process of a contender: the start signal may be given."""
    Path(os.environ[READY_FILE]).touch()


@dataclass(frozen=True, slots=True)
class Running:
    """One process of a contender, by the name under which its CPU time is told."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def pause(self) -> None:
        """Stop it in its tracks; well below the session time-out of a consumer group, or it is expelled."""
        self.popen.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.popen.send_signal(signal.SIGCONT)

    def check(self) -> None:
        """Raise EngineError, with the end of its log, when it is gone."""
        if self.popen.poll() is not None:
            raise EngineError(f"bench: {self.name} ended with {self.popen.returncode}:\n{tail(self.log)}")


@asynccontextmanager
async def running(
    commands: Mapping[str, Sequence[str]], environment: Mapping[str, str], folder: Path
) -> AsyncIterator[list[Running]]:
    """These commands as processes, all of them ready; at the end all of them are gone."""
    started: list[Running] = []
    try:
        for name, command in commands.items():
            started.append(_start(name, command, environment, folder))
        deadline = time.monotonic() + START_S
        for process in started:
            await _until_ready(process, deadline)
        yield started
    finally:
        await asyncio.to_thread(_stop, started)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process since it began, all its threads."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def _start(name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Running:
    log, ready = folder / f"{name}.log", folder / f"{name}.ready"
    ready.unlink(missing_ok=True)
    ours = {READY_FILE: str(ready), lifeline.VARIABLE: "1", "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as output:
        popen = subprocess.Popen(
            command,
            env={**os.environ, **environment, **ours},
            stdin=subprocess.PIPE,  # its lifeline
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the bench, which ends its processes itself
        )
    return Running(name, popen, log)


async def _until_ready(process: Running, deadline: float) -> None:
    ready = process.log.with_suffix(".ready")
    while not ready.exists():
        process.check()
        if time.monotonic() >= deadline:
            end = tail(process.log)
            raise EngineError(f"bench: {process.name} is not ready after {START_S:.0f} s:\n{end}")
        await asyncio.sleep(0.02)


def _stop(processes: Sequence[Running]) -> None:
    for process in processes:
        process.resume()  # a paused process takes no SIGTERM
        process.popen.terminate()
    deadline = time.monotonic() + STOP_S
    for process in processes:
        try:
            process.popen.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.popen.kill()
            process.popen.wait()
        if process.popen.stdin is not None:
            process.popen.stdin.close()


def machine() -> dict[str, object]:
    """What figures are from: cores that this process may use, memory (GiB), Python, and the load so far."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "load": [round(each, 1) for each in os.getloadavg()],
    }
