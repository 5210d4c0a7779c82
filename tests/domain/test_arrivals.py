"""Arrivals: whose new work is how much of a tier's."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.arrivals import WINDOW_S, Arrival, Arrivals
from pipeline.domain.containment import Kind

posts = st.builds(
    Arrival,
    at_s=st.integers(0, 60).map(float),
    tier=st.sampled_from(["small", "large"]),
    author_id=st.integers(1, 4),
    region=st.sampled_from(["", "eu", "us"]),
    deliveries=st.integers(0, 1000),
)


@given(st.lists(posts, max_size=60), st.sampled_from([0.0, 0.2, 0.5, 1.0]))
def test_shares_are_of_the_new_deliveries_of_a_tier(arrived, least):
    arrivals = Arrivals()
    for one in arrived:
        arrivals.add(one)

    found = {(one.tier, one.kind, one.target): one.share for one in arrivals.hot(60.0, least)}

    new = [one for one in arrived if 60.0 - one.at_s < WINDOW_S]
    for tier in ("small", "large"):
        mine = [one for one in new if one.tier == tier]
        total = sum(one.deliveries for one in mine)
        by_author = Counter()
        for one in mine:
            if one.deliveries:
                by_author[str(one.author_id)] += one.deliveries
        wanted = {who: n / total for who, n in by_author.items() if total and n / total >= least}
        assert {key[2]: share for key, share in found.items() if key[:2] == (tier, Kind.PULL)} == wanted
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_a_region_is_hot_beside_others_only():
    arrivals = Arrivals()
    arrivals.add(Arrival(1.0, "large", 7, "eu", 90))
    assert [one.kind for one in arrivals.hot(2.0, 0.5)] == [Kind.PULL]

    arrivals.add(Arrival(1.0, "large", 8, "us", 10))
    assert [(one.kind, one.target) for one in arrivals.hot(2.0, 0.5)] == [
        (Kind.PULL, "7"),
        (Kind.PACE, "eu"),
    ] or [(one.kind, one.target) for one in arrivals.hot(2.0, 0.5)] == [(Kind.PACE, "eu"), (Kind.PULL, "7")]
