"""Jars come into the cache whole and as locked, or not at all. A repository on loopback plays Central."""

import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from pipeline.errors import EngineError
from pipeline.local import cassandra, jars, kafka

ENGINE = "org.example:engine:1.0"
BYTES = b"the bytes that were locked"
DIGEST = hashlib.sha256(BYTES).hexdigest()
LOCK = {ENGINE: {"org.example:engine:1.0": DIGEST, "org.example:native:2.0:linux": DIGEST}}


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no jgo configuration of the user's."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("TIDELINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def central(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a Maven repository that stands in for Central, with both jars in it."""
    folder = tmp_path / "central"
    for jar in LOCK[ENGINE]:
        place(folder, jar, BYTES)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setattr("jgo.constants.MAVEN_CENTRAL_URL", f"http://127.0.0.1:{server.server_port}")
    yield folder
    server.shutdown()
    server.server_close()


def place(repository: Path, jar: str, content: bytes) -> Path:
    path = repository / jars.jar_path(jar)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def fetch() -> list[Path]:
    return jars.classpath(ENGINE, lambda _: None, lock=LOCK)


def test_downloads_every_locked_jar_and_leaves_no_staging(cache: Path, central: Path) -> None:
    said: list[str] = []

    found = jars.classpath(ENGINE, said.append, lock=LOCK)

    assert [path.name for path in found] == ["engine-1.0.jar", "native-2.0-linux.jar"]
    assert [path.read_bytes() for path in found] == [BYTES, BYTES]
    assert said[-1] == "downloading engine 1.0: 2 of 2 jars, 0 MB"
    assert sorted(path.name for path in cache.iterdir()) == ["engine-1.0.verified.json", "jars"]


def test_a_warm_start_neither_downloads_nor_hashes(central: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cold = fetch()
    monkeypatch.delattr(jars, "sha256")
    monkeypatch.delattr(jars, "_download")

    assert fetch() == cold


def test_a_jar_that_arrives_with_other_bytes_is_named_and_not_kept(cache: Path, central: Path) -> None:
    place(central, "org.example:native:2.0:linux", b"tampered")

    with pytest.raises(EngineError, match=r"native-2\.0-linux\.jar is not the jar that was locked"):
        fetch()

    assert not (cache / "jars" / jars.jar_path("org.example:native:2.0:linux")).exists()


def test_a_cached_jar_that_changed_is_named(cache: Path, central: Path) -> None:
    fetch()
    changed = place(cache / "jars", "org.example:engine:1.0", b"tampered")

    with pytest.raises(EngineError, match=r"engine-1\.0\.jar is not the jar that was locked") as error:
        fetch()

    assert DIGEST in error.value.message
    assert str(changed) in error.value.hint


def test_a_jar_of_a_start_that_was_killed_is_hashed_before_use(cache: Path, central: Path) -> None:
    fetch()
    (cache / "engine-1.0.verified.json").write_text('{"half of a')
    place(cache / "jars", "org.example:engine:1.0", BYTES[:5])

    with pytest.raises(EngineError, match=r"engine-1\.0\.jar"):
        fetch()


def test_without_network_the_error_names_both_ways_round(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody_listens = "http://127.0.0.1:1"
    monkeypatch.setattr("jgo.constants.MAVEN_CENTRAL_URL", nobody_listens)

    with pytest.raises(EngineError) as error:
        fetch()

    assert error.value.message == f"engine 1.0 is not in {cache} and Maven Central cannot be reached"
    assert "TIDELINE_KAFKA and TIDELINE_CASSANDRA" in error.value.hint
    assert "docker compose up" in error.value.hint


def test_a_jar_central_does_not_have_is_an_engine_error(central: Path) -> None:
    (central / jars.jar_path("org.example:engine:1.0")).unlink()

    with pytest.raises(EngineError, match=r"engine 1\.0 cannot be downloaded: .*engine"):
        fetch()


def test_the_shipped_lock_covers_both_engines() -> None:
    lock = jars.load_lock()

    assert set(lock) == {kafka.COORDINATE, cassandra.COORDINATE}
    for coordinate, locked in lock.items():
        assert coordinate in locked
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in locked.values())
