"""How far everything is behind, and what is done about it.

Looking: `lag` who is late by how many seconds, `live_lag` again and again · `task_weights` what waits, in
deliveries · `tiers_behind`, `groups` who works on what · `health` how stages stand and how fast budgets
burn, `live_health` now, `health_topic` what was said last · `costs` of a push and a pull. Acting:
`controller` sheds, pulls and defers by `domain.control`, `throttle` slows clients. Told in `lag_metrics`,
`health_metrics`, `controller_metrics`.
"""
