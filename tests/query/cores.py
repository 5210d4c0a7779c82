"""The core of the read path on any stores, with the views and the caches a test gives it."""

from pipeline.domain.ranking import Weighted
from pipeline.query.caches import Caches
from pipeline.query.known_routes import KnownRoutes
from pipeline.query.load import Load
from pipeline.query.ranked import Ranking
from pipeline.query.timeline import Query

KEYS = (b"k" * 32,)
WEIGHTS = {
    "age": 1.0,
    "affinity": 1.0,
    "author_prior": 1.0,
    "quality": 1.0,
    "proximity": 1.0,
    "engagement": 1.0,
    "negative": 2.0,
}
RANKING = Ranking(Weighted(WEIGHTS, 6 * 3600), 2_000, 300, 100, 0.5, 24 * 3_600_000)


def core(
    stores, routes=None, suspensions=None, *, window_ms, margin_ms, age_s=lambda: 0.0, caches=None, **more
):
    """A `Query`; `routes`, `suspensions`: what the views hold, by author; without caches it reads the tables."""
    known = KnownRoutes(
        {} if routes is None else routes,
        {} if suspensions is None else suspensions,
        age_s,
        1.0,
        stores.routes,
        stores.readers,
        more.pop("version", lambda: None),
    )
    load = Load(
        stores,
        known,
        caches or Caches.none(),
        window_ms,
        margin_ms,
        more.pop("now_ms", lambda: 0),
        contained=more.pop("contained", lambda kind, target: False),
    )
    return Query(load, more.pop("ranking", RANKING), KEYS, **more)
