"""A stage in a process, in the order of its start.

`worker` the process · `resources` what it opens, `memory` the twin of that · `wiring` what each stage is
made of, `serving` those that serve pages, `ranker` the model that ranks them · `apps` a stage as a Faust app,
with `admitting` in front of it. `topology_plan`, `topology_apply` and `acls` bring the engines to what
`topology/` says, which each process checks before it starts.
"""
