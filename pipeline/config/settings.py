"""The environment, read in this one place. Every variable starts with `TIDELINE_`."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, SecretStr, model_validator

PREFIX = "TIDELINE_"


class Settings(BaseModel):
    """Where the engines are, which topology to run, and the secrets of this process.

    Made of what is given, and of the environment where nothing is. Not by pydantic-settings, which takes a
    fifth of a second to load, before every command.
    """

    home: Path = Field(default_factory=lambda: Path.home() / ".tideline")
    kafka: str = Field(default="", description="Kafka bootstrap servers; empty: the engines of `home`")
    kafka_config: Path | None = Field(
        default=None, description="a properties file: how to log in at `kafka`, in librdkafka's names"
    )
    kafka_password: SecretStr = Field(default=SecretStr(""), description="in place of its sasl.password")
    cassandra: str = Field(default="", description="Cassandra contact points, host:port[,…]")
    cassandra_config: Path | None = Field(
        default=None, description="a cqlshrc file: how to log in at `cassandra`"
    )
    cassandra_password: SecretStr = Field(default=SecretStr(""), description="in place of its password")
    keyspace: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")] = "tideline"
    profile: str = Field(default="default", description="a file in topology/profiles, or `default`")
    domain: str = Field(default="", description="whom commands are about; empty: the home feed")
    topology: Path | None = Field(default=None, description="a topology folder of your own")
    schema_registry_url: str = ""
    api: str = Field(
        default="", description="the HTTP API that audits ask; empty: that of the instance in `home`"
    )
    cursor_keys: SecretStr = Field(
        default=SecretStr(""),
        description="kid:secret[,kid:secret]: the first signs cursors, all verify; the same in every API",
    )
    token_keys: SecretStr = Field(
        default=SecretStr(""),
        description="kid:secret[,kid:secret]: the first signs reader tokens, all verify",
    )
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    metrics_host: str = Field(
        default="127.0.0.1", description="where each worker serves its metrics; the API its /readyz as well"
    )
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = Field(default=0, description="0: any free one")
    log_level: str = "info"
    traces: Literal["", "otlp"] = Field(
        default="", description="`otlp`: workers send spans where OTEL_EXPORTER_OTLP_ENDPOINT says"
    )

    @model_validator(mode="before")
    @classmethod
    def _of_the_environment(cls, given: dict[str, Any]) -> dict[str, Any]:
        variables = {name: PREFIX + name.upper() for name in cls.model_fields}
        return {name: os.environ[of] for name, of in variables.items() if of in os.environ} | given
