"""The advice on workers, held against simulations that move one piece of work at a time."""

import heapq
import math
import random
from collections import deque
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain import segments
from pipeline.domain.capacity import NEVER, Load, advise, drain


def simulated(load, workers, until):
    """Seconds until every worker has once had nothing left to do; inf when one has not by `until`.

    Work comes in units, arrives for each partition in turn at equal intervals, and each worker takes from
    its longest queue. The heaviest partitions are neighbours, as the rule takes them to be.
    """
    queues = sorted((int(one) for one in load.backlog), reverse=True)
    share = math.ceil(len(queues) / workers)
    mine = [range(at, min(at + share, len(queues))) for at in range(0, len(queues), share)]
    events = [(0.0, "take", worker) for worker in range(len(mine))]
    if load.arrival:
        events.append((1 / load.arrival, "arrive", 0))
    heapq.heapify(events)
    idle_at = {}
    while len(idle_at) < len(mine):
        now, kind, which = heapq.heappop(events)
        if now > until:
            return NEVER
        if kind == "arrive":
            queues[which % len(queues)] += 1
            heapq.heappush(events, (now + 1 / load.arrival, "arrive", which + 1))
            continue
        longest = max(mine[which], key=queues.__getitem__)
        if queues[longest]:
            queues[longest] -= 1
        else:
            idle_at.setdefault(which, now)
        heapq.heappush(events, (now + 1 / load.service, "take", which))
    return max(idle_at.values())


backlogs = st.lists(st.integers(0, 300), min_size=1, max_size=8).map(tuple)


@given(backlogs, st.integers(1, 10), st.floats(0, 0.8), st.sampled_from([1.0, 7.0, 40.0]))
def test_a_backlog_drains_when_the_simulation_says(backlog, workers, load_share, service):
    """Within the few units that are in hand: the busiest worker's, and one arrival for each partition."""
    share = math.ceil(len(backlog) / workers)
    load = Load(backlog, load_share * service / share * len(backlog), service, workers)

    found = drain(load, workers)

    slack = (2 * share + 2) / (found.service - found.arrival)
    assert simulated(load, workers, found.seconds * 2 + 10 * slack) == pytest.approx(found.seconds, abs=slack)


@given(backlogs, st.integers(1, 8), st.floats(1.0, 3))
def test_what_arrives_faster_than_it_is_processed_never_drains(backlog, workers, times):
    share = math.ceil(len(backlog) / workers)
    load = Load(tuple(one + 50 for one in backlog), times * 1.01 * 10 / share * len(backlog), 10.0, workers)

    assert drain(load, workers).seconds == NEVER
    assert simulated(load, workers, 30) == NEVER


@given(backlogs, st.floats(0, 50), st.floats(0.1, 50), st.one_of(st.none(), st.floats(1, 4)))
def test_more_workers_are_never_slower(backlog, arrival, service, headroom):
    load = Load(backlog, arrival, service, 1, headroom)

    times = [drain(load, workers).seconds for workers in range(1, len(backlog) + 3)]

    shared = headroom is not None and headroom < len(backlog)
    if not shared:
        assert times == sorted(times, reverse=True)
    assert times[-1] == times[-2] == times[-3]  # beyond the partitions they are idle


@pytest.mark.parametrize(("workers", "seconds"), [(1, 40), (2, 20), (3, 20), (4, 10), (5, 10)])
def test_a_partition_has_one_worker(workers, seconds):
    """Of four partitions three workers have two at most, which is what two workers have."""
    assert drain(Load((100.0,) * 4, 0, 10, 1), workers).seconds == seconds


@pytest.mark.parametrize(("headroom", "service"), [(None, 10), (4, 10), (2, 5), (1, 2.5), (0.5, 2.5)])
def test_workers_share_the_cpus_that_are_left(headroom, service):
    """Twice the work of now fits on the machine: four workers do half of what one does."""
    assert drain(Load((100.0,) * 4, 0, 10, 1, headroom), 4).service == service


def test_the_fewest_workers_that_are_in_time_are_advised():
    load = Load((120.0,) * 8, 8, 10, 1)

    advice = advise(load, 60, lag_budget_s=30)

    assert [(one.workers, round(one.seconds)) for one in advice.options] == [
        (1, 480),
        (2, 80),
        (3, 51),
        (4, 30),
        (8, 13),
    ]
    assert (advice.workers, advice.best.workers) == (3, 3)
    assert (advice.partitions, advice.lag_budget_s) == (None, 52)
    assert str(advice.best) == "360 / (10.0/s - 3.0/s) = 51.4 s"


def test_enough_workers_are_left_as_they_are():
    advice = advise(Load((10.0,) * 8, 0, 10, 2), 60, lag_budget_s=30)

    assert (advice.workers, advice.partitions, advice.lag_budget_s) == (None, None, None)


def test_too_few_partitions_are_told_with_the_number_that_would_do():
    """3,200 units within 60 s at 10/s a worker: 5.3 workers, so 6 partitions."""
    load = Load((800.0,) * 4, 0, 10, 1)

    advice = advise(load, 60, lag_budget_s=30)

    assert (advice.workers, advice.best.seconds) == (4, 80)
    assert (advice.partitions, advice.lag_budget_s) == (6, 80)
    assert drain(replace(load, backlog=(3200 / 6,) * 6), 6).seconds <= 60


def test_on_a_busy_machine_no_worker_helps():
    advice = advise(Load((800.0,) * 4, 0, 10, 1, headroom=1.02), 60, lag_budget_s=30)

    assert [one.workers for one in advice.options] == [1]
    assert (advice.workers, advice.partitions) == (None, None)


def test_a_stage_without_workers_gets_some():
    advice = advise(Load((100.0,) * 4, 0, 10, 0, headroom=1.0), 60, lag_budget_s=None)

    assert (advice.workers, advice.best.seconds) == (1, 40)
    assert advice.lag_budget_s is None


def test_what_grows_with_every_worker_there_can_be_asks_for_partitions():
    load = Load((100.0,) * 2, 50, 10, 1)

    advice = advise(load, 60, lag_budget_s=10)

    assert (advice.best.seconds, advice.workers, advice.lag_budget_s) == (NEVER, None, None)
    assert advice.partitions == 6


class Tier:
    """A fan-out tier as a simulation: tasks are ranges, a worker writes one segment and sends on the rest."""

    def __init__(self, seed, partitions, service):
        self.draw, self.partitions, self.service = random.Random(seed), partitions, service
        self.queues = [deque() for _ in range(partitions)]
        self.now = 0.0

    def publish(self, author, count):
        for task in segments.tasks(count, 256):
            self.put(author, task)

    def put(self, author, task):
        self.queues[segments.shard(author, task.first, self.partitions)].append((author, task))

    def burst(self):
        for _ in range(self.draw.randint(20, 60)):
            self.publish(self.draw.getrandbits(40), self.draw.choice([1, 1, 3, 20, 300]))

    def run(self, workers, seconds=math.inf):
        """Work until all is done or time is up; each worker takes its partitions in turn. Returns seconds."""
        owned = [[p for p in range(self.partitions) if p % workers == w] for w in range(workers)]
        begin, turns = self.now, [0] * workers
        due = [(self.now + self.draw.random() / self.service, w) for w in range(workers)]
        heapq.heapify(due)
        while any(self.queues) and self.now < begin + seconds:
            self.now, worker = heapq.heappop(due)
            mine = owned[worker]
            at = next(
                (
                    mine[(turns[worker] + n) % len(mine)]
                    for n in range(len(mine))
                    if self.queues[mine[(turns[worker] + n) % len(mine)]]
                ),
                None,
            )
            if at is not None:
                turns[worker] += 1
                author, task = self.queues[at].popleft()
                _, rest = segments.quantum(task)
                if rest is not None:
                    self.put(author, rest)
            heapq.heappush(due, (self.now + self.draw.uniform(0.7, 1.3) / self.service, worker))
        return self.now - begin

    def load(self, service):
        """As `ops.advise` sees it: what waits by partition, rests spread over all."""
        own = [float(len(queue)) for queue in self.queues]
        rests = sum(task.last - task.first for queue in self.queues for _, task in queue)
        return Load(tuple(one + rests / self.partitions for one in own), 0, service, 1)

    def segments(self):
        return sum(task.last - task.first + 1 for queue in self.queues for _, task in queue)


@pytest.mark.parametrize("seed", range(30))
def test_advised_workers_drain_a_simulated_burst_in_the_time_told(seed):
    """One worker is seen for ten seconds; what is advised from that is then applied. ± 30 %."""
    tier = Tier(seed, partitions=8, service=20)
    tier.burst()
    before = tier.segments()
    tier.run(1, seconds=10)
    load = tier.load((before - tier.segments()) / 10)

    advice = advise(load, within_s=drain(load, 1).seconds / 3, lag_budget_s=30)

    assert advice.workers is not None
    assert tier.run(advice.workers) == pytest.approx(advice.best.seconds, rel=0.3)
