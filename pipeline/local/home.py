"""What a home remembers between calls: the ports of its engines, and the processes that run them.

`ports.json` stays for as long as the data does. `engines.json` is there while the engines are meant to be
up: the endpoints, for whoever looks for them, and pid and start time of each process. Both are replaced
whole, never edited.
"""

import fcntl
import json
import os
import shutil
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import EngineError
from pipeline.local.process import KILLED_SECONDS, LOOPBACK, PORTS, Child, free_ports

SECURE = "secure"
"""Below a home whose engines are secured: the certificate, and the files of each of their users."""


PORTS_FILE = "ports.json"


@dataclass(frozen=True)
class Endpoints:
    """Where the engines are, each as `host:port` (or several, comma-separated, where the user gave them)."""

    kafka: str
    cassandra: str

    def to_json(self) -> str:
        """One JSON object with the two addresses."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Endpoints":
        """From `to_json` or from the text of a home's engines.json."""
        document = json.loads(text)
        return cls(kafka=document["kafka"], cassandra=document["cassandra"])


def first_port(folder: Path) -> int:
    """Where a home begins to look for ports: each elsewhere, as two may start at the same moment.

    The first four are for its engines, the next for its API.
    """
    return PORTS[zlib.crc32(bytes(folder)) % (len(PORTS) // 8) * 8]


def keep_private(folder: Path) -> None:
    """Make this the folder of a home, which only its owner may look into: keys, data and logs are in it.

    One that was made open is closed. A folder that holds other things than a home is left as it is.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    shared = found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    if not shared or found.st_mode & stat.S_ISVTX or found.st_uid != os.geteuid():
        return
    inside = {path.name for path in folder.iterdir()}
    if not inside or {PORTS_FILE, "run"} & inside:
        folder.chmod(0o700)


class Home:
    """The folder of one pair of engines. Whoever changes it holds `turn`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        self._ports = self.folder / PORTS_FILE
        self._engines = self.folder / "engines.json"

    @contextmanager
    def turn(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold the home alone, across processes; calls `waiting` once if somebody else holds it."""
        keep_private(self.folder)
        with (self.folder / "engines.lock").open("w") as file:  # never deleted: who waits has it open
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def log(self, engine: str) -> Path:
        """Where the engine writes what it has to say."""
        return self.folder / "logs" / f"{engine}.log"

    def address(self, engine: str) -> str:
        """The engine's `host:port`; empty before its first start."""
        ports = _read(self._ports).get(engine)
        return f"{LOOPBACK}:{ports[0]}" if ports else ""

    def choose_ports(self, engine: str) -> tuple[int, int]:
        """The engine's ports of last time where they are still free, else others; remembered from now on."""
        known = _read(self._ports)
        others = {port for name, ports in known.items() if name != engine for port in ports}
        known[engine] = free_ports(known.get(engine, []), 2, first_port(self.folder), others)
        _write(self._ports, known)
        return known[engine][0], known[engine][1]

    def children(self) -> dict[str, Child]:
        """The processes of this home that still run, by engine."""
        return {name: child for name, child in self._recorded().items() if child.process()}

    def await_the_killed(self) -> None:
        """Return when those that were killed have let go of their ports and files."""
        for child in self._recorded().values():
            if not child.process():
                child.await_last_thread(KILLED_SECONDS)

    def _recorded(self) -> dict[str, Child]:
        processes = _read(self._engines).get("processes", {})
        return {name: Child(**child) for name, child in processes.items()}

    def record(self, endpoints: Endpoints, children: dict[str, Child]) -> None:
        """Write engines.json."""
        processes = {name: asdict(child) for name, child in children.items()}
        _write(self._engines, asdict(endpoints) | {"processes": processes})

    def forget(self) -> None:
        """Remove engines.json."""
        self._engines.unlink(missing_ok=True)

    def purge(self) -> None:
        """Delete data, logs, configuration and ports; nothing in a folder that never was a home."""
        for engine in _read(self._ports):
            shutil.rmtree(self.folder / engine, ignore_errors=True)
            shutil.rmtree(self.folder / "logs", ignore_errors=True)
            shutil.rmtree(self.folder / SECURE, ignore_errors=True)
        self._ports.unlink(missing_ok=True)


def _read(file: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        hint = "end the engines it names, then delete it"
        raise EngineError(f"{file} is damaged: {error}", hint) from error
    return document


def _write(file: Path, document: dict[str, Any]) -> None:
    new = file.with_suffix(".new")
    new.write_text(json.dumps(document, indent=2) + "\n")
    new.replace(file)
