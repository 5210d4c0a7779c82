"""The two folders users edit, wherever this installation keeps them."""

from pathlib import Path
from typing import Literal

from pipeline.errors import ConfigError


def folder(name: Literal["schemas", "topology"]) -> Path:
    """The folder of that name: at the top of a checkout, inside the package of a wheel.

    Raises ConfigError when this installation has neither.
    """
    package = Path(__file__).resolve().parents[1]
    for place in (package / "shipped" / name, package.parent / name):
        if place.is_dir():
            return place
    raise ConfigError(
        f"{package}: this installation has no folder `{name}`",
        "install the wheel again, or run from a checkout",
    )
