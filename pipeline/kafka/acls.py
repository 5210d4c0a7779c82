"""Permissions as the broker has them (KIP-11): read, added and removed. And its SCRAM users.

Blocking. Every method raises EngineError when the broker does not answer or says no.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its __init__ does not mark its exports
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from pipeline.errors import EngineError
from pipeline.kafka.client import hint, settings

_TIMEOUT_S = 30.0

CLUSTER = "kafka-cluster"
"""The name of the only resource of its kind."""

_TYPES = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP, "cluster": ResourceType.BROKER}


@dataclass(frozen=True, slots=True, order=True)
class Acl:
    """One permission, from any host. `resource`: topic, group or cluster. `operation` in KIP-11's words."""

    principal: str
    resource: str
    name: str
    prefixed: bool
    operation: str

    def __str__(self) -> str:
        """As the options of `kafka-acls` after `--add` or `--remove`."""
        named = "--cluster" if self.resource == "cluster" else f"--{self.resource} '{self.name}'"
        pattern = " --resource-pattern-type prefixed" if self.prefixed else ""
        return f"--allow-principal '{self.principal}' --operation {self.operation} {named}{pattern}"


class Acls:
    """The permissions of one cluster."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._client = AdminClient({**settings(bootstrap), "log_level": 2})

    def of(self, principals: Iterable[str]) -> set[Acl]:
        """Every permission of these principals on topics, groups and the cluster."""
        wanted = set(principals)
        anything = AclBindingFilter(
            ResourceType.ANY,
            None,  # type: ignore[arg-type]  # any: its types know names only
            ResourcePatternType.ANY,
            None,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            AclOperation.ANY,
            AclPermissionType.ALLOW,
        )
        found = self._answer(self._client.describe_acls(anything, request_timeout=_TIMEOUT_S))
        kinds = {kind: name for name, kind in _TYPES.items()}
        return {
            Acl(
                one.principal,
                kinds[one.restype],
                one.name,
                one.resource_pattern_type is ResourcePatternType.PREFIXED,
                _camel(one.operation.name),
            )
            for one in found
            if one.principal in wanted and one.restype in kinds
        }

    def add(self, acls: Iterable[Acl]) -> None:
        """Allow these."""
        bindings = [_binding(one, AclBinding) for one in acls]
        if bindings:
            for answer in self._client.create_acls(bindings, request_timeout=_TIMEOUT_S).values():
                self._answer(answer)

    def remove(self, acls: Iterable[Acl]) -> None:
        """Allow these no more."""
        filters = [_binding(one, AclBindingFilter) for one in acls]
        if filters:
            for answer in self._client.delete_acls(filters, request_timeout=_TIMEOUT_S).values():
                self._answer(answer)

    def put_users(self, passwords: Mapping[str, str]) -> None:
        """Let these users log in with SCRAM-SHA-512."""
        made: list[UserScramCredentialAlteration] = [
            UserScramCredentialUpsertion(
                user, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), password.encode()
            )
            for user, password in passwords.items()
        ]
        if made:
            answers = self._client.alter_user_scram_credentials(made, request_timeout=_TIMEOUT_S)
            for answer in answers.values():
                self._answer(answer)

    def _answer(self, future: "Future[Any]") -> Any:
        try:
            return future.result()
        except KafkaException as error:
            reason = error.args[0]
            raise EngineError(
                f"Kafka at {self._bootstrap}: permissions: {reason.str()}", hint(reason)
            ) from error


def _binding(acl: Acl, kind: type[Any]) -> Any:
    return kind(
        _TYPES[acl.resource],
        acl.name,
        ResourcePatternType.PREFIXED if acl.prefixed else ResourcePatternType.LITERAL,
        acl.principal,
        "*",
        AclOperation[_snake(acl.operation)],
        AclPermissionType.ALLOW,
    )


def _snake(operation: str) -> str:
    return "".join(f"_{one}" if one.isupper() and at else one for at, one in enumerate(operation)).upper()


def _camel(operation: str) -> str:
    return "".join(word.capitalize() for word in operation.split("_"))
