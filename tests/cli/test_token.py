"""`tideline token`: a token on stdout, and nothing else."""

import time

import jwt
import pytest
from typer.testing import CliRunner

from pipeline import cli
from pipeline.auth import home_keys
from pipeline.auth.tokens import Caller
from pipeline.config.settings import Settings
from pipeline.errors import ConfigError, TidelineError


@pytest.fixture
def token(tmp_path, monkeypatch):
    """`token(…)`: the command in an empty home."""
    monkeypatch.delenv("TIDELINE_TOKEN_KEYS", raising=False)
    return lambda *words: CliRunner().invoke(cli.build(), ["token", *words, "--home", str(tmp_path)])


@pytest.mark.parametrize(("words", "operator"), [([], False), (["--operator"], True)])
def test_a_token_is_signed_with_the_key_of_the_home(token, tmp_path, words, operator):
    """For the reader it names."""
    home_keys.token_keys(tmp_path)

    result = token("42", *words)

    keys = home_keys.tokens_of(Settings(home=tmp_path, token_keys=""))
    assert keys.verify(result.stdout.strip()) == Caller(42, operator)


def test_a_token_is_valid_for_as_long_as_asked(token, tmp_path):
    """An hour without a word."""
    home_keys.token_keys(tmp_path)

    lives = [
        jwt.decode(token("42", *words).stdout.strip(), options={"verify_signature": False})["exp"]
        - time.time()
        for words in ([], ["--minutes", "5"])
    ]

    assert lives == [pytest.approx(3_600, abs=10), pytest.approx(300, abs=10)]


def test_given_keys_come_first(token, tmp_path, monkeypatch):
    """And the first of them signs."""
    home_keys.token_keys(tmp_path)
    monkeypatch.setenv("TIDELINE_TOKEN_KEYS", f"new:{'n' * 32},old:{'o' * 32}")

    assert jwt.get_unverified_header(token("42").stdout.strip())["kid"] == "new"


def test_without_keys_it_says_how_to_get_some(token):
    """It makes none itself: an API that runs elsewhere would not know them."""
    result = token("42")

    assert isinstance(result.exception, TidelineError)
    assert "TIDELINE_TOKEN_KEYS" in result.exception.hint


def test_keys_that_cannot_be_used_are_named(token, monkeypatch):
    """Without their secret."""
    monkeypatch.setenv("TIDELINE_TOKEN_KEYS", "k1:hunter2")

    result = token("42")

    assert isinstance(result.exception, ConfigError)
    assert "TIDELINE_TOKEN_KEYS" in result.exception.message
    assert "hunter2" not in result.exception.message + result.exception.hint


@pytest.mark.parametrize("words", [["0"], ["-1"], [str(2**63)], ["seven"], ["42", "--minutes", "0"], []])
def test_what_is_no_reader_or_no_time_is_wrong_usage(token, words):
    """Exit code 2."""
    assert token(*words).exit_code == 2
