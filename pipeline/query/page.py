"""A page as it is handed out, and a request on its way through the chain."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.domain.merge import EXHAUSTED, Candidate, Source
from pipeline.domain.page_request import PageRequest
from pipeline.query.caches import RecentPosts
from pipeline.query.deadline import Deadline
from pipeline.query.frontier import SourcePlan
from pipeline.query.reader_view import ReaderView
from pipeline.store.values import StoredPost


@dataclass(frozen=True, slots=True)
class Item:
    """A post on the page and how it came there; with its score, and the parts of it, where it was ranked.

    `tier`: the fan-out tier of its author, told when it is asked for.
    """

    post: StoredPost
    path: str
    score: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    tier: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A page, the cursor of the next one (None: the feed ends here), and the widths of the chain.

    `degraded`: the steps of the ladder that were taken; `lacks`: authors whose posts may be missing; `as_of`:
    when its session began (ms).
    """

    items: Sequence[Item]
    next_cursor: str | None
    degraded: Sequence[str] = ()
    widths: Mapping[str, int] = field(default_factory=dict)
    lacks: Sequence[int] = ()
    as_of: int = 0


@dataclass(slots=True)
class Session:
    """One request on its way. `read`: the sources that were, by identity; `widths`: of its stages; `recent`,
    `looked_at`: by author and post, what it was given of them, shown or not; `hidden`: older posts that the
    reader has hidden, as far as they were asked for; `found`: posts for the page so far.
    """

    request: PageRequest
    deadline: Deadline
    plan: SourcePlan
    window_start: int
    sources: list[Source] = field(default_factory=list)
    archived: bool = False
    degraded: dict[str, None] = field(default_factory=dict)
    read: set[int] = field(default_factory=set)
    widths: dict[str, int] = field(default_factory=dict)
    recent: dict[int, RecentPosts] = field(default_factory=dict)
    looked_at: dict[int, StoredPost] = field(default_factory=dict)
    hidden: dict[int, int] = field(default_factory=dict)
    found: int = 0

    @property
    def reader(self) -> ReaderView:
        """Whose page it is."""
        return self.plan.reader

    @property
    def limit(self) -> int:
        """Posts wanted."""
        return self.request.limit

    @property
    def lacks(self) -> list[int]:
        """Authors that were given up."""
        return sorted({source.author_id for source in self.sources if source.lost})

    def anything_below(self, post_id: int) -> bool:
        """Whether a source holds, or may hold, a post below this one."""
        return any(
            source.horizon > EXHAUSTED or (source.items and source.items[-1].post_id < post_id)
            for source in self.sources
        )

    def hides_author(self, author_id: int) -> str | None:
        """Why nothing of this author is on the page."""
        return self.reader.hides_author(author_id, suspended=author_id in self.plan.suspended)

    def hidden_among(self, candidates: Iterable[Candidate]) -> set[int]:
        """Authors of these candidates of whom nothing is on the page; each is asked about once."""
        return {author for author in {one.author_id for one in candidates} if self.hides_author(author)}

    def passed_over(self) -> None:
        """Much of what was read cannot be shown. A page that has nothing yet goes on past its deadline."""
        if not self.found:
            self.deadline.extend()

    def forget(self, below: int) -> None:
        """Posts from here on up have been looked at: a page that reads on far does not carry them along."""
        for source in self.sources:
            source.items = [row for row in source.items if row[0] < below]

    def name(self, step: str) -> None:
        """A step of the ladder is taken."""
        self.degraded[step] = None
