"""The jars of the engines: downloaded once, each checked against the SHA-256 shipped in `jars.lock.json`.

`classpath` guarantees that every jar it returns had exactly the locked bytes when it entered the cache and
has not changed in size or mtime since. A jar is hashed before it is moved to its place in the cache, so an
interrupted download leaves nothing that a later start could take for a jar. A start from the cache reads
two small files and looks at each jar's size and mtime: milliseconds, no network, no hashing.

The lock is the resolution: it names each jar by its Maven coordinate, so a user's machine resolves nothing
and gets the same jars as ours. `python -m pipeline.local.jars --lock` resolves the engines again and
rewrites it.
"""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.errors import EngineError
from pipeline.local import cassandra, kafka

# Kafka's own jars log to SLF4J but leave the choice of a back end to the distribution: with none, a start
# that fails says nothing. This is the one its distribution ships.
ALSO = {kafka.COORDINATE: ["org.apache.logging.log4j:log4j-slf4j-impl:2.24.3"], cassandra.COORDINATE: []}

LOCK = Path(__file__).with_name("jars.lock.json")

# Central answers small files slowly and big ones fast; eight at once keep both kinds busy.
DOWNLOAD_CONCURRENCY = 8

WAYS_ROUND = "point TIDELINE_KAFKA and TIDELINE_CASSANDRA to clusters of your own, or run `docker compose up`"

Progress = Callable[[str], None]
Lock = dict[str, dict[str, str]]
"""Engine coordinate -> jar coordinate (group:artifact:version[:classifier]) -> SHA-256."""


def cache_dir() -> Path:
    """Where jars are kept for all homes of this user: TIDELINE_CACHE, or ~/.cache/tideline."""
    return Path(os.environ.get("TIDELINE_CACHE") or "~/.cache/tideline").expanduser()


def classpath(coordinate: str, progress: Progress, *, lock: Lock | None = None) -> list[Path]:
    """The engine's jars in lock order, downloaded if the cache does not hold them, every one verified."""
    locked = (lock or load_lock())[coordinate]
    label = " ".join(coordinate.split(":")[1:])
    cache = cache_dir() / "jars"
    stamps = _Stamps(cache_dir() / f"{label.replace(' ', '-')}.verified.json")
    missing: dict[str, str] = {}
    for jar, digest in locked.items():
        path = cache / jar_path(jar)
        if not path.exists():
            missing[jar] = digest
        elif not stamps.match(path, digest):
            verify(path, digest)
            stamps.add(path, digest)
    if missing:
        for path, digest in _download(missing, label, progress):
            stamps.add(path, digest)
    stamps.save()
    return [cache / jar_path(jar) for jar in locked]


def load_lock() -> Lock:
    """The shipped lock."""
    lock: Lock = json.loads(LOCK.read_text())
    return lock


def jar_path(jar: str) -> Path:
    """A jar's place below the root of a Maven repository:
    group/artifact/version/artifact-version[-classifier].jar.
    """
    group, artifact, version, *classifier = jar.split(":")
    return Path(*group.split("."), artifact, version, "-".join([artifact, version, *classifier]) + ".jar")


def verify(path: Path, digest: str) -> None:
    """Raise an EngineError that names the jar unless the file's SHA-256 is `digest`."""
    found = sha256(path)
    if found != digest:
        raise EngineError(
            f"{path.name} is not the jar that was locked: SHA-256 {found}, expected {digest}",
            hint=f"delete {path} and start again; if that does not help, something on the way changes it",
        )


def sha256(path: Path) -> str:
    """The file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Stamps:
    """Which jars were verified, as path -> digest, size and mtime at that moment."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: dict[str, list[str | int]] = {}
        self._changed = False
        with suppress(FileNotFoundError, ValueError):  # none or half of one only means: hash again
            self._seen = json.loads(file.read_text())

    def match(self, path: Path, digest: str) -> bool:
        return self._seen.get(str(path)) == self._stamp(path, digest)

    def add(self, path: Path, digest: str) -> None:
        self._seen[str(path)] = self._stamp(path, digest)
        self._changed = True

    def save(self) -> None:
        if self._changed:
            with tempfile.NamedTemporaryFile("w", dir=self._file.parent, delete=False) as file:
                json.dump(self._seen, file, indent=1)
            Path(file.name).replace(self._file)

    @staticmethod
    def _stamp(path: Path, digest: str) -> list[str | int]:
        stat = path.stat()
        return [digest, stat.st_size, stat.st_mtime_ns]


def _download(wanted: dict[str, str], label: str, progress: Progress) -> Iterator[tuple[Path, str]]:
    """Fetch jars side by side, yielding (path in the cache, digest) as each is verified and in place."""
    import requests  # here, as is jgo, because a warm start needs neither and they take 0.3 s to import

    cache_dir().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir(), prefix="download-") as staging, _pool() as pool:
        context = _maven(Path(staging))

        def fetch(jar: str) -> tuple[Path, str]:
            group, artifact, version, *classifier = jar.split(":")
            component = context.project(group, artifact).at_version(version)
            fetched: Path = component.artifact(*classifier).resolve()
            verify(fetched, wanted[jar])
            path = cache_dir() / "jars" / jar_path(jar)
            path.parent.mkdir(parents=True, exist_ok=True)
            return fetched.replace(path), wanted[jar]

        progress(f"downloading {label}: {len(wanted)} jars")
        size = 0
        try:
            for done, future in enumerate(as_completed([pool.submit(fetch, jar) for jar in wanted]), start=1):
                path, digest = future.result()
                size += path.stat().st_size
                progress(f"downloading {label}: {done} of {len(wanted)} jars, {size / 1e6:.0f} MB")
                yield path, digest
        except requests.RequestException as error:
            raise no_network(label) from error
        except RuntimeError as error:  # jgo's word for "Central answered, but not with the jar"
            raise EngineError(f"{label} cannot be downloaded: {error}", hint=WAYS_ROUND) from error


def no_network(label: str) -> EngineError:
    """The one answer to "not cached, and no network"."""
    return EngineError(f"{label} is not in {cache_dir()} and Maven Central cannot be reached", WAYS_ROUND)


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    """A pool that drops what has not begun when the block is left early (Ctrl-C, first failure)."""
    pool = ThreadPoolExecutor(DOWNLOAD_CONCURRENCY)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _maven(repository: Path) -> Any:
    """Jgo with a repository folder of its own. A mirror of Central is set in jgo's own config file.

    jgo's environments (`jgo.build`) are not used: they sort jars into class path and module path, which
    Kafka does not start from, and download a JDK 11 to do so. Artifacts alone need no Java.
    """
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext

    repositories = {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
    return MavenContext(repo_cache=repository, remote_repos=repositories, timeout=30)


def relock() -> Lock:
    """Resolve both engines on Maven Central and hash every jar."""
    from jgo.parse import Coordinate

    lock: Lock = {}
    with tempfile.TemporaryDirectory() as staging, _pool() as pool:
        context = _maven(Path(staging))
        for coordinate in ALSO:
            # Raw: a back end's parent POM must not choose the versions of Kafka's jars (it took an older
            # client).
            also = [replace(Coordinate.parse(jar), scope="compile", raw=True) for jar in ALSO[coordinate]]
            roots = [replace(Coordinate.parse(coordinate), scope="compile"), *also]
            own, transitive = context.resolver.resolve([context.create_dependency(root) for root in roots])
            needed = [d.artifact for d in [*own, *transitive] if d.scope in ("compile", "runtime")]
            digests = pool.map(lambda artifact: sha256(artifact.resolve()), needed)
            lock[coordinate] = {_name(jar): digest for jar, digest in zip(needed, digests, strict=True)}
    return lock


def _name(jar: Any) -> str:
    return ":".join(filter(None, (jar.groupId, jar.artifactId, jar.version, jar.classifier)))


if __name__ == "__main__":
    if sys.argv[1:] != ["--lock"]:
        sys.exit("usage: python -m pipeline.local.jars --lock")
    LOCK.write_text(json.dumps(relock(), indent=2) + "\n")
