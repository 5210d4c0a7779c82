"""Load generators and measured comparisons; they use what anybody may use, and are used by nothing but `cli`.

`tideline bench fanout`: `fanout` runs it · `workload` what is written · `processes` who writes · `table` what
came of it · `figures` what it says; `fanout_ceiling` and `row_at_a_time` are what the workers face.
"""
