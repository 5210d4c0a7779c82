"""What the demo publishes: the same for a seed, skewed, and made of events that publishing accepts."""

from collections import Counter

import pytest

from pipeline import topology
from pipeline.bench import demo_readers, demo_traffic, graph, probe
from pipeline.bench.kinds import Kinds
from pipeline.domain.audit import Ledger
from pipeline.domain.intake import Accepted, parse

START = 1_800_000_000_000


@pytest.fixture(scope="module")
def follows():
    return graph.load()


@pytest.fixture(scope="module")
def kinds(follows):
    return Kinds(follows, topology.load(profile="small-graph"))


@pytest.fixture(scope="module")
def steps(follows):
    return demo_traffic.draw(follows, seconds=30, posts_a_second=40, seed=7)


def events(steps):
    """The records as they are published, one after the other."""
    post_ids, records = [], []
    for step in steps:
        outcome = parse(step.event(START, post_ids), default_topic=None)
        assert isinstance(outcome, Accepted), outcome
        records.append(outcome.record)
        if step.publishes:
            post_ids.append(outcome.record.post_id)
    return records


def test_the_graph_is_the_one_its_readme_describes(follows):
    assert follows.edges == sum(map(len, follows.following.values())) == 328_132
    assert len(follows.accounts) == 256_491
    assert len(follows.followers) == 41_426
    assert [len(follows.followers[author]) for author in follows.largest(2)] == [14_060, 6_190]


def test_a_seed_draws_one_run(follows, steps):
    again = demo_traffic.draw(follows, seconds=30, posts_a_second=40, seed=7)
    other = demo_traffic.draw(follows, seconds=30, posts_a_second=40, seed=8)

    assert [(s.at_s, s.topic, s.fields, s.post) for s in again] == [
        (s.at_s, s.topic, s.fields, s.post) for s in steps
    ]
    assert [s.at_s for s in other] != [s.at_s for s in steps]


def test_every_step_is_an_event_that_publishing_accepts(steps):
    assert {type(record).__name__ for record in events(steps)} == {
        "PostEvent",
        "FollowEvent",
        "ModerationEvent",
    }


def test_publishing_has_every_kind_of_change(steps):
    assert {step.fields["type"] for step in steps} == {
        *("published", "edited", "deleted", "taken_down", "followed", "unfollowed"),
        *("blocked", "muted", "suspended"),
    }


def test_steps_come_in_order_of_time_and_posts_are_numbered_in_it(steps):
    assert [step.at_s for step in steps] == sorted(step.at_s for step in steps)
    assert [step.post for step in steps if step.publishes] == list(range(30 * 40 + 30 * 8))


def test_a_change_comes_after_its_post(steps):
    published = {step.post: step.at_s for step in steps if step.publishes}

    assert all(s.at_s > published[s.post] for s in steps if s.post is not None and not s.publishes)


def test_few_authors_make_many_of_the_posts(follows, steps):
    """Log-normal: of the authors of one size, the busiest tenth post far more than a tenth."""
    posts = Counter(s.fields["author_id"] for s in steps if s.publishes)
    authors = [author for author in posts if len(follows.followers[author]) < 50]

    assert len(authors) > 500
    assert max(posts.values()) >= 5
    assert Counter(posts[author] for author in authors)[1] > len(authors) / 2


def test_the_largest_authors_of_all_classes_post_a_burst_in_the_middle(follows, kinds, steps):
    burst = [s for s in steps if s.publishes and 12.5 <= s.at_s < 17.5]
    by_author = Counter(s.fields["author_id"] for s in burst)

    largest = follows.largest(30)
    assert all(by_author[author] >= 8 for author in largest)
    assert set(map(kinds.class_of, largest)) == {"push", "partial", "pull"}


def test_every_class_and_tier_posts_and_is_probed(follows, kinds, steps):
    posts = kinds.count(s.fields["author_id"] for s in steps if s.publishes)
    touched = demo_traffic.touched(steps)
    watched = probe.choose(steps, follows, touched, kinds.of, seed=7)
    authors = {step.post: step.fields["author_id"] for step in steps if step.publishes}
    probed = kinds.count(authors[post] for post in watched)

    assert set(posts) == set(probed) == {"small", "medium", "large", "partial", "pull"}
    assert all(0 < count <= probe.PROBES_A_KIND for count in probed.values())


def test_no_probe_waits_for_what_may_be_hidden(follows, kinds, steps):
    ledger = Ledger()
    records = events(steps)
    for author, readers in follows.followers.items():
        ledger.add(parse(_followed(author, readers[:1000]), default_topic=None).record)
    for record in records:
        ledger.add(record)
    post_ids = [record.post_id for step, record in zip(steps, records, strict=True) if step.publishes]
    touched = demo_traffic.touched(steps)

    watched = probe.choose(steps, follows, touched, kinds.of, seed=7)

    hidden = {
        (post, ledger.forbidden(reader, post_ids[post]))
        for post, reader in watched.items()
        if reader in follows.followers[ledger.author_of(post_ids[post])][:1000]
    }
    assert {reason for _, reason in hidden} == {None}


def _followed(author, readers):
    event = {"topic": "follows", "type": "followed", "author_id": author}
    return {**event, "follower_ids": list(readers), "at": START - 1000}


def test_the_audit_looks_at_enough_readers_of_every_sort(follows, kinds, steps):
    touched = demo_traffic.touched(steps)

    readers = demo_readers.stratified(follows, steps, touched, kinds.of, seed=7)

    assert len(readers) == len(set(readers)) >= 600
    assert touched.readers <= set(readers)
    assert max(follows.following, key=lambda reader: len(follows.following[reader])) in readers
    assert any(reader not in follows.following for reader in readers)
