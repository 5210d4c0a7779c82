"""Does each reader see what they should?

`from_events` asks the API and knows what was published (demo, bench) · `live` asks the API and knows the
tables (`tideline audit`), with `auditor` the stage that does so for ever: `reader_scan` draws readers,
`expectation` says what each should see, `verdicts` what differed. `feeds` reads a whole feed. The
comparison is in `domain.audit`.
"""
