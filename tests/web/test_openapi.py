"""The document is OpenAPI 3.1, has every route, and says of answers what they are."""

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from pipeline.domain.page_request import MAX_LIMIT
from tests.web.server import AUTHOR, READER, SPEC, TIMELINE, Server


@pytest.fixture
async def document(server):
    return (await server.get("/v1/openapi.json", None)).body


async def test_the_document_is_openapi_with_tokens_and_without(server, open_server):
    """By the official schema; one that asks for no token does not say it does."""
    for one, tokens in ((server, True), (open_server, False)):
        document = (await one.get("/v1/openapi.json")).body

        validate(document)
        assert document["openapi"].startswith("3.1.")
        assert ("securitySchemes" in document["components"]) == tokens
        assert ("401" in operation(document)["responses"]) == tokens


def operation(document, path="/v1/readers/{reader_id}/timeline"):
    return document["paths"][path]["get"]


async def test_every_route_is_in_the_document(server, document):
    """And no other."""
    routes = {route.resource.canonical for route in server.app.router.routes()}

    assert document["paths"].keys() == routes


async def test_bounds_are_those_of_the_code(document):
    """Of a page, and of its time."""
    schemas = {one["name"]: one["schema"] for one in operation(document)["parameters"]}

    assert schemas["limit"]["maximum"] == MAX_LIMIT
    assert schemas["Request-Timeout-Ms"]["maximum"] == SPEC.deadline_max_ms


def holds(document, name, value):
    """Check a value against a schema of the document."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    Draft202012Validator(schema).validate(value)


async def test_answers_are_as_the_document_says(server, document):
    """Each kind, with everything in it that can be."""
    media = ({"kind": "image", "url": "https://tideline.example/1"},)
    post = await server.publish(media=media)
    for _ in range(2):
        await server.publish()

    holds(document, "Page", (await server.get(f"{TIMELINE}?limit=2&explain=1")).body)
    holds(document, "Page", (await server.get(TIMELINE)).body)
    holds(document, "Page", (await server.get(f"{TIMELINE}?mode=ranked&explain=1")).body)
    holds(document, "Post", (await server.get(f"/v1/posts/{post}")).body)
    holds(document, "Following", (await server.get(f"/v1/readers/{READER}/following/{AUTHOR}")).body)
    holds(document, "Alive", (await server.get("/healthz")).body)
    holds(document, "Problem", (await server.get("/nowhere")).body)


async def test_every_id_is_text(document):
    """In parameters as in answers: a generated client keeps no id in a number."""
    parameters = [
        one
        for path in document["paths"].values()
        for one in path["get"]["parameters"]
        if one["name"].endswith("_id")
    ]
    answers = [
        (name, schema)
        for one in document["components"]["schemas"].values()
        for name, schema in one["properties"].items()
        if name.endswith("_id")
    ]

    assert len(parameters) >= 5
    assert {one["schema"]["type"] for one in parameters} == {"string"}
    assert {schema["type"] for _, schema in answers} == {"string"}


@pytest.mark.parametrize("produced", ["friends", "Public", "x" * 1000])
async def test_what_was_produced_with_an_unknown_visibility_is_shown_as_private(server, document, produced):
    """Before it was refused, that is: to its author, whom alone it is shown to."""
    post = await server.publish(author=READER, visibility=produced)

    found = (await server.get(f"/v1/posts/{post}")).body

    holds(document, "Post", found)
    assert found["visibility"] == "private"


async def test_every_refusal_is_in_the_document(document):
    """With the headers that belong to it."""
    responses = operation(document, "/v1/posts/{post_id}")["responses"]

    assert responses.keys() == {"200", "304", "400", "401", "403", "404", "413", "429", "500", "503"}
    named = document["components"]["responses"]
    assert "Retry-After" in named["TooManyRequests"]["headers"]
    assert "WWW-Authenticate" in named["Unauthorized"]["headers"]


async def test_a_reader_must_be_named_where_no_token_does():
    """For a post."""
    for keys in (None, ...):
        async with Server(**({} if keys is ... else {"keys": keys})) as server:
            document = (await server.get("/v1/openapi.json")).body
        named = {
            one["name"]: one["required"] for one in operation(document, "/v1/posts/{post_id}")["parameters"]
        }

        assert named["reader_id"] == (keys is None)
