"""Tideline: a post reaches its readers.

The path, in the order data meets the code; in brackets the rules of `domain` that decide:

 1. `ops.publish`       JSON lines become events on the input topics [`intake`]
 2. `stages.graph`      follows → segments of followers and their mirror [`edges`, `segments`]
 3. `stages.readers`    accounts, activity → active or dormant, warm edges [`cohorts`, `warmth`]; who is
     erased is hidden at once (`stages.erase`) [`erasure`]
 4. `stages.counters`   activity → how many readers engage with a post, by the hour [`engagement`]
 5. `stages.moderation` blocks, mutes, suspensions, take-downs → what pages are filtered by
 6. `stages.classify`   posts → canonical post, author's class, fan-out tasks [`routing`, `cost`, `budgets`]
 7. `stages.fanout`     tasks → rows in timelines, a tier each [`coverage`]
 8. `stages.backfill`   rows that were missed: a follow, a return [`repair`]
 9. `stages.retract`    rows that must go: an unfollow, a deletion, a suspension [`repair`]; an erased
     account, out of every table (`stages.erase`) [`erasure`]
10. `query.timeline`       timeline + pulled authors → one page: `plan`, `load`, `latest` or `ranked`,
     `hydrate`, `page` [`coverage`, `merge`, `visibility`, `ranking`, `cursor`], with what `caches` remember,
     over HTTP (`web.api`) and over Kafka (`stages.ask`)
11. `audit.auditor`    what readers are served, held against the tables [`audit`, `audit_rows`]
12. `control.controller` how far every stage is behind, and what is done about it: pushes are shed, authors
     pulled, repairs deferred [`lag_status`, `burn`, `arrivals`, `control`, `containment`]

What strangers send is let in by one rule (`admission`) before any stage, and one rule says which of two
events about one thing counts (`order`).

Under it: `wire` (records and codec), `topology` (topics, tiers, budgets, routing), `kafka` (`loop`: nothing
acknowledged before it is durable; `dead_letters`: nothing dropped in silence), `store` (six ports,
Cassandra behind them). Around it: `runtime` runs a stage in a process; `control` says how far everything is
behind and acts, `audit` whether readers see what they should; `ops` looks after them, `local` runs real
engines and a supervisor on one machine, `bench` measures, `cli` is the command `tideline`. All rooms:
docs/architecture.md.
"""
