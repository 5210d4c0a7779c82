"""What is on the wire: `records` frozen values · `schemas` the Avro files of them · `codec` bytes ↔ records ·
`topics` which record a topic holds · `headers` of a message.
"""
