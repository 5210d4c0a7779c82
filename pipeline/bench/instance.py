"""A whole pipeline as a child process: `tideline run`, on a home that goes away with it."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.config.settings import Settings
from pipeline.errors import EngineError
from pipeline.local import engines, instance, signals
from pipeline.local.instance import Instance
from pipeline.local.process import tail

_POLL_S = 0.1
_STOP_S = 60.0
"""Workers have 10 s to finish, and Cassandra flushes what it holds."""


class Pipeline:
    """A running pipeline and its home. It is stopped, and a temporary home removed, unless it is kept."""

    def __init__(self, home: Path, *, temporary: bool, secured: bool) -> None:
        self.home, self.temporary, self._secured = home, temporary, secured
        self.kept = False
        self._log = home / "run.log"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, profile: str, say: Callable[[str], None]) -> Instance:
        """Start it and return when everything answers; `say` hears what it is doing.

        Raises EngineError, with its last words, when it ends instead.
        """
        command = [sys.executable, "-m", "pipeline", "run", "--home", str(self.home)]
        command += ["--secure"] if self._secured else []
        with self._log.open("wb") as log:
            # A session of its own: Ctrl-C reaches us alone, and we stop the pipeline in good order.
            self._child = subprocess.Popen(
                [*command, "--profile", profile, "--port", "0"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        while self._child.poll() is None:
            words = self._log.read_text(errors="replace").splitlines()
            if any(line.startswith("ready http") for line in words):
                instance.endpoints_of(Settings(home=self.home))  # this process logs in as well
                return instance.find(self.home)
            if words and "|" not in words[-1]:
                say(words[-1])
            time.sleep(_POLL_S)
        raise EngineError(f"the pipeline ended while it was starting; it said\n{tail(self._log)}")

    def stop(self) -> None:
        """Stop it, whatever state it is in; signals wait."""
        if self._child is not None and not self.kept:
            with signals.ignored():
                self._child.terminate()
                try:
                    self._child.wait(_STOP_S)
                except subprocess.TimeoutExpired:
                    self._child.kill()  # its workers go down with it
                    self._child.wait()
                    engines.down(self.home)
        if self.temporary and not self.kept:
            shutil.rmtree(self.home, ignore_errors=True)


@contextmanager
def place(home: Path | None, *, secured: bool = False) -> Iterator[Pipeline]:
    """A pipeline, not started yet, on this home or on a temporary one. `secured`: see `engines.up`."""
    folder = Path(tempfile.mkdtemp(prefix="tideline-demo-")) if home is None else home
    folder.mkdir(parents=True, exist_ok=True)
    pipeline = Pipeline(folder, temporary=home is None, secured=secured)
    try:
        yield pipeline
    finally:
        pipeline.stop()
