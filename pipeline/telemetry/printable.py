"""Text that strangers wrote, where a terminal or a log shows it.

A terminal obeys control characters (it retitles, wipes, writes the clipboard), and overrides of direction
have a line read as another; a line end in a log forges a line. All of them are shown as Python escapes.
"""

_JOINERS = "\u200c\u200d"
"""Of the invisible characters those that words and emoji are made with; they do nothing by themselves."""


def plain(text: str) -> str:
    """The text without what a terminal would obey; its lines stay lines."""
    return "\n".join(map(one_line, text.split("\n")))


def one_line(text: str) -> str:
    """The same, and line ends are shown as escapes too."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in _JOINERS else ascii(one)[1:-1] for one in text)
