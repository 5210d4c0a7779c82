"""Waiting until nothing is unprocessed, with progress: what commands do after they have set work going."""

from typing import TYPE_CHECKING

from pipeline.cli.running import topology_of
from pipeline.clock import now_ms

if TYPE_CHECKING:
    from pipeline.config.settings import Settings
    from pipeline.control.lag import StageLag
    from pipeline.kafka.offsets import Offsets
    from pipeline.local.instance import Instance


def settle(what: str, given: "Settings", offsets: "Offsets", instance: "Instance | None") -> bool:
    """Show what is left until it is nothing; Ctrl-C ends the showing, not the work."""
    import math
    from functools import partial

    from pipeline.cli.lag import left
    from pipeline.cli.meter import Meter
    from pipeline.control.lag import Lag, settled, topics_read, unprocessed
    from pipeline.local.instance import beside_api

    with Meter(what) as meter:
        looking = Lag(
            offsets,
            topology_of(given),
            now_ms=now_ms,
            topics_read=partial(topics_read, partial(beside_api, given.home, given.domain))
            if instance
            else None,
        )
        most = 0

        def show(seen: "list[StageLag]") -> None:
            nonlocal most
            now = unprocessed(seen)
            most = max(most, now or 0)
            meter.show(most - (now or 0), left(seen), total=most)

        return settled(looking.wait(math.inf, show))
