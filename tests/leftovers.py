"""Engines that a test process starts are gone with it, however it ends.

They are made to outlive the process that started them, and a process of pytest-xdist that Ctrl-C ends runs no
fixture to its end. So one of its own waits for the end, and takes them down.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DOWN = """
import sys, pathlib
from pipeline.local.engines import down
sys.stdin.read()
down(pathlib.Path(sys.argv[1]), purge=True)
"""


@contextmanager
def taken_down(home: Path) -> Iterator[None]:
    """The engines of this home are down and their data gone after the context, or after this process."""
    waiting = subprocess.Popen(
        [sys.executable, "-c", DOWN, home], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield
    finally:
        waiting.communicate(timeout=120)
        assert waiting.returncode == 0
