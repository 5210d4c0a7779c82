"""The API as it is by default, asking for tokens: a process of its own beside the instance's, which asks for none."""

import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jwt
import pytest

from pipeline.auth import tokens
from pipeline.auth.tokens import Caller
from pipeline.config import shipped
from pipeline.local import lifeline
from tests.engines import events
from tests.engines.harness import REPOSITORY, START_S, Answer, Instance
from tests.waiting import eventually
from tests.web.fuzz import fuzz

SECRET = "s" * 64
KEYS = tokens.parse(f"k1:{SECRET}")
EXAMPLES = 60
"""Some 600 requests: 20 s on two busy cores."""

RATE = "rate_per_second: 10 "


@dataclass(frozen=True)
class Api:
    """A process that serves the feeds of an instance to those who show a token."""

    address: str

    def get(self, path: str, token: str | None) -> Answer:
        """What it answers."""
        connection = http.client.HTTPConnection(self.address, timeout=30)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers["Content-Type"], json.loads(answer.read()))
        finally:
            connection.close()


@pytest.fixture(scope="module")
def api(instance: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """`tideline worker api` with the default profile and keys of this test; who has used up a burst waits."""
    home = tmp_path_factory.mktemp("api")
    topology = Path(shutil.copytree(shipped.folder("topology"), home / "topology"))
    bounds = (topology / "api.yaml").read_text()
    assert RATE in bounds
    (topology / "api.yaml").write_text(bounds.replace(RATE, "rate_per_second: 0.001"))
    found = instance.description()
    given = {
        "TIDELINE_HOME": str(home),
        "TIDELINE_KAFKA": found["kafka"],
        "TIDELINE_CASSANDRA": found["cassandra"],
        "TIDELINE_KEYSPACE": found["keyspace"],
        "TIDELINE_PROFILE": "default",
        "TIDELINE_TOPOLOGY": str(topology),
        "TIDELINE_TOKEN_KEYS": f"k1:{SECRET}",
        "TIDELINE_CURSOR_KEYS": f"k1:{SECRET}",
        "TIDELINE_PORT": "0",
        "TIDELINE_READY_FILE": str(home / "ready"),
        lifeline.VARIABLE: "1",
    }
    others = {name: value for name, value in os.environ.items() if not name.startswith("TIDELINE_")}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "worker", "api"],
            cwd=REPOSITORY,
            env={**others, **given},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
    try:
        yield Api(f"127.0.0.1:{eventually(lambda: port_told(home, process), START_S)}")
    finally:
        process.terminate()
        process.wait(60)


def port_told(home: Path, process: "subprocess.Popen[bytes]") -> int:
    if process.poll() is not None:
        raise RuntimeError((home / "log").read_text()[-4000:])
    ready = home / "ready"
    assert ready.exists()
    return int(json.loads(ready.read_bytes())["api"])


def test_readers_read_their_own_and_nobody_elses(instance: Instance, api: Api) -> None:
    author, reader = events.take(2)
    instance.publish(events.followed(author, reader), events.post(author, "for followers"))
    instance.settle()
    path = f"/v1/readers/{reader}/timeline"
    good = {"sub": str(reader), "aud": "tideline", "exp": int(time.time()) + 600}

    def signed(secret: str = SECRET, alg: str = "HS256", **changed: object) -> str:
        return jwt.encode(good | changed, secret, alg, headers={"kid": "k1"})

    assert [item["body"] for item in api.get(path, signed()).body["items"]] == ["for followers"]
    assert api.get(path, signed(sub="1", roles=["operator"])).status == 200
    refused = {
        "another reader's": (api.get(path, signed(sub=str(author))), 403),
        "expired": (api.get(path, signed(exp=int(time.time()) - 60)), 401),
        "none": (api.get(path, None), 401),
        "wrong key": (api.get(path, signed(secret="x" * 64)), 401),
        "alg none": (api.get(path, jwt.encode(good, None, "none", headers={"kid": "k1"})), 401),
        "wrong audience": (api.get(path, signed(aud="other")), 401),
    }
    for why, (answer, status) in refused.items():
        assert answer.status == status, why
        assert answer.content_type.startswith("application/problem+json")
        told = json.dumps(answer.body)
        assert not any(secret in told for secret in ("for followers", str(reader), str(author))), why


def test_whatever_is_asked_is_answered_as_the_document_says(instance: Instance, api: Api) -> None:
    """By an operator, who is not limited; no answer is a 5xx, each is in the document."""
    author, reader = events.take(2)
    instance.publish(events.followed(author, reader), *(events.post(author, f"post {n}") for n in range(3)))
    instance.settle()
    token = KEYS.sign(Caller(reader, operator=True), life_s=3_600)

    told = fuzz(f"http://{api.address}", EXAMPLES, {"Authorization": f"Bearer {token}"})

    statuses = {status for _, status in told}
    assert {200, 400, 404} <= statuses <= {200, 304, 400, 404}
    assert told.total() >= 5 * EXAMPLES


def test_who_asks_too_often_is_told_to_wait(api: Api) -> None:
    """Fifty at once, as shipped."""
    (reader,) = events.take(1)
    token, path = KEYS.sign(Caller(reader), life_s=600), f"/v1/readers/{reader}/following/5"

    assert [api.get(path, token).status for _ in range(51)] == [200] * 50 + [429]
