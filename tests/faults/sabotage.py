"""How a process is made to break one of the pipeline's rules: the environment that `saboteur/` is found by."""

import os
from pathlib import Path

from tests.engines.harness import REPOSITORY

_SABOTEUR = Path(__file__).parent / "saboteur"


def sabotage(how: str) -> dict[str, str]:
    """The variables of a worker that is broken so.

    The saboteur imports the pipeline before Python knows the folder it was started in: without the repository
    beside it, it would break the one that is installed, and leave alone the one that runs.
    """
    return {"PYTHONPATH": os.pathsep.join([str(_SABOTEUR), str(REPOSITORY)]), "SABOTAGE": how}
