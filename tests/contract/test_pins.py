"""What is installed is what was looked at: every package with its hashes, from whatever index the machine has."""

import re
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PINNED = (REPOSITORY / ".ci" / "requirements.txt").read_text()
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def name_of(requirement):
    """As PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9._-]+", requirement)[0]).lower()


def test_every_package_has_one_version_and_hashes():
    packages = [one for one in re.split(r"\n(?=\S)", PINNED) if not one.startswith("#")]

    assert len(packages) > 100
    for package in packages:
        assert re.match(r"[a-z0-9-]+==\S+( ; [^\\]+)? \\\n    --hash=sha256:[0-9a-f]{64}", package), package


def test_every_dependency_is_pinned():
    """`make pins` after a change of pyproject.toml."""
    pinned = {name_of(line) for line in PINNED.splitlines() if line[:1].isalnum()}
    project = PROJECT["project"]
    wanted = [
        *project["dependencies"],
        *(one for extra in project["optional-dependencies"].values() for one in extra),
        *PROJECT["build-system"]["requires"],
    ]

    assert {name_of(one) for one in wanted} - {"tideline"} <= pinned


def test_no_index_is_named():
    assert "://" not in PINNED
