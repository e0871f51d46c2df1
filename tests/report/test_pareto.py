"""The front of a search with several objectives."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rxtune.report import front_table, pareto_front

OBJECTIVES = ("mean", "compute")


def with_objectives(record, *values):
    last = replace(record.evaluations[-1], value=values[0], objectives=values)
    return replace(record, evaluations=(*record.evaluations[:-1], last))


def test_a_trial_that_is_worse_on_one_count_and_better_on_none_is_not_on_the_front(trial):
    records = [
        with_objectives(trial(0), 0.5, 100.0),
        with_objectives(trial(1), 0.7, 300.0),
        with_objectives(trial(2), 0.6, 300.0),
        with_objectives(trial(3), 0.5, 200.0),
        with_objectives(trial(4, "stopped"), 0.9, 10.0),
        with_objectives(trial(5), 0.5, 100.0),
    ]
    front = pareto_front(records, OBJECTIVES)
    assert [record.number for record in front] == [1, 0, 5]


@given(values=st.lists(st.tuples(st.floats(0, 1), st.floats(1, 9)), min_size=1, max_size=12))
def test_every_finished_trial_is_on_the_front_or_dominated_by_one_of_it(trial, values):
    records = [with_objectives(trial(n), *pair) for n, pair in enumerate(values)]
    front = pareto_front(records, OBJECTIVES)
    assert front
    for mean, cost in values:
        assert any(r.objectives[0] >= mean and r.objectives[1] <= cost for r in front)
    for one in front:
        for mean, cost in values:
            better = mean >= one.objectives[0] and cost <= one.objectives[1]
            assert not better or (mean, cost) == one.objectives


def test_the_table_gives_scores_in_percent_and_cost_in_plain_trials(trial):
    front = pareto_front([with_objectives(trial(3), 0.714, 300.0)], OBJECTIVES)
    table = front_table(front, OBJECTIVES, plain_cost=200.0)
    assert table.header[:3] == ("trial", "mean dev score", "cost")
    assert table.rows[0][:4] == ("3", "71.4", "1.50 ×", front[0].configuration.method)
