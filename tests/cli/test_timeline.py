"""`tideline timeline` against an instance whose API is a small server of this test."""

import json
import os
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

import psutil
import pytest
from typer.testing import CliRunner

from pipeline import cli
from pipeline.auth import home_keys
from pipeline.auth.tokens import Caller
from pipeline.config.settings import Settings
from pipeline.errors import TidelineError
from pipeline.local import instance
from pipeline.local.instance import Instance
from pipeline.local.process import Child

ITEM = {
    "post_id": "900000000000000001",
    "author_id": "7",
    "created_at": 1_800_000_000_000,
    "body": "one\nline [b]not markup[/b]",
    "path": "pull",
    "tier": "large",
}
PAGE = {"items": [ITEM], "next_cursor": "NEXT", "degraded": [], "lacks": []}


class Api(BaseHTTPRequestHandler):
    """Gives `answer` to everything and keeps what was asked."""

    answer = 200, PAGE
    asked: ClassVar[list[str]]
    shown: ClassVar[list[str | None]]

    def do_GET(self):
        self.asked.append(self.path)
        self.shown.append(self.headers["Authorization"])
        status, body = self.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def api():
    class OfThisTest(Api):
        asked: ClassVar[list[str]] = []
        shown: ClassVar[list[str | None]] = []

    with ThreadingHTTPServer(("127.0.0.1", 0), OfThisTest) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        OfThisTest.url = f"http://127.0.0.1:{server.server_port}"
        yield OfThisTest
        server.shutdown()


@pytest.fixture
def timeline(api, tmp_path):
    """`timeline(…)`: the command in a home where an instance runs: this process."""
    me = Child(os.getpid(), psutil.Process().create_time())
    instance.record(tmp_path, Instance(me, api.url, "default", "", "", "", ""))

    def run(*words):
        return CliRunner().invoke(cli.build(), ["timeline", *words, "--home", str(tmp_path)])

    return run


def test_a_page_is_a_table_and_says_how_to_go_on(timeline, api):
    result = timeline("42")

    assert api.asked == ["/v1/readers/42/timeline?limit=20"]
    assert "900000000000000001" in result.stdout
    assert "one line [b]not markup[/b]" in result.stdout
    assert "pull" not in result.stdout
    assert "--cursor NEXT" in result.stderr


def test_a_domain_is_asked_at_its_own_api(timeline, api, tmp_path):
    home = instance.find(tmp_path)
    instance.record(tmp_path, replace(home, api="http://127.0.0.1:1", domains={"notifications": api.url}))

    assert json.loads(timeline("42", "--domain", "notifications", "--json").stdout) == PAGE


def test_a_domain_that_does_not_run_says_how_to_start_it(timeline):
    result = timeline("42", "--domain", "notifications")

    assert isinstance(result.exception, TidelineError)
    assert result.exception.hint == "tideline run --domain notifications"


def test_limit_cursor_and_explain_are_passed_on(timeline, api):
    result = timeline("42", "--limit", "5", "--cursor", "a=b", "--explain")

    assert api.asked == ["/v1/readers/42/timeline?limit=5&cursor=a%3Db&explain=1"]
    assert "pull" in result.stdout


def test_a_ranked_page_shows_its_scores_and_what_it_lacks(timeline, api):
    api.answer = 200, PAGE | {"items": [ITEM | {"score": 1.234, "parts": {"age": 1.234}}], "lacks": ["77"]}

    result = timeline("42", "--mode", "ranked", "--explain")

    assert api.asked == ["/v1/readers/42/timeline?limit=20&mode=ranked&explain=1"]
    assert "large" in result.stdout
    assert "1.23" in result.stdout
    assert "lacks posts of: 77" in result.stderr


def test_json_is_the_page_as_it_came(timeline):
    assert json.loads(timeline("42", "--json").stdout) == PAGE


def test_the_readers_token_is_shown_where_keys_are_known(timeline, api, tmp_path, monkeypatch):
    """Those of the home; without any the command asks as it is."""
    monkeypatch.delenv("TIDELINE_TOKEN_KEYS", raising=False)
    timeline("42")
    home_keys.token_keys(tmp_path)
    timeline("42")

    nothing, header = api.shown
    keys = home_keys.tokens_of(Settings(home=tmp_path))
    assert nothing is None
    assert keys.verify(header.removeprefix("Bearer ")) == Caller(42)


def test_the_reason_of_the_api_is_the_reason_of_the_command(timeline, api):
    api.answer = 400, {"title": "Bad Request", "detail": "limit: must be an integer from 1 to 100"}

    result = timeline("42", "--limit", "1000000000")

    assert isinstance(result.exception, TidelineError)
    assert result.exception.message == "400 Bad Request: limit: must be an integer from 1 to 100"


def test_without_an_instance_it_says_how_to_start_one(tmp_path):
    result = CliRunner().invoke(cli.build(), ["timeline", "42", "--home", str(tmp_path)])

    assert isinstance(result.exception, TidelineError)
    assert "tideline run" in result.exception.hint
