"""Tokens: those that were signed here for now prove who asks; everything else proves nothing."""

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.auth.tokens import LEEWAY_S, MAX_CHARACTERS, Caller, TokenError, TokenKeys, parse
from pipeline.errors import ConfigError

OLD, NEW, OTHER = "o" * 32, "n" * 32, "x" * 32
KEYS = parse(f"old:{OLD}")


def forged(claims=None, *, secret=OLD, kid="old", alg="HS256", **headers):
    """A token somebody else made; by default one that is as it must be."""
    good = {"sub": "7", "aud": "tideline", "exp": int(time.time()) + 60}
    merged = {name: value for name, value in (good | (claims or {})).items() if value is not None}
    return jwt.encode(merged, secret, alg, headers={"kid": kid} | headers)


def refused(token, keys=KEYS):
    with pytest.raises(TokenError) as caught:
        keys.verify(token)
    return str(caught.value)


def test_what_was_signed_is_verified():
    """The reader, and whether they are an operator."""
    for caller in (Caller(7), Caller(2**63 - 1, operator=True)):
        assert KEYS.verify(KEYS.sign(caller, life_s=60)) == caller


def test_another_service_may_sign():
    """Whoever knows a key: the claims are standard."""
    assert KEYS.verify(forged()) == Caller(7)
    assert KEYS.verify(forged({"roles": ["operator", "reviewer"]})) == Caller(7, operator=True)
    assert KEYS.verify(forged({"aud": ["others", "tideline"]})) == Caller(7)


@pytest.mark.parametrize(("seconds", "good"), [(-LEEWAY_S - 2, False), (-LEEWAY_S + 2, True), (2, True)])
def test_a_token_ends_a_few_seconds_after_its_time(seconds, good):
    """The clocks of two machines may be apart."""
    token = forged({"exp": int(time.time()) + seconds})

    assert KEYS.verify(token) if good else "Expired" in refused(token)


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": None},
        {"sub": 7},
        {"sub": "0"},
        {"sub": "seven"},
        {"sub": str(2**63)},
        {"aud": None},
        {"aud": "other"},
        {"aud": ["other"]},
        {"exp": None},
        {"exp": "never"},
        {"exp": [1]},
        {"nbf": 32_503_680_000},
        {"iat": 32_503_680_000},
        {"roles": "operator"},
        {"roles": {"operator": 1}},
    ],
)
def test_claims_that_are_missing_or_wrong_prove_nothing(claims):
    """Each alone, on a token that is signed as it must be."""
    assert refused(forged(claims))


def test_a_key_that_is_not_known_proves_nothing():
    """Nor a kid that is known with another secret, nor no kid."""
    assert "kid" in refused(forged(kid="other"))
    assert "Signature" in refused(forged(secret=OTHER))
    assert "kid" in refused(jwt.encode({"sub": "7"}, OLD, "HS256"))


def part(value):
    """A part of a token."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


CLAIMS = {"sub": "7", "aud": "tideline", "exp": 32_503_680_000}


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE"])
@pytest.mark.parametrize("signature", ["", "AAAA"])
def test_an_unsigned_token_proves_nothing(alg, signature):
    """`alg: none` in any case, with an empty signature or with any."""
    assert refused(f"{part({'alg': alg, 'kid': 'old'})}.{part(CLAIMS)}.{signature}")


@pytest.mark.parametrize("alg", ["HS384", "HS512"])
def test_another_algorithm_proves_nothing(alg):
    """Even with the right secret: what a token says never chooses how it is verified."""
    assert "alg" in refused(forged(alg=alg, secret=OLD * 2), parse(f"old:{OLD * 2}"))


@pytest.mark.parametrize("alg", ["RS256", "ES256", "PS256", "EdDSA"])
def test_a_token_that_says_it_is_asymmetric_proves_nothing(alg):
    """The confusion of RS256 with HS256: the signature is right for HMAC, the header says otherwise."""
    head = f"{part({'alg': alg, 'kid': 'old'})}.{part(CLAIMS)}"
    signature = hmac.new(OLD.encode(), head.encode(), hashlib.sha256).digest()

    assert refused(f"{head}.{part(signature)}")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "\udcff.b.c",
        "ä.b.c",
        f"{part(['no', 'object'])}.{part(CLAIMS)}.AAAA",
        f"{part({'alg': 'HS256', 'kid': ['old']})}.{part(CLAIMS)}.AAAA",
        f"{part({'alg': 'HS256', 'kid': 'old', 'crit': ['b64'], 'b64': False})}.{part(CLAIMS)}.AAAA",
        f"{part(b'[' * 1_000)}.{part(CLAIMS)}.AAAA",
        "a" * MAX_CHARACTERS + ".b.c",
    ],
)
def test_what_is_no_token_proves_nothing(token):
    """Cut, of other characters, of another shape, too deep, too long."""
    assert refused(token)


@given(
    st.text()
    | st.from_regex(r"[A-Za-z0-9_-]{1,40}\.[A-Za-z0-9_-]{1,40}\.[A-Za-z0-9_-]{0,40}", fullmatch=True)
)
def test_no_text_proves_anything(text):
    """And none raises anything else."""
    assert refused(text)


def test_keys_are_changed_without_a_refusal():
    """
    ::

        old            signs old
        new, old       signs new, both are verified: the old tokens run out
        new            the old key proves nothing any more
    """
    before, between, after = KEYS, parse(f"new:{NEW},old:{OLD}"), parse(f"new:{NEW}")
    old, new = before.sign(Caller(7), life_s=60), between.sign(Caller(7), life_s=60)

    assert between.verify(old) == between.verify(new) == after.verify(new) == Caller(7)
    assert "kid" in refused(old, after)
    assert "kid" in refused(new, before)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "key 1 is not kid:secret"),
        (OLD, "key 1 is not kid:secret"),
        (f":{OLD}", "key 1 is not kid:secret"),
        (f"a b:{OLD}", "key 1 is not kid:secret"),
        (f"old:{OLD},", "key 2 is not kid:secret"),
        (f"old:{OLD}é", "key 1 is not kid:secret"),
        (f"old:{OLD[1:]}", "the secret of old is too short"),
        (f"old:{OLD},old:{NEW}", "old is here twice"),
    ],
)
def test_keys_that_cannot_be_used_are_refused(text, reason):
    """With the reason, and without the secret."""
    with pytest.raises(ConfigError) as caught:
        parse(text)

    assert caught.value.message == f"TIDELINE_TOKEN_KEYS: {reason}"
    assert OLD[1:] not in caught.value.message + caught.value.hint


def test_keys_do_not_show_their_secrets():
    """Not in a log, not in a traceback."""
    assert OLD not in repr(KEYS)
    assert isinstance(KEYS, TokenKeys)
