"""Of two controllers one tells: the one that leads, and what it told is gone when it no longer does."""

import pytest

from pipeline.control import health_metrics, lag_metrics
from pipeline.control.controller_metrics import JournalMetrics
from pipeline.control.lag import PartitionLag, StageLag
from pipeline.wire.records import AuthorClass, Containment, JournalEntry, StageHealth
from tests import exported

LAGS = [StageLag("classify", "g", None, (PartitionLag("posts", 0, 3, 4, 1, 500, 0.5),))]
HEALTHS = [StageHealth("classify", "OK", 1, None, 0.5, None, (), "nothing", (), 0)]
IN_FORCE = [Containment("shed", "large", AuthorClass.PULL, 0, "burn", "controller", 0, 0)]
SERIES = ("kafka_consumergroup_group_lag", "tideline_stage_status", "tideline_containment")


@pytest.fixture
def told():
    leads = [True]
    yield leads, JournalMetrics(lambda: leads[0], lambda: LAGS)
    health_metrics.acting(False)
    lag_metrics.export([])


def test_the_one_that_leads_tells_and_takes_it_back(told):
    leads, tell = told

    tell(HEALTHS, IN_FORCE)
    assert exported.value("tideline_controller_acting") == 1
    assert all(exported.values(name) for name in SERIES)

    leads[0] = False
    tell(HEALTHS, IN_FORCE)
    assert exported.value("tideline_controller_acting") == 0
    assert [exported.values(name) for name in SERIES] == [{}, {}, {}]


def test_an_entry_of_the_journal_is_counted_once_though_two_read_it(told):
    leads, tell = told
    grown = exported.Counted("tideline_containment_events_total", kind="shed", event="started", by="operator")
    entry = JournalEntry(0, "started", "shed", "large", "by hand", "kim", 0)

    for leads[0] in (True, False):
        tell.put(b"shed/large", entry)
    tell.put(b"shed/large", None)

    assert grown() == 1
