"""The reader of PromQL that the other tests rely on: it must not overlook a name."""

import pytest

from tests.observability.promql import Asked, asked


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("up", [("up", set())]),
        ("time() - max by (a, b) (x)", [("", {"a", "b"}), ("x", set())]),
        ('rate(x_total{a="y{z}",b=~"c.*"}[5m])', [("x_total", {"a", "b"})]),
        ("sum(x) by (a) / on (b) group_left () y", [("x", set()), ("", {"a"}), ("", {"b"}), ("", set()), ("y", set())]),
        ("x unless x offset 10m > 0.5 or absent(y == 1)", [("x", set()), ("x", set()), ("y", set())]),
        ("max without (a) (slo:x:ratio) > (14.4 * 0.01)", [("", {"a"}), ("slo:x:ratio", set())]),
        ("sum by (le) (rate(x_bucket{d=~\"$d\"}[$__rate_interval])) > 1e-3", [("", {"le"}), ("x_bucket", {"d"})]),
        ("vector(0.99)", []),
    ],
)  # fmt: skip
def test_metrics_and_labels_are_found(expression, found):
    assert list(asked(expression)) == [Asked(metric, frozenset(labels)) for metric, labels in found]


@pytest.mark.parametrize("expression", ["x # y", 'x{a="b}', "x & y"])
def test_what_cannot_be_read_is_refused(expression):
    with pytest.raises(AssertionError, match="not PromQL"):
        list(asked(expression))
