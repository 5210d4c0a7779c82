"""Where the tests' promtool comes from: without it CI must be red, not silent."""

import subprocess

import pytest

from tests.observability import promtool


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    monkeypatch.setattr(promtool.shutil, "which", lambda name: None)
    monkeypatch.setattr(promtool, "CACHED", tmp_path / "cache" / "promtool")


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_without_apt_ci_fails_and_others_skip(ci, outcome, monkeypatch):
    def away(*command, **more):
        raise FileNotFoundError("apt-get")

    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(subprocess, "run", away)

    with pytest.raises(outcome, match="no promtool: install"):
        promtool.find()


def test_it_is_fetched_once_also_where_apt_has_no_lists_yet(monkeypatch):
    said = []

    def apt(command, *, cwd, **more):
        said.append(command[0] if command[0] != "apt-get" else next(w for w in command if w in VERBS))
        if said == ["download"]:
            raise subprocess.CalledProcessError(100, command, stderr="Unable to locate package")
        if said[-1] == "download":
            (promtool.Path(cwd) / "prometheus_1_amd64.deb").touch()
        if said[-1] == "dpkg-deb":
            (promtool.Path(cwd) / "unpacked" / "usr" / "bin").mkdir(parents=True)
            (promtool.Path(cwd) / "unpacked" / "usr" / "bin" / "promtool").touch()

    monkeypatch.setattr(subprocess, "run", apt)

    assert promtool.find() == promtool.find() == promtool.CACHED
    assert said == ["download", "update", "download", "dpkg-deb"]
    assert list(promtool.CACHED.parent.iterdir()) == [promtool.CACHED]


VERBS = {"update", "download"}
