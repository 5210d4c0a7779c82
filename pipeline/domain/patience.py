"""How long a schema id that the registry does not know is asked for again, and how often anything is asked.

Nodes of a registry lag behind each other, so "not found" may mean "not yet". But an id is four bytes that
anybody can make up. So patience is shared: the first unknown id begins a time of grace, all that turn up
during it are asked for again until its end, and the next grace begins a minute later at the earliest, with an
id that is new. Outside of it what is unknown is refused at once, remembered, and asked for every ten seconds.
Whatever ids come, look-ups that find nothing have a rate.

    grace   ├──── 15 s ────┤                                     ├──── 15 s ────┤
    id 7    ask ask ask found                                    ask: once a second
    id 8        ask ask ask REFUSE                      ask REFUSE: every 10 s, and no grace begins
    id 9                      ask REFUSE
    id 10                                                        ask ask …
"""

from collections import OrderedDict
from enum import Enum

from pipeline.domain.rates import Bucket, Rate, take

GRACE_S = 15.0
"""Nodes are some hundred ms behind each other; one that was cut off and comes back takes seconds."""

BETWEEN_S = 60.0
"""From the beginning of a grace to the next."""

REFUSED_S = 10.0
"""For so long an unknown id is refused without another look-up."""

AGAIN_S = 1.0
"""Between two look-ups of one id."""

MISSES = Rate(20.0, 50)
"""Look-ups that find nothing, a process: a deployment brings a few, a stranger as many as he likes."""

REMEMBERED = 1_000
"""Unknown ids that are remembered; 100 kB."""


class Next(Enum):
    """What to do about an id that is not known here."""

    ASK = "ask the registry"
    WAIT = "wait, and come again"
    REFUSE = "it does not exist"
    TOO_MANY = "it is not looked up now"


class Patience:
    """What is known of ids that are not known; `now` in seconds of a clock that does not go back."""

    def __init__(self) -> None:
        self._asked: OrderedDict[int, float] = OrderedDict()
        self._grace: float | None = None
        self._bucket: Bucket | None = None

    def about(self, schema_id: int, now: float) -> Next:
        """Before a look-up."""
        patient, asked = self._patient(now), self._asked.get(schema_id)
        if asked is not None and now - asked < (AGAIN_S if patient else REFUSED_S):
            return Next.WAIT if patient else Next.REFUSE
        if take(self._bucket, MISSES, now)[1]:
            return Next.WAIT if patient else Next.TOO_MANY
        return Next.ASK

    def missing(self, schema_id: int, now: float) -> Next:
        """After a look-up that found nothing."""
        self._bucket, _ = take(self._bucket, MISSES, now)
        new = self._asked.pop(schema_id, None) is None
        self._asked[schema_id] = now
        if len(self._asked) > REMEMBERED:
            self._asked.popitem(last=False)
        if new and (self._grace is None or now - self._grace >= BETWEEN_S):
            self._grace = now
        return Next.WAIT if self._patient(now) else Next.REFUSE

    def found(self, schema_id: int) -> None:
        """After one that found it."""
        self._asked.pop(schema_id, None)

    def _patient(self, now: float) -> bool:
        return self._grace is not None and now - self._grace < GRACE_S
