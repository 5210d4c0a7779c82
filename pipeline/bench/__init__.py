"""Load generators and measured comparisons; they use what anybody may use, and are used by nothing but `cli`.

`tideline bench fanout`: `fanout` runs it · `workload` what is written · `processes` who writes · `table` what
came of it · `figures` what it says; `fanout_ceiling` and `row_at_a_time` are what the workers face.

`tideline bench reads`: `reads` runs it · `reads_ground` the pipeline it reads from · `reads_world` who
follows whom · `reads_contenders` who takes turns, `reads_bare` the baseline · `reads_load` the loop ·
`reads_faults` what goes wrong · `reads_figures` what it says.

`tideline demo`: `demo` runs it · `instance` the pipeline as a child · `graph` who follows whom · `kinds` of
authors · `demo_traffic` what is drawn · `demo_publish` and sent · `probe` when readers see it · `watch` lag
and rows meanwhile · `demo_view` what is shown · `demo_readers` who is audited · `verdict` is it clean.
"""
