"""The API as an OpenAPI 3.1 document, made of the bounds that the code itself uses.

Served at /v1/openapi.json. Tests hold it against the specification, and a running API against it.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pipeline.domain.page_request import DEFAULT_LIMIT, MAX_LIMIT
from pipeline.topology import ApiSpec
from pipeline.web import reads, request_ids
from pipeline.web.schemas import ID, SCHEMAS
from pipeline.wire.enums import FeedMode

VERSION = "1.0.0"

Node = dict[str, Any]

_NUMBER: Node = {"type": "integer", "minimum": 1}
_ALWAYS = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.INTERNAL_SERVER_ERROR)
_READS = (
    *(HTTPStatus.BAD_REQUEST, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE),
    *_ALWAYS,
)
_TOKENS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def document(spec: ApiSpec, *, with_tokens: bool) -> Node:
    """The document of an API with these bounds. `with_tokens`: readers have to show one."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tideline",
            "version": VERSION,
            "summary": "Home feeds, a page at a time.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "read", "description": "What readers read."},
            {"name": "run", "description": "For those who run it; no token."},
        ],
        "paths": _reads(spec, with_tokens=with_tokens) | _runs(),
        "components": {
            "schemas": SCHEMAS,
            "responses": {_name(status): _problem(status) for status in (*_READS, *_TOKENS, _NOT_FOUND)},
            **({"securitySchemes": {"readerToken": _TOKEN}} if with_tokens else {}),
        },
    }


_NOT_FOUND = HTTPStatus.NOT_FOUND
_TOKEN: Node = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "`sub` is the reader. Operators (`roles: [operator]`) read for anyone, unlimited.",
}


def _reads(spec: ApiSpec, *, with_tokens: bool) -> Node:
    limit = _NUMBER | {"maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    mode = {"type": "string", "enum": list(FeedMode), "default": FeedMode.LATEST}
    deadline = _NUMBER | {"maximum": spec.deadline_max_ms, "default": spec.deadline_ms}
    asked = "For whom; by default the reader of the token."
    reader = _parameter("reader_id", "path", ID, "The reader.")
    read = _Read(with_tokens)
    return {
        "/v1/readers/{reader_id}/timeline": read.of(
            ("timeline", "A page of the reader's feed.", "Page"),
            reader,
            _parameter("limit", "query", limit, "Posts at most."),
            _parameter("cursor", "query", {"type": "string"}, "The next_cursor of the page before; opaque."),
            _parameter("mode", "query", mode, "The order of posts."),
            _parameter("explain", "query", {"type": "integer", "enum": [0, 1]}, "1: say how posts came."),
            _parameter(reads.TIMEOUT, "header", deadline, "How long the page may take, in ms."),
        ),
        "/v1/readers/{reader_id}/following/{author_id}": read.of(
            ("following", "How the reader stands to an author.", "Following"),
            reader,
            _parameter("author_id", "path", ID, "The author."),
        ),
        "/v1/posts/{post_id}": read.of(
            ("post", "One post, as the reader may see it.", "Post"),
            _parameter("post_id", "path", ID, "The post."),
            _parameter("reader_id", "query", ID, asked, required=not with_tokens),
            also=_NOT_FOUND,
        ),
    }


@dataclass(frozen=True, slots=True)
class _Read:
    """What all reads have in common: tokens, conditional requests, refusals."""

    with_tokens: bool

    def of(self, named: tuple[str, str, str], *parameters: Node, also: HTTPStatus | None = None) -> Node:
        """A read: its operation, summary and schema; its parameters; a refusal that others do not have."""
        operation, summary, schema = named
        guards = _TOKENS if self.with_tokens else ()
        content = _json({"$ref": f"#/components/schemas/{schema}"})
        return {
            "get": {
                "operationId": operation,
                "summary": summary,
                "tags": ["read"],
                "security": [{"readerToken": []}] if self.with_tokens else [],
                "parameters": [*parameters, *_CONDITIONAL],
                "responses": {
                    "200": {"description": summary, "headers": _HEADERS, "content": content},
                    "304": _UNCHANGED,
                    **_refusals(*_READS, *guards, *([also] if also else [])),
                },
            }
        }


def _runs() -> Node:
    document = _run("openapi", "This document.", _json({"type": "object"}))
    document["get"]["parameters"] = _CONDITIONAL
    document["get"]["responses"] |= {"304": _UNCHANGED}
    return {
        "/healthz": _run("healthz", "It is alive.", _json({"$ref": "#/components/schemas/Alive"})),
        "/v1/openapi.json": document,
    }


def _run(operation: str, summary: str, content: Node) -> Node:
    return {
        "get": {
            "operationId": operation,
            "summary": summary,
            "tags": ["run"],
            "security": [],
            "parameters": [_REQUEST_ID],
            "responses": {
                "200": {"description": summary, "headers": _NAMED, "content": content},
                **_refusals(*_ALWAYS),
            },
        }
    }


def _json(schema: Node) -> Node:
    return {"application/json": {"schema": schema}}


def _parameter(name: str, place: str, schema: Node, description: str, *, required: bool = False) -> Node:
    always = required or place == "path"
    return {"name": name, "in": place, "required": always, "schema": schema, "description": description}


_REQUEST_ID = _parameter(
    request_ids.HEADER, "header", {"type": "string"}, "A name for this request; one is made without it."
)
_CONDITIONAL = [
    _REQUEST_ID,
    _parameter("If-None-Match", "header", {"type": "string"}, "The ETag of what the client has."),
]
_NAMED: Node = {request_ids.HEADER: {"required": True, "schema": {"type": "string"}}}
_HEADERS: Node = {
    **_NAMED,
    "ETag": {"required": True, "schema": {"type": "string"}},
    "Cache-Control": {"required": True, "schema": {"type": "string"}},
    "Vary": {"required": True, "schema": {"type": "string"}},
}
_UNCHANGED: Node = {"description": "The client has it.", "headers": _HEADERS}
_ON_REFUSAL: dict[HTTPStatus, str] = {
    HTTPStatus.UNAUTHORIZED: "WWW-Authenticate",
    HTTPStatus.TOO_MANY_REQUESTS: "Retry-After",
    HTTPStatus.SERVICE_UNAVAILABLE: "Retry-After",
}


def _refusals(*statuses: HTTPStatus) -> Node:
    return {
        str(status.value): {"$ref": f"#/components/responses/{_name(status)}"} for status in sorted(statuses)
    }


def _name(status: HTTPStatus) -> str:
    return status.phrase.replace(" ", "")


def _problem(status: HTTPStatus) -> Node:
    extra = _ON_REFUSAL.get(status)
    headers = _NAMED | ({extra: {"required": True, "schema": {"type": "string"}}} if extra else {})
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": status.phrase, "headers": headers, "content": content}
