"""Tideline: a post reaches its readers.

The path, in the order data meets the code; in brackets the rules of `domain` that decide:

 1. `ops.publish`       JSON lines become events on the input topics [`intake`]
 2. `agents.graph`      follows → segments of followers and their mirror [`edges`, `segments`]
 3. `agents.readers`    accounts, activity → active or dormant, warm edges [`cohorts`, `warmth`]
 4. `agents.policy`     blocks, mutes, suspensions, take-downs → what pages are filtered by
 5. `agents.classify`   posts → canonical post, author's class, fan-out tasks [`policy`, `cost`, `budgets`]
 6. `agents.fanout`     tasks → rows in timelines, a tier each [`coverage`]
 7. `agents.backfill`   rows that were missed: a follow, a return [`repair`]
 8. `agents.retract`    rows that must go: an unfollow, a deletion, a suspension [`repair`]
 9. `agents.query`      timeline + pulled authors → one page [`coverage`, `merge`, `visibility`, `cursor`],
    over HTTP (`web.api`) and over Kafka (`agents.ask`)
10. `agents.auditor`    what readers are served, held against the tables [`audit`, `audit_rows`]

Under it: `records` and `codec` (what is on the wire), `topology` (topics, tiers, budgets, policy) and `names`
(what the engines call a domain's), `kafka` (`loop`: nothing acknowledged before it is durable;
`dead_letters`: nothing dropped in silence), `store` (five ports, Cassandra behind them). Around it: `stages`
binds each stage to its ports, `apps` makes a Faust app of it and `worker` runs one in a process; `ops` looks
after them, `local` runs real engines and a supervisor on one machine, `bench` measures, `cli` is the command
`tideline`.
"""
