"""What a process tells about itself: `metrics` every one of the product · `gauges` those that are computed
when they are read · `logs` one line an event · `printable` text of strangers, for terminals and logs.
"""
