"""Who may read what: the reader whose token it is, operators, and nobody else; and a refusal says nothing."""

import base64
import json
import time

import jwt
import pytest
import structlog

from pipeline.auth.tokens import Caller, parse
from tests.web.server import AUTHOR, KEYS, READER, STRANGER, TIMELINE, Server, problem

SECRET = "s" * 64
PATHS = [TIMELINE, f"/v1/readers/{READER}/following/{AUTHOR}", f"/v1/posts/5?reader_id={READER}"]


def signed(claims=None, *, secret=SECRET, kid="k1", alg="HS256"):
    """A token as a stranger would make one; by default one that is good."""
    good = {"sub": str(READER), "aud": "tideline", "exp": int(time.time()) + 60}
    merged = {name: value for name, value in (good | (claims or {})).items() if value is not None}
    return jwt.encode(merged, secret, alg, headers={"kid": kid})


def unsigned(alg):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    claims = {"sub": str(READER), "aud": "tideline", "exp": int(time.time()) + 60}
    return f"{part({'alg': alg, 'kid': 'k1'})}.{part(claims)}.{'' if alg == 'none' else 'AAAA'}"


REFUSED = {
    "none": None,
    "expired": signed({"exp": int(time.time()) - 60}),
    "not yet": signed({"nbf": int(time.time()) + 3_600}),
    "wrong key": signed(secret="x" * 32),
    "unknown kid": signed(kid="k2"),
    "alg none": unsigned("none"),
    "alg RS256": unsigned("RS256"),
    "alg HS512": signed(alg="HS512"),
    "wrong audience": signed({"aud": "other"}),
    "no audience": signed({"aud": None}),
    "no expiry": signed({"exp": None}),
    "no subject": signed({"sub": None}),
    "no reader": signed({"sub": "root"}),
    "nonsense": "nonsense",
    "not ASCII": "ä.b.c",
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("token", REFUSED.values(), ids=REFUSED)
async def test_a_token_that_proves_nothing_is_401_and_nothing_is_told(server, path, token):
    """Each the same, but for a challenge that says whether there was a token; no post, no id, no reason."""
    await server.publish()

    answer = await server.get(path, token)

    body = problem(answer, 401)
    assert body["detail"] == "show a valid bearer token in the Authorization header"
    challenge = 'Bearer realm="tideline"' + (', error="invalid_token"' if token else "")
    assert answer.headers["WWW-Authenticate"] == challenge
    assert "ETag" not in answer.headers
    assert server.requests == []


@pytest.mark.parametrize("path", PATHS)
async def test_another_readers_token_is_403_and_nothing_is_told(server, path):
    """Whether the reader, the author or the post exists is the same answer."""
    await server.publish()

    answer = await server.get(path, KEYS.sign(Caller(STRANGER), life_s=60))

    assert problem(answer, 403)["detail"] == "this token is not this reader's"
    assert server.requests == []


@pytest.mark.parametrize("path", PATHS[:2])
async def test_the_readers_own_token_and_an_operators_are_served(server, path):
    """An operator reads for anyone."""
    assert (await server.get(path)).status == 200
    assert (await server.get(path, KEYS.sign(Caller(1, operator=True), life_s=60))).status == 200


@pytest.mark.parametrize(
    "header",
    ["{}", "Basic {}", "Bearer", "Bearer ", "Token {}", "Bearer {0} {0}", "Bearer\t{}", ", Bearer {}"],
)
async def test_a_header_of_another_form_is_401(server, header):
    """Only `Bearer TOKEN`."""
    problem(await server.get(TIMELINE, None, Authorization=header.format(signed())), 401)


async def test_two_tokens_are_401(server):
    """Whatever stands before us may look at the other one."""
    both = [f"Bearer {signed()}", f"Bearer {signed()}"]

    problem(await server.get(TIMELINE, None, Authorization=both), 401)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_is_read_in_any_case(server, scheme):
    """As every scheme of HTTP is."""
    assert (await server.get(TIMELINE, None, Authorization=f"{scheme} {signed()}")).status == 200


@pytest.mark.parametrize("name", ["access_token", "token", "authorization"])
async def test_a_token_in_the_address_is_not_looked_at(server, name):
    """Addresses end up in logs."""
    problem(await server.get(f"{TIMELINE}?{name}={signed()}", None), 401)


@pytest.mark.parametrize("path", ["/v1/readers/seven/timeline", "/v1/posts/5?reader_id=7&reader_id=8"])
async def test_who_shows_no_token_hears_of_nothing_else(server, path):
    """What is wrong with the rest is told to those who may ask."""
    problem(await server.get(path, None), 401)


async def test_a_token_is_never_logged(server):
    """Why it was refused is, with the request."""
    token = REFUSED["wrong key"]
    with structlog.testing.capture_logs() as logs:
        await server.get(TIMELINE, token)

    assert [line["event"] for line in logs] == ["api.token_refused"]
    assert "Signature" in logs[0]["reason"]
    assert not any(part in str(logs) for part in token.split("."))


async def test_keys_are_changed_while_readers_read():
    """The old token and the new one are both good until the old key is gone."""
    new = "n" * 32
    async with Server(keys=parse(f"k2:{new},k1:{SECRET}")) as server:
        old, fresh = signed(), server.keys.sign(Caller(READER), life_s=60)

        assert jwt.get_unverified_header(fresh)["kid"] == "k2"
        assert [(await server.get(TIMELINE, token)).status for token in (old, fresh)] == [200, 200]
    async with Server(keys=parse(f"k2:{new}")) as server:
        assert [(await server.get(TIMELINE, token)).status for token in (old, fresh)] == [401, 200]


async def test_a_post_is_looked_at_by_the_tokens_reader(server):
    """Unless the request names another, which only an operator may."""
    post = await server.publish(visibility="followers")
    operator = KEYS.sign(Caller(STRANGER, operator=True), life_s=60)

    assert (await server.get(f"/v1/posts/{post}")).status == 200
    assert (await server.get(f"/v1/posts/{post}", KEYS.sign(Caller(STRANGER), life_s=60))).status == 404
    assert (await server.get(f"/v1/posts/{post}", operator)).status == 404
    assert (await server.get(f"/v1/posts/{post}?reader_id={READER}", operator)).status == 200


async def test_where_nobody_shows_a_token_anybody_reads_for_anyone(open_server):
    """A post needs to know for whom."""
    post = await open_server.publish()

    assert (await open_server.get(TIMELINE)).status == 200
    assert (await open_server.get(TIMELINE, Authorization="Bearer nonsense")).status == 200
    assert (await open_server.get(f"/v1/posts/{post}?reader_id={READER}")).status == 200
    problem(await open_server.get(f"/v1/posts/{post}"), 400, "reader_id: ")


@pytest.mark.parametrize("path", ["/healthz", "/v1/openapi.json"])
async def test_what_tells_nothing_needs_no_token(server, path):
    """Balancers have none."""
    assert (await server.get(path, None)).status == 200


@pytest.mark.parametrize("path", ["/readyz", "/metrics", "/healthz"])
async def test_what_is_for_those_who_run_it_has_a_port_of_its_own(server, path):
    """Who can reach readers' pages cannot read the metrics, with no token either."""
    operator = KEYS.sign(Caller(READER, operator=True), life_s=60)

    assert (await server.get(path, None, beside=True)).status == 200
    assert (await server.get(path, operator)).status == (200 if path == "/healthz" else 404)
    assert (await server.get(TIMELINE, beside=True)).status == 404
