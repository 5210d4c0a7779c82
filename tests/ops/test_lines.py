"""Lines in bounded memory, however the blocks fall that they are read in."""

import gzip

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import TidelineError
from pipeline.ops import lines


@pytest.fixture
def small(monkeypatch):
    """Lines of at most 10 bytes, read in blocks of 4."""
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 10)
    monkeypatch.setattr(lines, "_BLOCK", 4)


def read(path):
    with lines.opened(str(path)) as source:
        return [line for batch in source.batches() for line in batch]


@pytest.mark.parametrize("end", [b"", b"\n", b"\nx"])
@pytest.mark.parametrize(
    ("length", "too_long"), [(9, False), (10, False), (11, True), (12, True), (100, True)]
)
def test_a_line_is_too_long_beyond_its_limit(small, tmp_path, length, too_long, end):
    (tmp_path / "file").write_bytes(b"1\n" + b"a" * length + end)

    first, second, *_ = read(tmp_path / "file")

    assert first == (1, b"1")
    assert (second.number, second.too_long) == (2, too_long)
    assert len(second.data) == min(length, 11)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="ab\n", max_size=60).map(str.encode))
def test_every_line_is_read_once_with_its_number(small, tmp_path, content):
    (tmp_path / "file").write_bytes(content)

    found = read(tmp_path / "file")

    expected = content.removesuffix(b"\n").split(b"\n") if content else []
    assert [line.number for line in found] == list(range(1, len(expected) + 1))
    assert [line.data for line in found] == [line[:11] for line in expected]


@pytest.mark.parametrize("name", ["file", "file.gz"])
def test_a_byte_order_mark_and_carriage_returns_are_no_part_of_a_line(tmp_path, name):
    """Files from Windows, and two of them one after the other."""
    mark = b"\xef\xbb\xbf"
    content = mark + b"one\r\n\r\n" + mark + b"two\r\nth\rree"
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)

    assert [line.data for line in read(tmp_path / name)] == [b"one", b"", b"two", b"th\rree"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 16), st.booleans(), st.booleans())
def test_a_mark_or_a_carriage_return_does_not_count_for_the_length(small, tmp_path, length, marked, windows):
    """However the blocks fall."""
    mark, end = b"\xef\xbb\xbf" * marked, b"\r" * windows
    (tmp_path / "file").write_bytes(mark + b"a" * length + end + b"\nb")

    first, second = read(tmp_path / "file")

    assert first.too_long == (length > 10)
    assert first.data == b"a" * min(length, 11)
    assert second == (2, b"b")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_said_to_be_that(tmp_path, encoding):
    """As some programs on Windows write it."""
    (tmp_path / "file").write_bytes("\ufeff{}\r\n".encode(encoding))

    with pytest.raises(TidelineError, match="UTF-16"):
        read(tmp_path / "file")
