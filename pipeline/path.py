"""Every topic and every stage, in the order data meets them: the one list that all others follow from.

Which record a topic holds, who writes it, which topics are compacted and which a domain may share, what is
started and in which order, the picture in docs/architecture.md: all of it is read from here. A new topic or
stage is an entry here, its settings in `topology/`, and for a stage one module.

Fan-out is one stage here and several where it runs: each tier of `topology/tiers.yaml` is a stage of its own,
`fanout.TIER`, with a topic of its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipeline.wire import records

UPSTREAM, READERS, OPERATORS, STAGES_WRITE = "upstream", "readers", "operators", "stages"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic. `key`: of its messages. `record`: what their values hold; `bytes`: anything.

    `writer`: who writes to it first of all: services upstream, who acts for readers, operators, or stages.
    `compacted`: it is state, held whole by its readers, who would lose what retention deletes.
    `shareable`: a domain may read the home feed's: only users write to it, and it says the same to all feeds.
    `beside`: the topic whose events these are marks on; of one key both come to one worker.
    `renamed`: what the topic is called now; this one is read for one more release, and by the same workers.
    """

    name: str
    key: str
    record: type[Any]
    writer: str = STAGES_WRITE
    compacted: bool = False
    shareable: bool = False
    beside: str = ""
    renamed: str = ""

    @property
    def along(self) -> str:
        """The topic with as many partitions, so that what is about one key has one writer; "": none."""
        return self.beside or self.renamed

    @property
    def is_fanout(self) -> bool:
        """Whether it holds the tasks of a tier."""
        return self.record is records.FanoutTask


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage, and topics by name. `reads`: in a group of its own; empty for those that look at others.

    `follows`: without a group, whole or from their end; whatever reads follows `accounts.erased` too.
    `writes`: besides dead letters. `does`: what becomes of what it reads. `always`: it runs though no file
    of `topology/` names it. `build`: `MODULE:FUNCTION` that makes it of what a process opens; empty: the
    function of its name in `runtime.wiring`.
    """

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    does: str
    follows: tuple[str, ...] = ()
    always: bool = False
    build: str = ""


TOPICS: dict[str, Topic] = {
    one.name: one
    for one in (
        Topic("accounts", "user_id", records.AccountEvent, UPSTREAM, shareable=True),
        Topic("accounts.erased", "mark", records.ErasedAccount, compacted=True),
        Topic("follows", "author_id", records.FollowEvent, UPSTREAM),
        Topic("edge.marks", "author_id", records.FollowEvent, beside="follows"),
        Topic("posts", "author_id", records.PostEvent, UPSTREAM, shareable=True),
        Topic("activity", "reader_id", records.ActivityEvent, UPSTREAM),
        Topic("reader.marks", "reader_id", records.ActivityEvent, beside="activity"),
        Topic("moderation", "whom it is about", records.ModerationEvent, UPSTREAM, shareable=True),
        Topic(
            "policy", "whom it is about", records.PolicyEvent, UPSTREAM, shareable=True, renamed="moderation"
        ),
        Topic("routing.settings", "routing", records.RoutingSettings, OPERATORS, compacted=True),
        Topic("author.routes", "author_id", records.RouteRecord, compacted=True),
        Topic("author.suspensions", "author_id", records.Suspension, compacted=True),
        Topic("reader.cohorts", "reader_id", records.ReaderCohort, compacted=True),
        Topic("posts.classified", "author_id", records.ClassifiedPost),
        Topic("fanout.small", "author_id", records.FanoutTask),
        Topic("fanout.medium", "author_id", records.FanoutTask),
        Topic("fanout.large", "author_id", records.FanoutTask),
        Topic("fanout.backfill", "reader_id or author_id", records.RepairTask),
        Topic("fanout.retract", "author_id", records.RepairTask),
        Topic("account.erasures", "account_id", records.ErasureTask),
        Topic("page.changes", "kind", records.PageChange),
        Topic("timeline.requests", "reader_id", records.TimelineRequest, READERS),
        Topic("timeline.replies", "request_id", records.TimelineReply),
        Topic("dead.letters", "as it came", bytes),
        Topic("dead.letters.done", "partition@offset", records.LetterDone, OPERATORS, compacted=True),
        Topic("routing.forced", "author_id", records.ForcedClass, OPERATORS, compacted=True),
        Topic("costs", "measure@stage", records.CostSample, compacted=True),
        Topic("containment", "by/kind/target", records.Containment, compacted=True),
        Topic("containment.journal", "kind/target", records.JournalEntry),
        Topic("pipeline.health", "stage", records.StageHealth, compacted=True),
    )
}


RECORDS: dict[str, type[Any]] = {one.name: one.record for one in TOPICS.values()}
"""By topic, the record its values hold."""

FANOUT = "fanout"
"""What stands for every tier in `STAGES`, and begins the name of each."""

FOLLOWED = ("author.routes", "author.suspensions", "page.changes")
"""What pages are made of besides tables: whoever serves them follows it, and is behind while it lags."""

STAGES: dict[str, Stage] = {
    one.name: one
    for one in (
        Stage(
            "graph",
            ("follows", "edge.marks"),
            ("fanout.backfill", "fanout.retract", "page.changes"),
            "segments of followers, and their mirror",
        ),
        Stage(
            "readers",
            ("accounts", "activity", "reader.marks"),
            (
                *("reader.cohorts", "reader.marks", "edge.marks", "fanout.backfill", "page.changes"),
                *("accounts.erased", "account.erasures", "author.suspensions"),
            ),
            "who is pushed to, and which edges are warm",
            follows=("author.routes", "costs"),
        ),
        Stage("counters", ("activity",), (), "how many engage with a post"),
        Stage(
            "moderation",
            ("moderation", "policy"),
            ("author.suspensions", "edge.marks", "fanout.backfill", "fanout.retract", "page.changes"),
            "what pages are filtered by",
        ),
        Stage(
            "classify",
            ("posts",),
            (
                "author.routes",
                FANOUT,
                "fanout.backfill",
                "fanout.retract",
                "posts.classified",
                "page.changes",
            ),
            "the post, and whether its author is pushed or pulled",
            follows=("routing.settings", "routing.forced", "costs", "containment"),
        ),
        Stage(
            FANOUT,
            (FANOUT,),
            (FANOUT, "costs"),
            "rows in timelines",
            follows=("reader.cohorts", "containment"),
        ),
        Stage(
            "backfill",
            ("fanout.backfill",),
            ("edge.marks", "page.changes"),
            "rows that were missed",
            follows=("containment",),
        ),
        Stage(
            "retract",
            ("fanout.retract", "account.erasures"),
            (
                *("edge.marks", "fanout.backfill", "fanout.retract", "account.erasures", "page.changes"),
                *("author.routes", "author.suspensions", "routing.forced"),
            ),
            "rows that must go, and accounts that are erased",
            follows=("containment",),
        ),
        Stage(
            "query",
            ("timeline.requests",),
            ("timeline.replies", "costs"),
            "pages over Kafka",
            follows=(*FOLLOWED, "containment"),
        ),
        Stage(
            "api",
            (),
            ("costs",),
            "pages over HTTP",
            follows=(*FOLLOWED, "containment"),
            always=True,
        ),
        Stage(
            "auditor",
            (),
            (),
            "what readers are served, held against the tables",
            follows=("author.routes", "author.suspensions", "containment"),
        ),
        Stage(
            "controller",
            (),
            ("pipeline.health", "containment", "containment.journal"),
            "how far every stage is behind, and what is done about it",
            follows=("posts.classified", "containment", "containment.journal"),
        ),
    )
}


def tier_stage(tier: str) -> str:
    """The stage that writes for a tier."""
    return f"{FANOUT}.{tier}"


def tier_of(stage: str) -> str | None:
    """The tier that a stage writes for; None when it is no stage of a tier."""
    kind, dot, tier = stage.partition(".")
    return tier if dot and kind == FANOUT else None


def without_topics(stage: str) -> bool:
    """Whether it is a stage that looks at others only, so that no file of `topology/` has to name it."""
    return stage in STAGES and not STAGES[stage].reads


def names(tiers: Iterable[str]) -> list[str]:
    """Every stage that a process may run, in path order, with a stage for each of these tiers."""
    tiered = [tier_stage(tier) for tier in tiers]
    return [name for one in STAGES.values() for name in (tiered if one.name == FANOUT else [one.name])]


def picture() -> list[str]:
    """The path as README shows it, a line a stage: what it reads, its name, what becomes of it."""
    named = [(_topics(one.reads), one.name, one.does) for one in STAGES.values()]
    reads, names_ = (max(len(row[at]) for row in named) for at in (0, 1))
    return [f"{read:{reads}} {'─▶' if read else '  '} {name:{names_}}  {does}" for read, name, does in named]


def table() -> list[str]:
    """The same with every topic, as the rows of a table in Markdown."""
    head = ["| stage | reads | follows | writes |", "|---|---|---|---|"]
    return head + [
        f"| {one.name} | {_topics(one.reads)} | {_topics(one.follows)} | {_topics(one.writes)} |"
        for one in STAGES.values()
    ]


def _topics(names: Iterable[str]) -> str:
    return ", ".join(tier_stage("TIER") if name == FANOUT else name for name in names)
