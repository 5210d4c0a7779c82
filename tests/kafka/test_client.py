"""Where security settings come from, and that each client is given the same."""

import base64
import json
import time

import pytest
from aiokafka.client import AIOKafkaClient
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

from pipeline.auth import oauth, oauth_aio
from pipeline.errors import ConfigError
from pipeline.kafka import client
from pipeline.runtime import apps

SCRAM = {
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": "workers",
    "sasl.password": "a=b # c",
}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "client.properties"


def written(file, properties):
    file.write_text("# who we are\n\n" + "".join(f"{name} = {value}\n" for name, value in properties.items()))
    return file


def test_a_file_in_properties_syntax_is_read_as_it_is(file):
    security = client.read(written(file, SCRAM))

    assert security.properties == SCRAM
    assert security.user == "workers"


def test_the_password_of_the_environment_counts_first(file):
    security = client.read(written(file, SCRAM), "other")

    assert security.properties["sasl.password"] == "other"


def test_no_password_is_shown_by_accident(file):
    assert "a=b" not in repr(client.read(written(file, SCRAM)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sasl.passwort": "x"}, ":7: sasl.passwort: unknown"),
        ({"security.protocol": "TLS"}, ": security.protocol: TLS"),
        ({"security.protocol": "SSL"}, ": sasl.mechanism: SSL has none"),
        ({"sasl.mechanism": "GSSAPI"}, ": sasl.mechanism: GSSAPI"),
        ({"sasl.mechanism": "OAUTHBEARER"}, ": sasl.oauthbearer.token.endpoint.url: is missing"),
        ({"sasl.password": ""}, ": sasl.password: is missing"),
        ({"ssl.ca.location": "/nowhere.pem"}, ": ssl.ca.location: /nowhere.pem is no file"),
    ],
)
def test_what_cannot_be_used_is_refused_with_file_and_name(file, changed, message):
    with pytest.raises(ConfigError) as refused:
        client.read(written(file, SCRAM | changed))

    assert refused.value.message == f"{file}{message}"


def test_a_file_that_is_not_there_is_one_line(file):
    with pytest.raises(ConfigError, match="No such file"):
        client.read(file)


def test_all_three_clients_take_them_and_those_of_other_addresses_get_nothing(file):
    client.use("broker:9092", client.read(written(file, SCRAM)))

    AdminClient(client.settings("broker:9092") | {"log_level": 0})
    assert client.settings("broker:9092") == SCRAM | {"bootstrap.servers": "broker:9092"}
    assert client.settings("other:9092") == {"bootstrap.servers": "other:9092"}
    assert AIOKafkaClient.__init__.__kwdefaults__.keys() >= client.aio("broker:9092").keys()
    assert client.aio("broker:9092")["sasl_plain_password"] == "a=b # c"
    assert client.aio("other:9092")["security_protocol"] == "PLAINTEXT"
    faust = apps._credentials("broker:9092")
    assert (faust.protocol.value, faust.mechanism.value) == ("SASL_PLAINTEXT", "SCRAM-SHA-512")
    assert (faust.username, faust.password) == ("workers", "a=b # c")
    assert apps._credentials("other:9092") is None


async def test_a_token_in_a_file_is_passed_on_to_both_clients(file, tmp_path):
    claims = base64.urlsafe_b64encode(json.dumps({"exp": time.time() + 3600}).encode()).decode().rstrip("=")
    token = tmp_path / "token"
    token.write_text(f"x.{claims}.y\n")
    url = {"sasl.oauthbearer.token.endpoint.url": token.as_uri()}
    client.use(
        "oauth:9092",
        client.read(
            written(file, {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER"} | url)
        ),
    )

    settings = client.settings("oauth:9092")
    AdminClient({**settings, "log_level": 0})
    text, expires = settings["oauth_cb"]("")
    assert (text, round(expires - time.time(), -2)) == (f"x.{claims}.y", 3600)
    assert await client.aio("oauth:9092")["sasl_oauth_token_provider"].token() == text
    assert apps._credentials("oauth:9092").protocol.value == "SASL_PLAINTEXT"


async def test_a_token_is_asked_for_again_when_it_is_about_to_expire(tmp_path):
    token = tmp_path / "token"
    provider = oauth_aio.Provider(oauth.TokenSource(token.as_uri()))
    soon = base64.urlsafe_b64encode(json.dumps({"exp": time.time() + 5}).encode()).decode()
    token.write_text(f"x.{soon}.y")

    first = await provider.token()
    token.write_text("opaque")

    assert first != "opaque"
    assert await provider.token() == "opaque"
    token.write_text("newer")
    assert await provider.token() == "opaque"


def test_tokens_are_never_asked_for_in_clear_text():
    with pytest.raises(ValueError, match="neither"):
        oauth.TokenSource("http://provider/token", "id", "secret").token()


DOWN = KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")
NOBODY = KafkaError(KafkaError._TRANSPORT, "h:1/bootstrap: Connect to ipv4#h:1 failed: Connection refused")
BROKEN = KafkaError(
    KafkaError._TRANSPORT, "h:1/bootstrap: error:0A000086:SSL routines::certificate verify failed"
)


@pytest.mark.parametrize(
    ("heard", "away"),
    [
        ([], False),
        ([NOBODY], False),
        ([NOBODY, DOWN], True),
        ([BROKEN, DOWN], False),
        ([DOWN, BROKEN], False),
    ],
)
def test_a_handshake_that_is_told_as_a_broken_connection_is_no_broker_that_is_away(heard, away):
    """On a busy machine a third of the handshakes that fail are told like this first."""
    assert client._away(heard) is away
