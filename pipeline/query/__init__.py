"""How a page comes about: a chain of values, each a function of those before it.

    request ─▶ plan ─▶ load ─▶ latest | ranked ─▶ hydrate ─▶ page

`timeline` the chain, and the ladder down when time is short · `plan` what will be read, by `reader_view` and
`known_routes`, what a page must know of its reader and their authors · `load` all reads, each in its share of
the time · `latest`, `ranked` the two orders · `hydrate` the posts of what was chosen · `page` what is handed
out · `first_pages` those that were served · `looks` one post, one following · `render` as JSON. `caches` says
what is remembered and `cache` how; `deadline` shares out the time. The rules are in `domain`: `coverage`,
`merge`, `visibility`, `ranking`, `cursor`.
"""
