"""The model that `topology/ranking.yaml` names, found among what is installed and made with its options.

A model is an entry point of the group `tideline.ranking`: a callable that takes its options, a mapping, and
gives a Ranker. The one that is shipped comes through the same door. Nothing here runs while a page is made.
"""

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pipeline.domain.ranking import Ranker, Weighted
from pipeline.errors import ConfigError
from pipeline.topology.specs import RankingSpec, WeightedSpec

GROUP = "tideline.ranking"

_SHIPPED = EntryPoint("weighted", "pipeline.runtime.ranker:weighted", GROUP)
"""Known without looking: an installation made before this model was declared runs it too."""


def load(spec: RankingSpec) -> Ranker:
    """The model of a topology. Raises ConfigError when it is not installed or refuses its options."""
    found = _installed()
    entries = found.get(spec.model, set())
    if not entries:
        raise ConfigError(f"ranking.model: no model {spec.model}", f"models: {', '.join(sorted(found))}")
    if len(entries) > 1:
        raise ConfigError(
            f"ranking.model: {spec.model} is {' and '.join(sorted(entry.value for entry in entries))}",
            "uninstall the package that must not have this name",
        )
    (entry,) = entries
    try:
        ranker: Ranker = entry.load()(spec.of_model)
    except Exception as error:  # a model is anybody's code
        raise ConfigError(f"ranking.options.{spec.model}: {entry.value}: {error!r}") from error
    if not callable(getattr(ranker, "score", None)):
        raise ConfigError(f"ranking.model: {entry.value} gave {ranker!r}, which has no `score`")
    return ranker


def weighted(options: Mapping[str, Any]) -> Weighted:
    """The shipped model. Options: `half_life_hours`, `weights`."""
    spec = WeightedSpec.model_validate(options)
    return Weighted(spec.weights.model_dump(), spec.half_life_hours * 3600)


def _installed() -> dict[str, set[EntryPoint]]:
    """Models by name. Installations that overlap tell the same twice; two of one name are no such case."""
    found: dict[str, set[EntryPoint]] = {}
    for entry in (_SHIPPED, *entry_points(group=GROUP)):
        found.setdefault(entry.name, set()).add(entry)
    return found
