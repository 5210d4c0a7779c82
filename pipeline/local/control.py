"""Telling a running instance what to do: one line of JSON there, one line back, over a Unix socket.

The socket belongs to the user who runs the instance, as instance.json does; nobody else may write to it.
"""

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingUnixStreamServer
from threading import Thread

import orjson

from pipeline.errors import TidelineError

Orders = Callable[[str, str], str]
"""Carries out (`verb`, `stage`), and returns why it could not, or nothing."""

_MAX_PATH_BYTES = 100
"""Bytes the system takes as the path of a socket: 108 on Linux, 104 on macOS."""

_ANSWER_TIMEOUT_S = 60.0
"""A stage has its grace period to stop, and others may be in front."""


@contextmanager
def listening(home: Path, orders: Orders) -> Iterator[Path]:
    """Carry out orders until the end; yields the socket, in HOME/run unless that path is too long for one."""
    with tempfile.TemporaryDirectory(prefix="tideline-") as spare:
        path = home / "run" / "control.sock"
        if len(os.fsencode(path)) > _MAX_PATH_BYTES:
            path = Path(spare) / "control.sock"
        path.unlink(missing_ok=True)

        class Order(StreamRequestHandler):
            def handle(self) -> None:
                order = orjson.loads(self.rfile.readline(4096))
                problem = orders(order["verb"], order["stage"])
                self.wfile.write(orjson.dumps({"problem": problem}) + b"\n")

        before = os.umask(0o177)
        try:
            server = ThreadingUnixStreamServer(str(path), Order)
        finally:
            os.umask(before)
        with server:
            Thread(target=server.serve_forever, name="control", daemon=True).start()
            try:
                yield path
            finally:
                server.shutdown()
                path.unlink(missing_ok=True)


def order(control: str, verb: str, stage: str) -> None:
    """Have an order carried out. Raises TidelineError when it could not be."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER_TIMEOUT_S)
            connection.connect(control)
            connection.sendall(orjson.dumps({"verb": verb, "stage": stage}) + b"\n")
            answer = connection.makefile("rb").readline()
    except OSError as error:
        raise TidelineError(f"the instance does not answer at {control}: {error}") from error
    problem = orjson.loads(answer)["problem"] if answer else "the instance ended"
    if problem:
        raise TidelineError(problem)
