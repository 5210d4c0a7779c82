"""Whom the commands and workers of a home log in as: as the settings say, else as the home's own files do."""

from pathlib import Path

from pipeline.auth import login
from pipeline.config.settings import Settings
from pipeline.kafka import client
from pipeline.local.home import SECURE, Endpoints

ADMIN = "admin"


def kafka_file(home: Path, user: str) -> Path:
    """How this user of a secured home logs in at its Kafka."""
    return home / SECURE / f"{user}.properties"


def cassandra_file(home: Path, user: str) -> Path:
    """How this user of a secured home logs in at its Cassandra."""
    return home / SECURE / f"{user}.cqlshrc"


def use(settings: Settings, endpoints: Endpoints) -> None:
    """Let every client of these engines log in. A home's own engines are asked as their administrator.

    Raises ConfigError when a file cannot be used.
    """
    kafka = settings.kafka_config
    if kafka is None and not settings.kafka:
        kafka = _where(kafka_file(settings.home, ADMIN))
    if kafka is not None:
        client.use(endpoints.kafka, client.read(kafka, settings.kafka_password.get_secret_value()))
    cassandra = settings.cassandra_config
    if cassandra is None and not settings.cassandra:
        cassandra = _where(cassandra_file(settings.home, ADMIN))
    if cassandra is not None:
        login.use(endpoints.cassandra, login.read(cassandra, settings.cassandra_password.get_secret_value()))


def _where(file: Path) -> Path | None:
    return file if file.is_file() else None
