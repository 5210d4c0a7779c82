"""What people do with a pipeline: one module a job, called by the command of the same name.

In: `publish` and `import_follows`, from `lines` of a file. Topology: `topology_plan` compares and
`topology_apply` acts; `policy_settings` changes thresholds while running. Looking: `lag` (who is late, by how
many seconds), `health` (how they stand, and how fast budgets burn), `health_topic` (what the controller said
of that last), `budget`, `groups` (who works on what), `trace` (where a post is), `advise` (what a backlog
needs), `audit` (what readers see against what they should), `dead_letters`. Acting: `containment`, with its
`blast` radius before, `drain`. Again: `dead_letters_again` sends letters back, `replay` processes topics from
their beginning, `offsets_reset` from anywhere. For others to look at: `observability/`
renders what Prometheus and Grafana read.
"""
