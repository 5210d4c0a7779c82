"""The rules of Tideline, without I/O, clock, randomness or logging: plain values in, outcomes out.

`intake` what an event may look like · `admission` what strangers' events are held against · `order` which of
two events counts · `snowflake` ids and time · `made_ids` ids of posts that come without one · `erasure`
how an account is forgotten · `edges` what a follow event changes ·
`segments` where followers live, tasks and shards · `routing` the class of an author · `hints` what ranking
may know from the write · `coverage` who is pushed and what is pulled · `merge` two paths into one page ·
`visibility` what a reader may see · `ranking` the order of a ranked page · `cursor` the place in a feed ·
`budgets` how late is too late · `lag_status` how a consumer gets on · `waiting` what waits for it, by weight
· `burn` how fast a budget is spent · `arrivals` who makes the work · `control` what is done about a tier that
is behind · `containment` what that says of the next post · `capacity` what a backlog needs · `audit` what a
feed must be, from the events alone, sharing none of the above · `tombstones` what a dead letter may bring
back · `hold` when a stage stops rather than refuse everything · `patience` how long an unknown schema is
asked for.
"""
