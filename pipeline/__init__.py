"""Tideline: a post reaches its readers.

The path, in the order data meets the code; in brackets the rules of `domain` that decide:

 1. `ops.publish`       JSON lines become events on the input topics [`intake`]
 2. `agents.graph`      follows → segments of followers and their mirror [`edges`, `segments`]
 3. `agents.readers`    accounts, activity → active or dormant, warm edges [`cohorts`, `warmth`]; who is
     erased is hidden at once (`agents.erase`) [`erasure`]
 4. `agents.counters`   activity → how many readers engage with a post, by the hour [`engagement`]
 5. `agents.policy`     blocks, mutes, suspensions, take-downs → what pages are filtered by
 6. `agents.classify`   posts → canonical post, author's class, fan-out tasks [`policy`, `cost`, `budgets`]
 7. `agents.fanout`     tasks → rows in timelines, a tier each [`coverage`]
 8. `agents.backfill`   rows that were missed: a follow, a return [`repair`]
 9. `agents.retract`    rows that must go: an unfollow, a deletion, a suspension [`repair`]; an erased
     account, out of every table (`agents.erase`) [`erasure`]
10. `pages.query`       timeline + pulled authors → one page: `frontier`, `fetch`, `latest` or `ranked`
     [`coverage`, `merge`, `visibility`, `ranking`, `cursor`], with what `caches` remember,
     over HTTP (`web.api`) and over Kafka (`agents.ask`)
11. `agents.auditor`    what readers are served, held against the tables [`audit`, `audit_rows`]
12. `agents.controller` how far every stage is behind, and what is done about it: pushes are shed, authors
     pulled, repairs deferred [`lag_status`, `burn`, `arrivals`, `control`, `containment`]

What strangers send is let in by one rule (`admission`) before any stage, and one rule says which of two
events about one thing counts (`order`).

Under it: `records` and `codec` (what is on the wire), `topology` (topics, tiers, budgets, policy) and
`names` (what the engines call a domain's), `kafka` (`loop`: nothing acknowledged before it is durable;
`dead_letters`: nothing dropped in silence), `store` (six ports, Cassandra behind them). Around it: `ranker`
finds the model that ranks; `stages` binds each stage to its ports (`serving`: those that serve pages),
`apps` makes a Faust app of it and `worker` runs one in a process; `tokens` says who may read; `ops` looks
after them, `local` runs real engines and a supervisor on one machine, `bench` measures, `cli` is the command
`tideline`.
"""
