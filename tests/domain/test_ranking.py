"""The order of a ranked page: who outranks whom, and why; the same order whoever asks and however often."""

import math
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.domain.ranking import Features, Ranked, RankerError, Weighted, prune, rank
from tests.domain.examples import at_least

HOUR = 3600.0
WEIGHTS = {
    "age": 1.0,
    "affinity": 0.5,
    "author_prior": 1.0,
    "quality": 1.0,
    "proximity": 1.0,
    "engagement": 0.25,
    "negative": 2.0,
}
MODEL = Weighted(WEIGHTS, half_life_s=6 * HOUR)

BEST = 100
"""Ids of golden cases: the post that must win has the lower id, so that no case is won by the tie-break."""


def post(post_id, author_id=1, *, hours=0.0, prior=0.0, quality=0.0, near=0.0, likes=0, hides=0, readers=0):
    return Features(post_id, author_id, hours * HOUR, prior, quality, near, likes, hides, readers)


def places(candidates, diversity=0.0, ranker=MODEL):
    return [one.post_id for one in rank(candidates, ranker, diversity)]


#   the better post         the other post                   why the first is above
PAIRS = [
    ({"hours": 5}, {"hours": 6}, "it is newer"),
    ({"hours": 719}, {"hours": 720}, "it is newer, at any age"),
    ({"likes": 1}, {}, "the reader engages with its author"),
    ({"hours": 6, "likes": 7}, {}, "a dear author's post of 6 h is above a stranger's of now"),
    ({}, {"hours": 24, "likes": 7}, "but not one of a day"),
    ({"prior": 0.75}, {"prior": 0.5}, "its author has the larger audience"),
    ({"prior": 0.5, "likes": 3}, {"prior": 1.0}, "a friend is above a celebrity"),
    ({"quality": 0.7}, {"quality": 0.3}, "there is more to see"),
    ({"near": 1.0}, {}, "its author is near"),
    ({"readers": 1}, {}, "somebody engaged with it"),
    ({"hours": 6, "readers": 63}, {}, "what many look at stays up for longer"),
    ({}, {"hours": 24, "readers": 63}, "but not for ever"),
    ({}, {"hides": 1}, "the reader hid a post of the other author"),
    ({"hours": 12}, {"hides": 1}, "one hide costs as much as the first 18 h"),
    ({"hides": 1}, {"hides": 2}, "and the next one more"),
    ({}, {"hides": 3, "prior": 1.0, "quality": 1.0, "near": 1.0}, "no quality makes up for three"),
]


@pytest.mark.parametrize(("better", "other", "why"), PAIRS, ids=[why for *_, why in PAIRS])
def test_who_outranks_whom(better, other, why):
    """Two posts of two authors, alike but for what is named."""
    winner, loser = post(BEST, 1, **better), post(BEST + 1, 2, **other)

    assert places([winner, loser]) == places([loser, winner]) == [BEST, BEST + 1], why


def test_an_evening_is_in_this_order_for_these_reasons():
    """
    ::

        post 9  a stranger's, of this minute             3  a celebrity's of 18 h that everybody looks at
             8  a friend's second, of an hour ago        2  the friend's of three days ago
             7  the friend's first, two hours ago        5  of someone the reader once hid
    """
    evening = [
        post(9, 40, quality=0.25),
        post(8, 20, hours=1, quality=0.5, likes=15),
        post(7, 20, hours=2, quality=1.0, likes=15),
        post(5, 30, hours=6, quality=0.5, hides=1),
        post(3, 10, hours=18, prior=1.0, quality=0.75, readers=4095),
        post(2, 20, hours=72, quality=1.0, likes=15),
    ]

    found = rank(evening, MODEL, diversity=0.5)

    table = [
        (one.post_id, round(one.score, 2), {name: round(part, 2) for name, part in one.parts.items() if part})
        for one in found
    ]
    assert table == [
        (3, 2.75, {"age": -2.0, "author_prior": 1.0, "quality": 0.75, "engagement": 3.0}),
        (7, 2.58, {"age": -0.42, "affinity": 2.0, "quality": 1.0}),
        (8, 1.78, {"age": -0.22, "affinity": 2.0, "quality": 0.5, "diversity": -0.5}),
        (9, 0.25, {"quality": 0.25}),
        (2, -1.7, {"age": -3.7, "affinity": 2.0, "quality": 1.0, "diversity": -1.0}),
        (5, -2.5, {"age": -1.0, "quality": 0.5, "negative": -2.0}),
    ]


@pytest.mark.parametrize(
    ("features", "part", "points"),
    [
        ({"hours": 0}, "age", 0.0),
        ({"hours": 6}, "age", -1.0),
        ({"hours": 18}, "age", -2.0),
        ({"hours": 42}, "age", -3.0),
        ({"hours": -1}, "age", 0.0),  # newer than the session, by a clock that is ahead
        ({"likes": 0}, "affinity", 0.0),
        ({"likes": 1}, "affinity", 0.5),
        ({"likes": 3}, "affinity", 1.0),
        ({"likes": 7}, "affinity", 1.5),
        ({"readers": 1}, "engagement", 0.25),
        ({"readers": 65_535}, "engagement", 4.0),
        ({"hides": 1}, "negative", -2.0),
        ({"hides": 3}, "negative", -4.0),
        ({"prior": 0.5}, "author_prior", 0.5),
        ({"quality": 0.5}, "quality", 0.5),
        ({"near": 0.5}, "proximity", 0.5),
    ],
)
def test_each_part_is_its_feature_alone(features, part, points):
    """Nothing else of the score moves, and no part that is nothing is shown as -0.0."""
    (parts,) = MODEL.score([post(1, **features)])

    assert parts[part] == points
    assert sum(parts.values()) == points
    assert list(parts) == list(WEIGHTS)
    assert not any(math.copysign(1, value) < 0 for value in parts.values() if value == 0)


def test_of_equals_the_newer_is_first():
    """The order of ids is that of time, finer than an age in seconds."""
    assert places([post(7, 1), post(9, 2), post(8, 3)]) == [9, 8, 7]


def test_every_further_post_of_an_author_costs():
    """
    ::

        author 1   5.0 4.8 4.6
        author 2   4.2                 taken in turn, 0.5 less each time: 5.0, 4.3, 4.2, 3.6
    """
    candidates = [post(4, 1), post(3, 1), post(2, 1), post(1, 2)]
    model = Told({4: 5.0, 3: 4.8, 2: 4.6, 1: 4.2})

    found = rank(candidates, model, diversity=0.5)

    assert [(one.post_id, round(one.score, 9)) for one in found] == [(4, 5.0), (3, 4.3), (1, 4.2), (2, 3.6)]
    assert [one.parts["diversity"] for one in found] == [0.0, -0.5, 0.0, -1.0]


@pytest.mark.parametrize(("diversity", "above"), [(0.0, 10), (0.5, 3), (1.0, 2), (2.0, 1)])
def test_a_loud_author_leaves_room_for_the_others(diversity, above):
    """Ten posts an author with 1 point more than the other: so many are above the other's first."""
    loud, other = [post(99 - n, 1, likes=3) for n in range(10)], [post(9, 2)]

    # at 0.5 the third scores as much as the other's first, and is newer; at 1.0 the second does
    assert places(loud + other, diversity).index(9) == above


class Told:
    """A model that says what it was told to."""

    def __init__(self, scores):
        self.scores = scores

    def score(self, candidates):
        return [{"told": self.scores[one.post_id]} for one in candidates]


def naive_greedy(candidates, model, diversity):
    """The oracle: take the best of what is left, again and again, counting what was taken of each author."""
    left = {one.post_id: one for one in candidates}
    alone = {one.post_id: sum(model.score([one])[0].values()) for one in candidates}
    taken = []
    while left:
        now = [
            (alone[post_id] - diversity * sum(one.author_id == above.author_id for above in taken), post_id)
            for post_id, one in left.items()
        ]
        score, post_id = max(now)
        taken.append(left.pop(post_id))
        yield score, post_id


eighths = st.integers(-40, 40).map(lambda n: n / 8)  # exact in binary: sums have no rounding to differ by
told_posts = st.dictionaries(st.integers(1, 60), st.tuples(st.integers(1, 4), eighths), max_size=30)
diversities = st.sampled_from([0.0, 0.125, 0.5, 3.0])

features = st.builds(
    Features,
    post_id=st.integers(1, 40),
    author_id=st.integers(1, 4),
    age_s=st.floats(-60, 3e6),
    author_prior=st.floats(0, 1),
    quality=st.floats(0, 1),
    proximity=st.floats(0, 1),
    affinity=st.integers(0, 500),
    negative=st.integers(0, 20),
    engagement=st.integers(0, 10**7),
)
candidate_lists = st.lists(features, max_size=25, unique_by=lambda one: one.post_id)


def told(posts):
    return [post(post_id, author) for post_id, (author, _) in posts.items()], Told(
        {post_id: score for post_id, (_, score) in posts.items()}
    )


@at_least(500)
@given(told_posts, diversities)
def test_the_order_is_that_of_taking_the_best_again_and_again(posts, diversity):
    """Two sorts give what the quadratic loop gives, scores and all."""
    candidates, model = told(posts)

    found = [(one.score, one.post_id) for one in rank(candidates, model, diversity)]

    assert found == list(naive_greedy(candidates, model, diversity))


@at_least(500)
@given(told_posts, diversities, st.integers(0, 30))
def test_pruning_keeps_what_the_loop_would_take_first(posts, diversity, keep):
    """In the order the candidates came; so what is kept of unenriched candidates is the top of their order."""
    candidates, model = told(posts)

    kept = prune(candidates, model, keep, diversity)

    first = {post_id for _, post_id in list(naive_greedy(candidates, model, diversity))[:keep]}
    assert kept == [one for one in candidates if one.post_id in first]


@given(candidate_lists, diversities, st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_the_order_of_the_candidates(candidates, diversity, random):
    """Nor does what pruning keeps: the two paths are read at the same time and come as they like."""
    shuffled = random.sample(candidates, len(candidates))

    assert rank(shuffled, MODEL, diversity) == rank(candidates, MODEL, diversity)
    assert set(prune(shuffled, MODEL, 5, diversity)) == set(prune(candidates, MODEL, 5, diversity))


@given(candidate_lists, diversities)
def test_every_candidate_has_one_place_and_a_score_that_is_the_sum_of_its_parts(candidates, diversity):
    """And `(score, post_id)` falls from place to place, so that a cursor can be put between any two."""
    found = rank(candidates, MODEL, diversity)

    assert sorted(one.post_id for one in found) == sorted(one.post_id for one in candidates)
    assert {(one.post_id, one.author_id) for one in found} == {(c.post_id, c.author_id) for c in candidates}
    for one in found:
        assert one.score == pytest.approx(math.fsum(one.parts.values()), abs=1e-9)
    boundaries = [(one.score, one.post_id) for one in found]
    assert all(upper > lower for upper, lower in pairwise(boundaries))


TOWARDS = {
    "affinity": 1,
    "engagement": 1,
    "author_prior": 1,
    "quality": 1,
    "proximity": 1,
    "negative": -1,
    "age_s": -1,
}


@pytest.mark.parametrize("feature", TOWARDS)
@given(st.data())
def test_more_of_a_feature_never_moves_a_post_the_wrong_way(feature, data):
    """More engagement never ranks lower, more negative feedback or age never higher, all else the same."""
    candidates = data.draw(candidate_lists.filter(bool))
    diversity = data.draw(diversities)
    at = data.draw(st.integers(0, len(candidates) - 1))
    before, step = candidates[at], data.draw(st.sampled_from([1, 2, 1000]))
    value = getattr(before, feature)
    more = value + step if isinstance(value, int) or feature == "age_s" else min(1.0, value + step / 100)
    assume(more != value)

    changed = [*candidates[:at], before._replace(**{feature: more}), *candidates[at + 1 :]]

    moved = places(candidates, diversity).index(before.post_id) - places(changed, diversity).index(
        before.post_id
    )
    assert moved * TOWARDS[feature] >= 0


class Broken:
    """A model that gives whatever it was made with, or raises it."""

    def __init__(self, gives):
        self.gives = gives

    def score(self, candidates):
        if isinstance(self.gives, Exception):
            raise self.gives
        return self.gives


@pytest.mark.parametrize(
    ("gives", "told"),
    [
        ([{"x": 1.0}, {"x": math.nan}], "the model gave nan for post 1"),
        ([{"x": 1.0}, {"x": math.inf}], "the model gave inf for post 1"),
        ([{"x": 1.0}, {"x": -math.inf, "y": 0.0}], "the model gave -inf for post 1"),
        ([{"x": 1.0}, {"x": math.inf, "y": -math.inf}], "the model gave no numbers for post 1"),
        ([{"x": 1.0}, {"x": 1e308, "y": 1e308}], "the model gave no numbers for post 1"),
        ([{"x": 1.0}, {"x": "1"}], "the model gave no numbers for post 1"),
        ([{"x": 1.0}, {"x": None}], "the model gave no numbers for post 1"),
        ([{"x": 1.0}, 1.0], "the model gave no numbers for post 1"),
        ([{"x": 1.0}, {"diversity": 1.0}], "the model gave a part named diversity"),
        ([{"x": 1.0}], "the model gave 1 scores for 2 candidates"),
        ([{"x": 1.0}] * 3, "the model gave 3 scores for 2 candidates"),
        ([], "the model gave 0 scores for 2 candidates"),
        (None, "the model failed: TypeError"),
        (KeyError("weights"), "the model failed: KeyError('weights')"),
    ],
)
def test_garbage_of_a_model_is_an_error_a_page_can_catch(gives, told):
    """Never an order made of it, never an error of another kind."""
    candidates = [post(2), post(1)]

    with pytest.raises(RankerError, match="^" + told.replace("(", r"\(").replace(")", r"\)")):
        rank(candidates, Broken(gives), 0.5)
    with pytest.raises(RankerError):
        prune(candidates, Broken(gives), 1)


def test_a_score_may_be_without_parts_and_its_numbers_of_any_kind():
    """What is shown are Python's floats, as JSON needs them."""
    assert rank([post(2), post(1)], Broken([{}, {"bonus": 1}]), 0.0) == [
        Ranked(1, 1, 1.0, {"bonus": 1.0, "diversity": 0.0}),
        Ranked(2, 1, 0.0, {"diversity": 0.0}),
    ]
    assert {
        type(part) for one in rank([post(1)], Broken([{"bonus": True}]), 0) for part in one.parts.values()
    } == {float}


def test_no_model_is_asked_when_all_are_kept():
    """Nothing to choose costs nothing, and cannot fail."""
    candidates = [post(1), post(2)]

    assert prune(candidates, Broken(RuntimeError()), 2) == candidates
    assert rank([], MODEL, 0.5) == []
