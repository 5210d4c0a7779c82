"""What is on the wire: `records` frozen values · `schemas` the Avro files of them · `codec` bytes ↔ records ·
`headers` of a message. Which record a topic holds is in `pipeline.path`.
"""
