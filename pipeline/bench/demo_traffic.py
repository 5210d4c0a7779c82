"""Who posts when, and what else happens: drawn from a seed, so that everybody sees the same run.

Posting rates are log-normal over authors, as Silberstein et al. (SIGMOD 2010) have them, times the root of
the audience: who is followed more posts more. In the middle the largest authors post a burst. Between the
posts readers follow, unfollow, block and mute, and posts are edited, deleted and taken down: what a feed must
get right.
"""

import random
from bisect import insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.bench.graph import FollowGraph

SIGMA = 1.0
"""Spread of the log-normal rate: of authors of one size the busiest 1 % make 9 % of the posts."""

BURST_AUTHORS, BURST_POSTS, BURST_SECONDS = 30, 8, 5.0
"""The burst: the 30 largest authors, of all three classes, post 8 times each within 5 s."""

CHANGE_SHARE = 0.02
"""Edits, deletions, take-downs, for every post, and nearly as many follows, blocks and mutes of each kind."""

QUIET_END_S = 5.0
"""A change comes at most so long after its post: posts of the last seconds are left alone."""


@dataclass(frozen=True, slots=True, order=True)
class TrafficStep:
    """One event, `at_s` seconds after the start. `post`: the number of the post it publishes or is about.

    `fields` is the event as `tideline publish` takes it, but for its time and the id of its post.
    """

    at_s: float
    topic: str = field(compare=False)
    fields: Mapping[str, Any] = field(compare=False)
    post: int | None = field(default=None, compare=False)

    @property
    def publishes(self) -> bool:
        """Whether it is a new post."""
        return bool(self.fields["type"] == "published")

    def event(self, start_ms: int, post_ids: Sequence[int]) -> dict[str, Any]:
        """The event as of now. `post_ids`: of the posts published so far; a new post has none yet."""
        time = {"created_at" if self.publishes else "at": start_ms + round(self.at_s * 1000)}
        about = {} if self.publishes or self.post is None else {"post_id": post_ids[self.post]}
        return {"topic": self.topic, **self.fields, **time, **about}


def draw(
    graph: FollowGraph,
    *,
    seconds: float,
    posts_a_second: float,
    seed: int,
    burst_by: Sequence[int] | None = None,
) -> list[TrafficStep]:
    """The steps of a run in order of time; posts are numbered in that order.

    `burst_by`: who posts the burst, BURST_POSTS times for each mention; by default the largest authors.
    """
    rng = random.Random(seed)
    bursting = graph.largest(BURST_AUTHORS) if burst_by is None else burst_by
    posts = _posts(graph, seconds, round(seconds * posts_a_second), rng, bursting)
    early = [post for post in posts if post.at_s < seconds - QUIET_END_S]
    steps = list(posts)
    for step in _changes(graph, early, round(len(posts) * CHANGE_SHARE), rng):
        insort(steps, step)
    return steps


def _posts(
    graph: FollowGraph, seconds: float, count: int, rng: random.Random, bursting: Sequence[int]
) -> list[TrafficStep]:
    authors = sorted(graph.followers)
    rates = [rng.lognormvariate(0, SIGMA) * len(graph.followers[author]) ** 0.5 for author in authors]
    drawn = [(rng.uniform(0, seconds), author) for author in rng.choices(authors, rates, k=count)]
    begin = (seconds - BURST_SECONDS) / 2
    for author in bursting:
        drawn += [(begin + rng.uniform(0, BURST_SECONDS), author) for _ in range(BURST_POSTS)]
    return [_post(number, at_s, author, rng) for number, (at_s, author) in enumerate(sorted(drawn))]


def _post(number: int, at_s: float, author: int, rng: random.Random) -> TrafficStep:
    visibility = rng.choices(("public", "followers", "private"), (93, 5, 2))[0]
    body = f"post {number} of author {author}"
    fields = {"type": "published", "author_id": author, "visibility": visibility, "body": body}
    return TrafficStep(at_s, "posts", fields, number)


def _changes(
    graph: FollowGraph, posts: Sequence[TrafficStep], each: int, rng: random.Random
) -> Iterator[TrafficStep]:
    """`each` of every kind, about authors who post in this run and readers who follow them."""
    accounts = graph.accounts
    for post in rng.sample(posts, 3 * each):
        author, after = post.fields["author_id"], post.at_s + rng.uniform(0.2, QUIET_END_S)
        kind = rng.choice(("edited", "deleted", "taken_down"))
        if kind == "taken_down":
            yield TrafficStep(after, "moderation", {"type": kind}, post.post)
        else:
            body = {"body": f"post {post.post}, edited"} if kind == "edited" else {}
            yield TrafficStep(after, "posts", {"type": kind, "author_id": author, **body}, post.post)
    for post in rng.sample(posts, 5 * each):
        author = post.fields["author_id"]
        reader, when = rng.choice(graph.followers[author]), post.at_s + rng.uniform(-1, 1) * QUIET_END_S / 2
        yield from _relation(max(when, 0.0), author, reader, rng.choice(accounts), rng)
    for post in rng.sample(posts, 2):
        yield TrafficStep(
            post.at_s + 1, "moderation", {"type": "suspended", "author_id": post.fields["author_id"]}
        )


def _relation(
    at_s: float, author: int, reader: int, stranger: int, rng: random.Random
) -> Iterator[TrafficStep]:
    kind = rng.choice(("followed", "unfollowed", "back", "blocked", "blocked by", "muted"))
    match kind:
        case "followed" if stranger != author:
            yield _follow(at_s, "followed", stranger, author)
        case "unfollowed":
            yield _follow(at_s, "unfollowed", reader, author)
        case "back":
            yield _follow(at_s, "unfollowed", reader, author)
            yield _follow(at_s + 1.5, "followed", reader, author)
        case "blocked" | "muted":
            yield TrafficStep(at_s, "moderation", {"type": kind, "reader_id": reader, "author_id": author})
        case "blocked by":
            yield TrafficStep(
                at_s, "moderation", {"type": "blocked", "reader_id": author, "author_id": reader}
            )


def _follow(at_s: float, kind: str, reader: int, author: int) -> TrafficStep:
    return TrafficStep(at_s, "follows", {"type": kind, "follower_id": reader, "author_id": author})


@dataclass(frozen=True, slots=True)
class Touched:
    """What changes besides posting: a probe must not wait for what may be hidden, an audit must look here."""

    posts: frozenset[int]
    readers: frozenset[int]
    authors: frozenset[int]


def touched(steps: Sequence[TrafficStep]) -> Touched:
    """The posts that are hidden or changed, the readers who act, the authors they act on."""
    others = [step for step in steps if not step.publishes]
    private = [step for step in steps if step.fields.get("visibility") == "private"]
    return Touched(
        posts=frozenset(step.post for step in (*others, *private) if step.post is not None),
        readers=frozenset(reader for step in others for reader in _readers(step.fields)),
        authors=frozenset(s.fields["author_id"] for s in others if s.fields["type"] == "suspended"),
    )


def _readers(fields: Mapping[str, Any]) -> Iterator[int]:
    """Whose feed this event changes, besides those of an author's followers; a block works both ways."""
    names = ("reader_id", "follower_id", *(("author_id",) if fields["type"] == "blocked" else ()))
    yield from (fields[name] for name in names if name in fields)
