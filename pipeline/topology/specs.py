"""The types of `topology/`: strict, frozen, and closed to keys they do not know."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from pipeline.domain.cursor import VALID_MS
from pipeline.domain.page_request import MAX_LIMIT

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=64)]
DomainName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=16)]
TopicName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-][a-zA-Z0-9._-]*$", max_length=249)]
Group = Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]*$", max_length=249)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]

WORKERS = "workers"
"""The role of the stages."""


def _as_kafka_says(value: Any) -> Any:
    """Kafka's settings are strings, and its booleans are lower case."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else value


Setting = Annotated[str, BeforeValidator(_as_kafka_says)]


class _Spec(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class TopicSpec(_Spec):
    """A topic as it shall be. `configs`: the settings the file names, as Kafka writes them."""

    name: TopicName
    partitions: Count
    replicas: Count
    configs: dict[str, Setting] = Field(default_factory=dict)


class StageSpec(_Spec):
    """A stage: one Faust app in one consumer group.

    `workers` processes, `batch` events at a time, `in_flight` batches at once. A stage without topics has
    workers only. Repairs owe their work within `lag_budget` seconds, and write `rows_per_second` at most.
    """

    name: Name
    topics: Annotated[tuple[TopicName, ...], Field(strict=False)]
    group: Group
    workers: Count
    batch: Count
    in_flight: Count
    lag_budget: Annotated[float, Field(gt=0)] | None = None
    rows_per_second: Count | None = None


Share = Annotated[float, Field(gt=0, le=100)]


class ActSpec(_Spec):
    """When the controller acts for a tier: shares of its lag budget first (`domain.control.Rules`)."""

    release: Share
    shed: Share
    rate: Share
    pull: Share
    narrow: Share
    hold_seconds: Annotated[float, Field(ge=1, le=86_400)]
    hot_share: Annotated[float, Field(gt=0, le=1)]
    rate_per_minute: Count
    bound: Count | None


class TierSpec(_Spec):
    """A fan-out tier: `objective` of its entries are visible within `lag_budget` seconds of the publish.

    It takes the posts of authors with fewer than `max_followers` followers; None: of all that are left.
    `act`: what is done when it is behind; None: nothing.
    """

    name: Name
    topic: TopicName
    group: Group
    workers: Count
    batch: Count
    in_flight: Count
    max_followers: Count | None
    lag_budget: Annotated[float, Field(gt=0)]
    objective: Annotated[float, Field(gt=0, lt=1)]
    act: ActSpec | None = None


class RoutingSpec(_Spec):
    """Who is pushed and who is pulled, and how far the clocks may be apart. Followers and seconds."""

    push_below: Annotated[int, Field(ge=0)]
    pull_above: Annotated[int, Field(ge=0)]
    hysteresis: Annotated[float, Field(ge=0, lt=1)]
    cost_floor: Annotated[int, Field(ge=0)]
    window_days: Annotated[int, Field(ge=1, le=7299)]  # Cassandra keeps no row with a TTL beyond 20 years
    margin_seconds: Seconds
    clock_ahead_seconds: Seconds
    dormant_after_days: Annotated[int, Field(ge=1)]
    segment_size: Annotated[int, Field(ge=1, le=1000)]  # a follow event names as many, and makes one batch
    tasks_per_post: Count
    cap: Count | None = None  # posts of a session of pages
    hold_records: Annotated[int, Field(ge=0)] = 1000  # see domain.hold; 0: no stage ever stops by itself
    hold_ratio: Annotated[float, Field(gt=0, le=1)] = 0.9

    @property
    def window_ms(self) -> int:
        """How far back a timeline reaches."""
        return self.window_days * 86_400_000

    @property
    def row_life_ms(self) -> int:
        """How long rows are kept: whoever began a session inside the window finds them to its end."""
        return self.window_ms + VALID_MS

    @property
    def dormant_after_ms(self) -> int:
        """How long a reader who is not seen stays active."""
        return self.dormant_after_days * 86_400_000

    @property
    def margin_ms(self) -> int:
        """Overlap of push and pull around every change."""
        return round(self.margin_seconds * 1000)

    @property
    def clock_ahead_ms(self) -> int:
        """How much newer than the broker's time a time that an event brings may be."""
        return round(self.clock_ahead_seconds * 1000)


Weight = Annotated[float, Field(ge=0, le=100)]


class Weights(_Spec):
    """What a unit of each feature is worth, in doublings. None is negative: the model knows what takes."""

    age: Weight
    affinity: Weight
    author_prior: Weight
    quality: Weight
    proximity: Weight
    engagement: Weight
    negative: Weight


class WeightedSpec(_Spec):
    """The options of the model `weighted`."""

    half_life_hours: Annotated[float, Field(gt=0, le=8760)]
    weights: Weights


class ModelOptions(BaseModel):
    """Options by model. Those of a model of one's own are its own to check, when it is made."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow")
    __pydantic_extra__: dict[str, dict[str, Any]]

    weighted: WeightedSpec


class RankingSpec(_Spec):
    """How a ranked page comes about: posts considered, posts ranked, authors read, and the model.

    Engagement is counted `counters_hours` back. Every further post of an author costs `diversity`.
    """

    model: Name
    candidates: Annotated[int, Field(ge=1, le=10_000)]
    pruned: Annotated[int, Field(ge=MAX_LIMIT)]  # a page must not be larger than what was ranked for it
    frontier: Count
    counters_hours: Annotated[int, Field(ge=1, le=168)]
    diversity: Weight
    options: ModelOptions

    @property
    def of_model(self) -> dict[str, Any]:
        """The options of the model that is chosen; a model that is told nothing has none."""
        options: dict[str, Any] = self.options.model_dump().get(self.model, {})
        return options


class CachesSpec(_Spec):
    """How many entries an API process keeps of each kind."""

    readers: Count
    authors: Count
    posts: Count
    counters: Count
    pages: Count


class ApiSpec(_Spec):
    """The HTTP API: who may read, how often one reader may ask, and how long a page may take."""

    auth: Literal["required", "none"]
    rate_per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    burst: Count
    deadline_ms: Count
    deadline_max_ms: Count
    caches: CachesSpec


class DomainSpec(_Spec):
    """What a domain says beside the values it overrides. `shares`: topics it reads from the home feed."""

    name: DomainName
    shares: Annotated[tuple[TopicName, ...], Field(strict=False)] = ()


Pattern = Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]*\*?$", min_length=1, max_length=249)]
"""A name, or what it begins with and an asterisk."""

Principal = Annotated[str, Field(pattern=r"^[A-Za-z]+:[^*'\n\r]+$", max_length=249)]
Patterns = Annotated[tuple[Pattern, ...], Field(strict=False)]
TopicOperation = Literal["Read", "Write", "Create", "Delete", "Describe", "DescribeConfigs", "AlterConfigs"]
GroupOperation = Literal["Read", "Describe", "Delete"]
ClusterOperation = Literal["Create", "Describe", "Alter", "DescribeConfigs", "AlterConfigs"]


class RoleSpec(_Spec):
    """A role: who has it, and what it allows, in KIP-11's words."""

    name: Name
    principals: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z]+:[^*'\n\r]+$", max_length=249)], ...],
        Field(strict=False),
    ]
    topics: dict[TopicOperation, Patterns] = Field(default_factory=dict)
    groups: dict[GroupOperation, Patterns] = Field(default_factory=dict)
    cluster: Annotated[tuple[ClusterOperation, ...], Field(strict=False)] = ()
