"""How a page comes about, in the order of its chain.

`timeline` the chain, and the ladder down when time is short · `reader_view`, `known_routes` what a page must
know of its reader and their authors · `frontier` which sources it may need · `fetch` reads them, and the
posts at the end · `latest`, `ranked` the two orders · `page` what is handed out · `first_pages` those that
were served · `looks` one post, one following · `render` as JSON. `caches` says what is remembered and `cache`
how; `deadline` shares out the time. The rules are in `domain`: `coverage`, `merge`, `visibility`, `ranking`,
`cursor`.
"""
