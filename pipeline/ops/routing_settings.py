"""The two thresholds that can be changed while everything runs: topic `routing.settings`, one key.

Compacted, so the newest record is all there is to know. Classify follows it and goes by it from its next post
on; posts already classified keep the class they have.
"""

from dataclasses import dataclass

from pipeline.config.names import HOME, Names
from pipeline.errors import ConfigError
from pipeline.kafka.outbox import Outbox
from pipeline.kafka.ports import Outgoing
from pipeline.kafka.tail import tail
from pipeline.topology import RoutingSpec, rules
from pipeline.wire.codec import decode, encode
from pipeline.wire.headers import cloud_event, published
from pipeline.wire.records import RoutingSettings

TOPIC, KEY = "routing.settings", "routing"
NAMES = ("push_below", "pull_above")


@dataclass(frozen=True, slots=True)
class SettingsInForce:
    """The thresholds of the files, and what was set over them; `changed` None: nothing ever was."""

    files: RoutingSpec
    changed: RoutingSettings | None

    def value(self, name: str) -> int:
        """What classify goes by."""
        value: int = getattr(self.changed or self.files, name)
        return value

    def overridden(self, name: str) -> bool:
        """Whether it differs from the files."""
        return bool(self.value(name) != getattr(self.files, name))

    def document(self) -> dict[str, object]:
        """What `tideline routing get --json` prints."""
        values = {
            name: {
                "value": self.value(name),
                "files": getattr(self.files, name),
                "overridden": self.overridden(name),
            }
            for name in NAMES
        }
        return {**values, "changed_at": self.changed.at if self.changed else None}


def read(bootstrap: str, files: RoutingSpec, names: Names = HOME) -> SettingsInForce:
    """What is in force now. Raises EngineError when Kafka does not answer."""
    for newest in tail(bootstrap, names.topic(TOPIC), 1).messages:
        return SettingsInForce(files, decode(newest.value, RoutingSettings) if newest.value else None)
    return SettingsInForce(files, None)


def changed(now: SettingsInForce, changes: dict[str, int], at: int) -> RoutingSettings:
    """The settings with these changes. Raises ConfigError when they would contradict each other."""
    wanted = {name: changes.get(name, now.value(name)) for name in NAMES}
    for name, value in changes.items():
        if name not in NAMES:
            raise ConfigError(f"no setting {name}", f"settings: {', '.join(NAMES)}")
        if value < 1:
            raise ConfigError(f"{name}: must be at least 1 follower, not {value}")
    for keys, reason in rules.routing(now.files.model_copy(update=wanted)):
        raise ConfigError(f"{keys[-1]}: {reason}", "set both in one command")
    return RoutingSettings(**wanted, at=at)


async def write(bootstrap: str, settings: RoutingSettings, names: Names = HOME) -> None:
    """Put the settings in force; returns when the broker has acknowledged them."""
    headers = cloud_event(
        event_id=f"{TOPIC}:{settings.at}",
        event_type=f"io.tideline.{TOPIC}",
        source=f"tideline/{names.stage('routing')}",
        at_ms=settings.at,
        carried=published(settings.at),
    )
    async with Outbox(bootstrap, names) as outbox:
        await outbox.send(Outgoing(TOPIC, encode(settings), KEY.encode(), headers))
