"""What the engines call things: the one place that knows that a domain has names of its own.

The code speaks of topic `author.routes` and of stage `classify`, whichever domain it works for. On Kafka, on
Cassandra and under the supervisor everything of a domain has the domain's name in front, so that two of them
have nothing in common but the topics that are shared on purpose. The home feed is the domain without a name.
"""

from dataclasses import dataclass

from pipeline.errors import ConfigError

MAX_KEYSPACE = 48
"""Characters; Cassandra's own limit."""

HOME_LABEL = "home"
"""The label `domain` of the home feed's metrics: a label without a value would be none."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one domain. `shares`: the topics it reads from the home feed."""

    domain: str = ""
    shares: frozenset[str] = frozenset()

    def topic(self, name: str) -> str:
        """A topic, as Kafka knows it."""
        return name if name in self.shares else self._own(name, ".")

    def group(self, name: str) -> str:
        """A consumer group; shared topics are read in a group of the domain's own too."""
        return self._own(name, ".")

    def stage(self, name: str) -> str:
        """A stage, as `tideline worker` and the supervisor know it."""
        return self._own(name, "/")

    def keyspace(self, home: str) -> str:
        """The keyspace beside that of the home feed. Raises ConfigError when Cassandra takes none so long."""
        name = f"{home}_{self.domain}" if self.domain else home
        if len(name) > MAX_KEYSPACE:
            raise ConfigError(
                f"keyspace {name}: {len(name)} characters, Cassandra takes {MAX_KEYSPACE}",
                "give TIDELINE_KEYSPACE or the domain a shorter name",
            )
        return name

    def _own(self, name: str, between: str) -> str:
        return f"{self.domain}{between}{name}" if self.domain else name


HOME = Names()
"""The home feed: everything is called what the code calls it."""


def split(stage: str) -> tuple[str, str]:
    """The domain and the stage that `Names.stage` made one name of."""
    domain, _, name = stage.rpartition("/")
    return domain, name
