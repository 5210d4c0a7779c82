"""The wall clock, read at the edges and passed as an argument to the rules."""

import time


def now_ms() -> int:
    """Milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000
