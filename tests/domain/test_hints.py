"""Ranking hints: eight bytes, four fields of sixteen bits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain import hints

parts = st.floats(-2, 3)


@given(parts, parts, parts)
def test_hints_fit_a_non_negative_bigint(prior, quality, proximity):
    """The reserved upper sixteen bits are zero, whatever the parts are."""
    packed = hints.pack(author_prior=prior, quality=quality, proximity=proximity)

    assert 0 <= packed < 2**48


@given(parts, parts, parts)
def test_each_part_comes_back_clipped_to_one(prior, quality, proximity):
    """A part is a fraction, exact to half of 1/65,535, and never mistaken for its neighbour."""
    packed = hints.pack(author_prior=prior, quality=quality, proximity=proximity)

    wanted = {"author_prior": prior, "quality": quality, "proximity": proximity}
    for name, value in hints.unpack(packed)._asdict().items():
        assert value == pytest.approx(sorted((0.0, wanted.pop(name), 1.0))[1], abs=0.5 / 65_535 + 1e-12)
    assert not wanted


def test_the_layout_is_fixed():
    """Bits 47..32 proximity, 31..16 author prior, 15..0 quality: rows written long ago are still read."""
    assert hints.pack(proximity=1.0, author_prior=0.0, quality=0.0) == 0xFFFF_0000_0000
    assert hints.pack(proximity=0.0, author_prior=1.0, quality=0.0) == 0xFFFF_0000
    assert hints.pack(proximity=0.0, author_prior=0.0, quality=1.0) == 0xFFFF
    assert hints.pack(proximity=0.5, author_prior=0.25, quality=0.75) == 0x8000_4000_BFFF


@pytest.mark.parametrize(
    ("followers", "prior"), [(0, 0.0), (1, 1 / 24), (4_095, 0.5), (2**24 - 1, 1.0), (2**30, 1.0)]
)
def test_the_prior_grows_with_the_log_of_the_audience(followers, prior):
    """Nobody: 0. 16 M followers and more: 1."""
    packed = hints.of_post(followers=followers, body="", media=0)

    assert hints.unpack(packed).author_prior == pytest.approx(prior, abs=1 / 65_535)


@pytest.mark.parametrize(
    ("letters", "media", "quality"),
    [(0, 0, 0.0), (140, 0, 0.35), (279, 0, 0.6975), (280, 0, 0.7), (281, 0, 0.7), (0, 1, 0.3), (280, 4, 1.0)],
)
def test_quality_is_text_up_to_a_length_and_any_media(letters, media, quality):
    """280 letters are as good as more, one picture as good as four."""
    packed = hints.of_post(followers=0, body="x" * letters, media=media)

    assert hints.unpack(packed).quality == pytest.approx(quality, abs=1 / 65_535)
