"""Where Kafka is and how to log in there: every Kafka client of a process is built from `settings` or `aio`.

Security settings are read from a file in the properties format, under librdkafka's own names, and belong to
one address: a client of another cluster is never given them. Passwords are in that file or in the
environment, never on a command line.
"""

import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from pipeline.auth import oauth
from pipeline.errors import ConfigError, EngineError

KNOWN = (
    "security.protocol",
    "sasl.mechanism",
    "sasl.username",
    "sasl.password",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.scope",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.endpoint.identification.algorithm",
)
"""What both clients understand, librdkafka's and aiokafka's: a setting for one of them would leave half of a
stage outside.
"""

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")

_KNOCK_S = 5.0
_REFUSALS = {
    KafkaError._AUTHENTICATION: "it refuses the password",
    KafkaError._SSL: "no TLS connection",
}

_HANDSHAKE = "SSL routines"
"""OpenSSL's name for where a handshake failed, in what librdkafka tells of it."""

UNAUTHORIZED = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
)
"""The broker knows who we are, and that we may not."""


@dataclass(frozen=True, slots=True)
class Security:
    """How to log in, as `KNOWN` names it. Empty: no TLS and nobody to log in as."""

    properties: Mapping[str, str] = field(default_factory=dict, repr=False)  # it has a password

    @property
    def user(self) -> str:
        """Whom we say we are; empty where the certificate or the token tells."""
        return self.properties.get("sasl.username", "")

    @property
    def authenticates(self) -> bool:
        """Whether the broker knows who we are."""
        p = self.properties
        return p.get("security.protocol", "").startswith("SASL_") or "ssl.certificate.location" in p

    @property
    def oauth(self) -> "oauth.TokenSource | None":
        """Where tokens come from; None unless the mechanism is OAUTHBEARER."""
        p = self.properties
        if p.get("sasl.mechanism") != "OAUTHBEARER":
            return None
        return oauth.TokenSource(
            p.get("sasl.oauthbearer.token.endpoint.url", ""),
            p.get("sasl.oauthbearer.client.id", ""),
            p.get("sasl.oauthbearer.client.secret", ""),
            p.get("sasl.oauthbearer.scope", ""),
        )

    def context(self) -> ssl.SSLContext | None:
        """TLS as aiokafka and Faust take it; None without TLS."""
        p = self.properties
        if not p.get("security.protocol", "").endswith("SSL"):
            return None
        context = ssl.create_default_context(cafile=p.get("ssl.ca.location"))
        context.check_hostname = p.get("ssl.endpoint.identification.algorithm") != "none"
        if "ssl.certificate.location" in p:
            context.load_cert_chain(
                p["ssl.certificate.location"], p.get("ssl.key.location"), p.get("ssl.key.password")
            )
        return context


_OPEN = Security()
_security: dict[str, Security] = {}


def use(bootstrap: str, security: Security) -> None:
    """From now on clients of this address log in like this."""
    _security[bootstrap] = security


def security_of(bootstrap: str) -> Security:
    """How clients of this address log in."""
    return _security.get(bootstrap, _OPEN)


def settings(bootstrap: str) -> dict[str, Any]:
    """What every client of librdkafka's is given first."""
    security = security_of(bootstrap)
    found: dict[str, Any] = {"bootstrap.servers": bootstrap}
    found |= {k: v for k, v in security.properties.items() if not k.startswith("sasl.oauthbearer.")}
    if source := security.oauth:
        found["oauth_cb"] = lambda _: source.token()
    return found


def aio(bootstrap: str) -> dict[str, Any]:
    """The same for clients of aiokafka's."""
    security = security_of(bootstrap)
    p = security.properties
    source = security.oauth
    return {
        "bootstrap_servers": bootstrap,
        "security_protocol": p.get("security.protocol", "PLAINTEXT"),
        "ssl_context": security.context(),
        "sasl_mechanism": p.get("sasl.mechanism", "PLAIN"),
        "sasl_plain_username": p.get("sasl.username"),
        "sasl_plain_password": p.get("sasl.password"),
        "sasl_oauth_token_provider": _provider(source) if source else None,
    }


def _provider(source: oauth.TokenSource) -> Any:
    from pipeline.auth.oauth_aio import Provider  # with aiokafka, which most commands do without

    return Provider(source)


def read(file: Path, password: str = "") -> Security:
    """What a file says, with this password in place of the file's. Raises ConfigError with file and line."""
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}", "TIDELINE_KAFKA_CONFIG names it") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith(("#", "!")):
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or name not in KNOWN:
            what = f"{name}: unknown" if equals else "is not NAME=VALUE"
            raise ConfigError(f"{file}:{number}: {what}", f"known are {', '.join(KNOWN)}")
        found[name] = value
    if password:
        found["sasl.password"] = password
    _check(file, found)
    return Security(found)


def _check(file: Path, found: Mapping[str, str]) -> None:
    protocol, mechanism = found.get("security.protocol"), found.get("sasl.mechanism")
    sasl = (protocol or "").startswith("SASL_")
    _one_of(file, "security.protocol", protocol, PROTOCOLS)
    if sasl:
        _one_of(file, "sasl.mechanism", mechanism, MECHANISMS)
    elif mechanism is not None:
        raise ConfigError(f"{file}: sasl.mechanism: {protocol} has none", "security.protocol=SASL_SSL")
    oauth_ = ("sasl.oauthbearer.token.endpoint.url",)
    wanted = oauth_ if mechanism == "OAUTHBEARER" else ("sasl.username", "sasl.password")
    for name in wanted if sasl else ():
        if not found.get(name):
            raise ConfigError(f"{file}: {name}: is missing", f"{mechanism} needs it")
    for name in ("ssl.ca.location", "ssl.certificate.location", "ssl.key.location"):
        if name in found and not Path(found[name]).is_file():
            raise ConfigError(f"{file}: {name}: {found[name]} is no file", "name a PEM file")


def _one_of(file: Path, name: str, value: str | None, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"{file}: {name}: {value or 'is missing'}", f"one of {', '.join(known)}")


def knock(bootstrap: str) -> None:
    """Raises EngineError at once when Kafka refuses who we are, or we refuse its certificate.

    librdkafka tries again for ever, which is right for a stage whose broker comes back and wrong for a
    password. A broker that is away is not looked into: whoever asks it next says so.
    """
    if not security_of(bootstrap).properties:
        return
    heard: list[KafkaError] = []
    asked = settings(bootstrap) | {"error_cb": heard.append, "log_level": 0}
    client = AdminClient(asked)
    deadline = time.monotonic() + _KNOCK_S
    while time.monotonic() < deadline:
        try:
            client.list_topics(timeout=0.2)
        except KafkaException:
            client.poll(0)
        else:
            return
        for error in heard:
            if error.code() in _REFUSALS:
                raise refused(bootstrap, error)
        if _away(heard):
            return


def _away(heard: Sequence[KafkaError]) -> bool:
    """Whether no broker is there, by what librdkafka told so far.

    A handshake that fails is now and then told as a broken connection first, which would be a broker that is
    away, and as what it is with the next attempt.
    """
    return any(one.code() == KafkaError._ALL_BROKERS_DOWN for one in heard) and not any(
        _HANDSHAKE in one.str() for one in heard
    )


def refused(bootstrap: str, error: KafkaError) -> EngineError:
    """One line for a login that failed. librdkafka's text begins with its own name for the broker."""
    reason = error.str().rpartition("/bootstrap: ")[2].partition(" (after ")[0].partition(" (install ")[0]
    user = security_of(bootstrap).user if error.code() == KafkaError._AUTHENTICATION else ""
    return EngineError(
        f"Kafka at {bootstrap}: {_REFUSALS[error.code()]}{user and f' of {user}'}: {reason}",
        "see the file that TIDELINE_KAFKA_CONFIG names: sasl.username, sasl.password, ssl.ca.location",
    )


def hint(error: KafkaError, other: str = "`tideline status` tells whether Kafka is up") -> str:
    """The next command after an error of the broker."""
    return "`tideline topology acls --all` tells who may" if error.code() in UNAUTHORIZED else other
