"""The seam for models: whatever is installed under `tideline.ranking` ranks; whatever cannot is refused."""

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from pipeline import topology
from pipeline.config import shipped
from pipeline.domain.ranking import Features, Weighted, rank
from pipeline.errors import ConfigError
from pipeline.runtime import ranker

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "chronological_ranker"


def install(site: Path, package: str, models: dict[str, str]) -> None:
    """What pip leaves of a package that declares these models."""
    info = site / f"{package}-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1.0\n")
    lines = [f"{name} = {value}" for name, value in models.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{ranker.GROUP}]", *lines, ""]))


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder that packages are installed in."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def choose(tmp_path: Path, model: str, options: str = ""):
    """The ranking of the shipped topology under a profile that chooses a model."""
    folder = tmp_path / "topology"
    shutil.copytree(shipped.folder("topology"), folder)
    (folder / "profiles" / "mine.yaml").write_text(
        "apiVersion: tideline/v1\nkind: Profile\nmetadata: {name: mine}\nspec:\n"
        f"  ranking: {{model: {model}{options and f', options: {{{model}: {options}}}'}}}\n"
    )
    return topology.load(folder, "mine").ranking


def test_the_profiles_in_the_docs_load(tmp_path):
    """And name the models and options they say they do."""
    blocks = re.findall(r"^```\n(spec:\n.*?)^```", (ROOT / "docs" / "ranking.md").read_text(), re.M | re.S)
    folder = tmp_path / "topology"
    shutil.copytree(shipped.folder("topology"), folder)
    for number, block in enumerate(blocks):
        head = f"apiVersion: tideline/v1\nkind: Profile\nmetadata: {{name: docs{number}}}\n"
        (folder / "profiles" / f"docs{number}.yaml").write_text(head + block)

    tuned, own = (topology.load(folder, f"docs{number}").ranking for number in range(len(blocks)))

    assert (tuned.diversity, tuned.options.weighted.weights.age) == (1, 3)
    assert (own.model, own.of_model) == ("chronological", {"hours_an_engagement": 1.5})


def candidate(post_id, hours, likes):
    return Features(post_id, post_id, hours * 3600.0, 0.0, 0.0, 0.0, likes, 0, 0)


def test_the_shipped_model_is_made_of_the_shipped_options():
    spec = topology.load().ranking

    assert spec.model == "weighted"
    assert ranker.load(spec) == Weighted(spec.options.weighted.weights.model_dump(), half_life_s=6 * 3600)


def test_the_shipped_model_is_declared_as_any_other_is():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["entry-points"][ranker.GROUP] == {"weighted": "pipeline.runtime.ranker:weighted"}


def test_the_shipped_model_is_known_where_nothing_is_declared(monkeypatch):
    """As in a checkout that was installed before the declaration was there."""
    monkeypatch.setattr(ranker, "entry_points", lambda group: [])

    assert isinstance(ranker.load(topology.load().ranking), Weighted)


def test_the_example_installed_ranks(tmp_path, site):
    """Files and declaration are the example's own; a profile chooses it and tells it its option."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())
    for file in project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]:
        shutil.copy(EXAMPLE / file, site)
    install(site, "chronological_ranker", project["project"]["entry-points"][ranker.GROUP])
    posts = [candidate(1, hours=5, likes=0), candidate(2, hours=4, likes=0), candidate(3, hours=6, likes=2)]

    spec = choose(tmp_path, "chronological", "{hours_an_engagement: 1.5}")

    assert [(one.post_id, one.score) for one in rank(posts, ranker.load(spec), spec.diversity)] == [
        (3, -3.0),
        (2, -4.0),
        (1, -5.0),
    ]


def test_a_model_that_is_told_nothing_has_no_options(tmp_path, site):
    (site / "plain.py").write_text(
        "def make(options):\n    assert options == {}\n    return type('M', (), {'score': len})\n"
    )
    install(site, "plain", {"plain": "plain:make"})

    assert ranker.load(choose(tmp_path, "plain")).score == len


def test_a_model_nobody_installed_is_refused_with_those_there_are(tmp_path, site):
    install(site, "other", {"other": "other:make"})

    with pytest.raises(ConfigError) as caught:
        ranker.load(choose(tmp_path, "mine"))

    assert caught.value.message == "ranking.model: no model mine"
    assert caught.value.hint == "models: other, weighted"


def test_two_models_of_one_name_are_refused(tmp_path, site):
    """Which of them would run is a matter of the order of folders."""
    install(site, "other", {"weighted": "other:make"})

    with pytest.raises(ConfigError) as caught:
        ranker.load(topology.load().ranking)

    assert (
        caught.value.message == "ranking.model: weighted is other:make and pipeline.runtime.ranker:weighted"
    )


def test_the_same_model_told_of_twice_is_one(site):
    """A checkout installed twice, as an editable installation and a wheel."""
    install(site, "once", {"weighted": "pipeline.runtime.ranker:weighted"})
    install(site, "again", {"weighted": "pipeline.runtime.ranker:weighted"})

    assert isinstance(ranker.load(topology.load().ranking), Weighted)


@pytest.mark.parametrize(
    ("module", "code", "problem"),
    [
        ("lost", "import nowhere_to_be_found", "ModuleNotFoundError"),
        ("empty", "", "AttributeError"),
        ("number", "make = 5", "TypeError"),
        ("choosy", "def make(options): raise ValueError('depth: must be 3')", "depth: must be 3"),
        ("mute", "def make(options): return 5", "gave 5, which has no `score`"),
    ],
)
def test_a_model_that_cannot_be_made_is_refused(tmp_path, site, module, code, problem):
    """At the start of the process, with the entry point, and not page by page."""
    module = f"broken_{module}"
    (site / f"{module}.py").write_text(code + "\n")
    install(site, module, {"broken": f"{module}:make"})

    with pytest.raises(ConfigError) as caught:
        ranker.load(choose(tmp_path, "broken"))

    assert f"{module}:make" in caught.value.message
    assert problem in caught.value.message


def test_options_the_shipped_model_does_not_know_are_refused_when_given_past_the_topology():
    with pytest.raises(ValueError, match="half_life"):
        ranker.weighted({"half_life": 6})
