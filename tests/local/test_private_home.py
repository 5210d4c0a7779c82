"""A home is its owner's alone: made so, and closed again when it was open."""

import stat

import pytest

from pipeline.auth import home_keys
from pipeline.local import instance
from pipeline.local.home import Home, keep_private


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("there", [False, True])
def test_a_home_is_closed_to_others(tmp_path, there):
    """One that is not there yet, and an empty one; its parents are nobody's business."""
    home = tmp_path / "above" / "home"
    home.parent.mkdir(mode=0o755)
    if there:
        home.mkdir(mode=0o755)

    keep_private(home)

    assert (mode(home), mode(home.parent)) == (0o700, 0o755)


@pytest.mark.parametrize(
    "enter", [lambda home: instance.claimed(home), lambda home: Home(home).turn(lambda: None)]
)
def test_whoever_uses_a_home_closes_it(tmp_path, enter):
    """An instance, and engines alone; one that was open, with what is in it."""
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    (home / "ports.json").write_text("{}")

    with enter(home):
        assert mode(home) == 0o700


@pytest.mark.parametrize("given", [0o755, 0o1777])
def test_a_folder_of_other_things_is_left_as_it_is(tmp_path, given):
    """`--home .` and `--home /tmp` lock nobody out."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    if given == 0o1777:
        (folder / "ports.json").write_text("{}")
    folder.chmod(given)

    keep_private(folder)

    assert mode(folder) == given


@pytest.mark.parametrize("made", [home_keys.cursor_keys, home_keys.token_keys])
def test_files_with_secrets_are_closed_again(tmp_path, made):
    """As after a copy that lost its modes."""
    file = made(tmp_path)
    file.chmod(0o644)

    assert mode(made(tmp_path)) == 0o600
