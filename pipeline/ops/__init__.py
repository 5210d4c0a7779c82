"""What people do with a pipeline: one module a job, called by the command of the same name.

In: `publish` and `import_follows`, from `lines` of a file. Topology: `routing_settings` changes thresholds
while running (the rest is `runtime.topology_apply`). Looking: `budget`, `trace` (where a post is), `advise`
(what a backlog needs), `dead_letters`, `erased`; how late everything is, is `control.lag`. Acting:
`containment`, with its `blast` radius before, `drain`. Again: `dead_letters_again` sends letters back,
`replay` processes topics from their beginning, `offsets_reset` from anywhere. For others to look at:
`observability/` renders what Prometheus and Grafana read.
"""
