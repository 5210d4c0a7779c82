"""What travels on each topic, in path order: the one place that says so.

The tests hold this list against `topology/topics.yaml`: no topic without a schema, no entry without a topic.
"""

from typing import Any

from pipeline.wire import records

TOPICS: dict[str, type[Any]] = {
    "accounts": records.AccountEvent,
    "accounts.erased": records.ErasedAccount,
    "follows": records.FollowEvent,
    "edge.marks": records.FollowEvent,
    "posts": records.PostEvent,
    "activity": records.ActivityEvent,
    "reader.marks": records.ActivityEvent,
    "policy": records.PolicyEvent,
    "policy.settings": records.PolicySettings,
    "author.routes": records.RouteRecord,
    "author.suspensions": records.Suspension,
    "reader.cohorts": records.ReaderCohort,
    "posts.classified": records.ClassifiedPost,
    "fanout.small": records.FanoutTask,
    "fanout.medium": records.FanoutTask,
    "fanout.large": records.FanoutTask,
    "fanout.backfill": records.RepairTask,
    "fanout.retract": records.RepairTask,
    "account.erasures": records.ErasureTask,
    "page.changes": records.PageChange,
    "timeline.requests": records.TimelineRequest,
    "timeline.replies": records.TimelineReply,
    "dead.letters": bytes,
    "dead.letters.done": records.LetterDone,
    "policy.forced": records.ForcedClass,
    "costs": records.CostSample,
    "containment": records.Containment,
    "containment.journal": records.JournalEntry,
    "pipeline.health": records.StageHealth,
}
"""By topic, the record its values hold; `bytes`: the original bytes of whatever could not be processed."""

FOLLOWED = ("author.routes", "author.suspensions", "page.changes")
"""What whoever serves pages follows without a group: whole, or from its end."""
