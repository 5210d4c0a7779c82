"""The HTTP API, in the order a request meets it.

`api` the routes and what stands around them · `request_ids` a name for each request · `problems` every error
as RFC 9457 has it · `callers` who asks, and whether they may · `limits` how often · `parameters` single ones
· `reads` a page, a post, a following · `answers` ETag, 304, gzip · `health` for orchestrators and Prometheus
· `openapi`, `schemas` all of it as a document. A page is rendered by `query.render`.
"""
