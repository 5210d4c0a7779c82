"""No worker outlives its supervisor, even one that was killed with SIGKILL.

The supervisor holds the other end of each worker's standard input and never writes to it. The system closes
it when the supervisor dies, however it dies and before or after the worker looks, on Linux and on macOS.
"""

import os
import threading

VARIABLE = "TIDELINE_LIFELINE"
"""Set in the environment of a worker whose standard input is a lifeline."""

_ORPHANED = 75
"""Exit code of a worker that lost its supervisor; nobody is left to read it but a debugger."""


def hold() -> None:
    """From now on this process ends at once when its standard input does.

    At once is safe: what a stage has not acknowledged is processed again.
    """
    threading.Thread(target=_watch, name="lifeline", daemon=True).start()


def _watch() -> None:
    try:
        while os.read(0, 64):
            pass
    finally:
        os._exit(_ORPHANED)
