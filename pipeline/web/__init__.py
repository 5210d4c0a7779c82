"""The HTTP API: `api` has the routes and their errors; a page is rendered by `agents.render`."""
