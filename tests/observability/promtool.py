"""promtool, from Debian's package `prometheus`: that on the PATH, else one fetched once and kept in a cache.

Nothing is installed: the package is downloaded and unpacked, which needs apt and no root. Where it cannot be had
the tests fail under CI, and are skipped elsewhere, where Prometheus' own packages may put it on the PATH.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from pipeline.local import jars

CACHED = jars.cache_dir() / "promtool"


def find() -> Path:
    """Where it is; fetches it when it is nowhere."""
    on_path = shutil.which("promtool")
    if on_path:
        return Path(on_path)
    if not CACHED.exists():
        try:
            _fetch()
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or error
            reason = f"no promtool: install Debian's package `prometheus` ({said})"
            pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return CACHED


def _fetch() -> None:
    CACHED.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHED.parent) as room:
        try:
            _apt(room, "download", "prometheus")
        except subprocess.CalledProcessError:  # a machine that has never heard of its packages
            lists = Path(room) / "lists"
            (lists / "partial").mkdir(parents=True)
            own = ("-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={room}")
            _apt(room, *own, "update")
            _apt(room, *own, "download", "prometheus")
        (package,) = Path(room).glob("prometheus_*.deb")
        _run(room, "dpkg-deb", "--extract", str(package), "unpacked")
        (Path(room) / "unpacked" / "usr" / "bin" / "promtool").replace(CACHED)


def _apt(room: str, *words: str) -> None:
    _run(room, "apt-get", "-o", "APT::Sandbox::User=root", *words)


def _run(room: str, *command: str) -> None:
    subprocess.run(command, cwd=room, check=True, capture_output=True, text=True, timeout=300)
