"""A Confluent schema registry over its REST API: three requests, and only when a URL is configured.

Subjects are `{topic}-value`. Processes only look schemas up; `tideline topology apply` registers them. The
registry is trusted: whoever can write to it can make readers resolve any schema. Blocking, but asked once an
id or class: `Codec` remembers the answers. An id that is not known yet is waited for, within bounds
(`domain.patience`).
"""

import json
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from pipeline.config.names import HOME, Names
from pipeline.domain.patience import Next, Patience
from pipeline.errors import ConfigError, EngineError, Unavailable
from pipeline.path import RECORDS
from pipeline.wire.codec import CodecError, NotYet, Registry, SchemaError
from pipeline.wire.schemas import source

TIMEOUT_S = 10.0

_NOT_FOUND = 404
_REGISTER = "register it, then `tideline dlq replay` what was refused meanwhile"
_JSON = "application/vnd.schemaregistry.v1+json"


def subjects(names: Names = HOME) -> dict[str, type[Any]]:
    """By subject, the record whose current schema has to be registered there."""
    return {f"{names.topic(topic)}-value": record for topic, record in RECORDS.items() if record is not bytes}


class SchemaRegistry:
    """The registry at one URL, `http(s)://[user:password@]host[:port][/path]`.

    Every method raises Unavailable when it does not answer, EngineError when it says no.
    """

    def __init__(self, url: str, names: Names = HOME, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds, never back."""
        self._names, self._clock = names, clock
        self._patience, self._turn = Patience(), threading.Lock()
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError("TIDELINE_SCHEMA_REGISTRY_URL: not an http or https URL")
        host = parts.netloc.rpartition("@")[2]
        self.url = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        self._headers = {"Content-Type": _JSON, "Accept": _JSON}
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {b64encode(user.encode()).decode()}"

    def lookups(self, *, waits: bool = True) -> Registry:
        """What a Codec asks. `waits`: for ids that are not known yet; else each is a CodecError at once."""
        return Registry(self._known_soon if waits else self.schema, self.id_of)

    def schema(self, schema_id: int) -> Any:
        """The schema with this id. CodecError when there is none: the bytes are not ours."""
        found = self._held(schema_id)
        if found is None:
            raise self._unknown(schema_id)
        return found

    def _known_soon(self, schema_id: int) -> Any:
        """The same, but NotYet while the registry may not have heard of the id yet."""
        found = None
        with self._turn:
            then = self._patience.about(schema_id, self._clock())
        if then is Next.ASK:
            found = self._held(schema_id)
            with self._turn:
                if found is not None:
                    self._patience.found(schema_id)
                    return found
                then = self._patience.missing(schema_id, self._clock())
        if then is Next.WAIT:
            raise NotYet(f"schema id {schema_id}: {self.url} does not know it yet", _REGISTER)
        if then is Next.TOO_MANY:
            raise CodecError(f"schema id {schema_id} was not looked up: too many unknown ones", _REGISTER)
        raise self._unknown(schema_id)

    def _unknown(self, schema_id: int) -> CodecError:
        return CodecError(f"unknown schema id {schema_id}", f"{self.url} does not hold it")

    def _held(self, schema_id: int) -> Any:
        answer = self._ask("GET", f"/schemas/ids/{schema_id}")
        if answer is None:
            return None
        try:
            schema = json.loads(answer["schema"])
        except (KeyError, TypeError, ValueError):
            schema = None
        if schema is None:
            raise SchemaError(f"schema id {schema_id} is no Avro schema")
        return schema

    def id_of(self, record: type[Any]) -> int:
        """The id of a record's current schema. EngineError when it is not registered."""
        subject = next(subject for subject, kind in subjects(self._names).items() if kind is record)
        found = self.registered(subject, record)
        if found is None:
            raise EngineError(
                f"{self.url}: {subject} does not hold the current schema of {record.__name__}",
                "`tideline topology apply` registers it",
            )
        return found

    def registered(self, subject: str, record: type[Any]) -> int | None:
        """The id of a record's current schema under a subject; None when it is not registered there."""
        answer = self._ask("POST", f"/subjects/{quote(subject)}", {"schema": source(record)})
        return None if answer is None else int(answer["id"])

    def register(self, subject: str, record: type[Any]) -> None:
        """Register a record's current schema under a subject; nothing changes when it is there already."""
        self._ask("POST", f"/subjects/{quote(subject)}/versions", {"schema": source(record)})

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request; None when what it asks for is not there."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, data, self._headers, method=method)  # noqa: S310 - checked above
        try:
            with urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
                return json.load(response)
        except HTTPError as error:
            if error.code == _NOT_FOUND:
                return None
            says = f"{self.url}{path}: {error.code} {error.read(500).decode(errors='replace')}"
            if error.code >= 500:
                raise Unavailable(says) from error
            raise EngineError(says, "the registry refuses it; nothing was registered") from error
        except (URLError, OSError, ValueError) as error:
            raise Unavailable(f"{self.url}: {error}", "TIDELINE_SCHEMA_REGISTRY_URL names it") from error
