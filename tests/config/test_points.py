"""Points of a study's own to start from."""

from __future__ import annotations

import pytest

from rxtune.config import Configuration

SPACE = """\
space:
  method: {choice: [standard, adv, rs_rp]}
  radius: {log_uniform: [0.01, 0.3]}
  pgd_steps: {int: [1, 3]}
  sigma: {log_uniform: [0.1, 3.0]}
  norm: {choice: [l2, linf]}
  ball: {choice: [token, sequence]}
  random_start: {choice: [true, false]}
  learning_rate: {log_uniform: [0.3, 3.0]}
"""


def with_points(*points):
    return SPACE + "search:\n  points:\n" + "".join(f"    - {point}\n" for point in points)


def test_points_come_after_the_baseline_and_before_methods_without_one(load):
    study = load(with_points("{method: adv, radius: 0.02}", "{method: adv, radius: 0.2}"))
    found = study.start_points()
    assert found[0] == Configuration()
    assert [point.method for point in found[1:]] == ["adv", "adv", "rs_rp"]
    assert [point.radius for point in found[1:3]] == [0.02, 0.2]
    assert load(study.to_yaml()) == study


def test_what_a_point_leaves_out_is_typical(load):
    study = load(with_points("{method: adv, pgd_steps: 3}"))
    typical = study.space.typical({"method": "adv"})
    point = study.start_points()[1]
    assert point.pgd_steps == 3
    assert (point.radius, point.learning_rate) == (typical.radius, 1.0)


def test_a_point_that_is_a_start_point_anyway_is_tried_once(load):
    study = load(with_points("{method: standard}", "{method: rs_rp}", "{method: rs_rp}"))
    assert [point.method for point in study.start_points()] == ["standard", "rs_rp", "adv"]


def test_with_one_method_it_goes_without_saying(load):
    study = load(
        "space: {method: rs_rp, sigma: {choice: [0.5, 1.0]}}\nsearch: {points: [{sigma: 1}]}"
    )
    point = study.start_points()[1]
    assert (point.method, point.sigma) == ("rs_rp", 1.0)
    assert isinstance(point.sigma, float)


@pytest.mark.parametrize(
    ("point", "told"),
    [
        ("{method: adv, radius: 1}", ".radius: must lie in the space (log_uniform [0.01, 0.3]"),
        ("{method: adv, radius: .nan}", ".radius: must lie in the space"),
        ("{method: adv, radius: [0.1]}", ".radius: must lie in the space"),
        ("{method: adv, radius:}", ".radius: must lie in the space (log_uniform [0.01, 0.3]), "),
        ("{method: adv, pgd_steps: 2.0}", ".pgd_steps: must lie in the space (int [1, 3]), got"),
        ("{method: adv, pgd_steps: true}", ".pgd_steps: must lie in the space (int [1, 3]), go"),
        ("{method: adv, random_start: 1}", ".random_start: must lie in the space (choice [tru"),
        ("{method: freelb}", ".method: must lie in the space (choice ['standard', 'adv', 'rs_r"),
        ("{method: adv, radis: 0.1}", ".radis: the space has no such parameter; did you mean '"),
        ("{method: adv, sigma: 1.0}", ".sigma: is not read with method adv and the other value"),
        ("{method: adv, norm: linf, ball: token}", ".ball: is not read with method adv and the"),
        ("{radius: 0.1}", ": method is required in a point; one of standard, rs_rp, adv"),
        ("{}", ": method is required in a point"),
    ],
)
def test_a_point_outside_of_the_space_is_refused_at_its_line(refusal, point, told):
    message = refusal(with_points("{method: rs_rp, sigma: 0.5}", point))
    assert message.startswith(f"a.yaml:13: search.points[1]{told}")
    assert len(message.splitlines()) == 1


def test_all_wrong_points_are_told(refusal):
    message = refusal(with_points("{method: adv, radius: 9, pgd_steps: 9}", "{method: x}"))
    assert len(message.splitlines()) == 3
