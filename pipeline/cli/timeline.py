"""`tideline timeline`: a reader's feed as its HTTP API gives it."""

import http.client
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode, urlsplit

import typer

from pipeline.cli.options import DEFAULT_HOME, DomainOption, HomeOption, JsonOption, settings
from pipeline.cli.running import echo, print_json, print_table
from pipeline.errors import TidelineError

if TYPE_CHECKING:
    from pipeline.cli._tables import Table

_TIMEOUT_S = 10.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("timeline")(timeline)


def timeline(
    reader: Annotated[int, typer.Argument(metavar="READER", help="The id of the reader.")],
    limit: Annotated[int, typer.Option(metavar="N", help="Posts a page.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="The next_cursor of the page before.")] = None,
    mode: Annotated[
        str | None, typer.Option(metavar="latest|ranked", help="Newest first, or best first.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show how each post came there.")] = False,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Show a page of a reader's feed, asked of the running instance."""
    from pipeline.auth.home_keys import tokens_of
    from pipeline.auth.tokens import Caller
    from pipeline.local.instance import find

    given = settings(home=home)
    given_parts = {"limit": limit, "cursor": cursor, "mode": mode, "explain": 1 if explain else None}
    asked = {name: part for name, part in given_parts.items() if part is not None}
    api, keys = find(given.home).api_of(domain), tokens_of(given)
    shown = {} if keys is None else keys.shown_by(Caller(reader))
    page = _get(api, f"/v1/readers/{reader}/timeline?{urlencode(asked)}", shown)
    if json:
        print_json(page)
        return
    print_table(_table(page["items"], explain=explain))
    for name, width in page.get("explain", {}).items():
        echo(f"{name.replace('_', ' ')}: {width}", err=True)
    if page["degraded"]:
        echo(f"degraded: {', '.join(page['degraded'])}", err=True)
    if page["lacks"]:
        echo(f"lacks posts of: {', '.join(page['lacks'])}", err=True)
    if page["next_cursor"]:
        echo(f"more: --cursor {page['next_cursor']}", err=True)


def _get(api: str, path: str, headers: dict[str, str]) -> dict[str, Any]:
    """The JSON at this path. Raises TidelineError with the API's own reason when it gives none."""
    import orjson

    place = urlsplit(api)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body: dict[str, Any] = orjson.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise TidelineError(f"{api} does not answer: {error}", "tideline status") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise TidelineError(f"{answer.status} {body.get('title', '')}: {body.get('detail', '')}")
    return body


def _table(items: list[dict[str, Any]], *, explain: bool) -> "Table":
    from datetime import datetime

    from rich.text import Text

    from pipeline.cli._tables import Table

    ranked = any("score" in item for item in items)
    told = [*(["path", "tier"] if explain else []), *(["score"] if ranked else [])]
    table = Table("post", "author", "created", *told, "body", box=None, pad_edge=False)
    for item in items:
        created = datetime.fromtimestamp(item["created_at"] / 1000).astimezone()
        known = {**item, "score": f"{item['score']:.2f}"} if ranked else item
        body = Text(" ".join(item["body"].split()), overflow="ellipsis", no_wrap=True)
        when = created.isoformat(sep=" ", timespec="milliseconds")[:23]
        table.add_row(item["post_id"], item["author_id"], when, *(known[name] for name in told), body)
    return table
