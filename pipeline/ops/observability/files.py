"""What watches the pipeline, as files: rules for Prometheus, which follow from a topology, and dashboards.

topology/observability/ holds them as they are for the shipped topology. Who changes a lag budget or an
objective, or runs with a profile, renders them anew: `tideline topology observability FOLDER`.
"""

from pathlib import Path

import orjson
import yaml

from pipeline.ops.observability import alert_rules, dashboards, slo_rules
from pipeline.topology import Topology

_HEAD = "# Written by `tideline topology observability`, profile {profile}; changes are lost.\n"
_WIDE = 100_000


def files(topology: Topology) -> dict[str, str]:
    """By path in the folder, the text of each file.

    Raises ConfigError when there can be no rules for this topology.
    """
    groups = [*slo_rules.groups(topology), alert_rules.group()]
    rules = yaml.safe_dump({"groups": groups}, sort_keys=False, allow_unicode=True, width=_WIDE)
    return {
        "rules/tideline.yml": _HEAD.format(profile=topology.profile) + rules,
        **{f"dashboards/{name}.json": _json(dashboards.render(name)) for name in dashboards.DASHBOARDS},
    }


def write(topology: Topology, folder: Path) -> list[Path]:
    """Write them; returns where they are."""
    written = []
    for name, text in files(topology).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        written.append(path)
    return written


def _json(document: object) -> str:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
