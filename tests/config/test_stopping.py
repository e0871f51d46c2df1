"""Stopping rules by name, in a file and by a flag."""

from __future__ import annotations

import pytest

from rxtune.config import Asha, Hyperband, Median, Stopping
from rxtune.config.stopping import RULES, STOPPERS

PLAIN = "space: {method: standard}\n"
FOUR = PLAIN + "stopping: {asha: {evaluations: 4, first_rung: 1}, unit: compute}\n"


@pytest.mark.parametrize("name", STOPPERS)
def test_a_rule_is_chosen_in_one_word(load, name):
    in_file, by_flag = load(PLAIN + f"stopping: {name}"), load(PLAIN, {"stopping": name})
    assert in_file.stopping == by_flag.stopping
    assert in_file.stopping.name == name
    assert in_file.stopping.evaluations == 6
    rule = in_file.stopping.rule
    assert rule is None if name == "none" else type(rule) is RULES[name]
    assert load(in_file.to_yaml()) == in_file


def test_without_a_rule_named_it_is_asha(load):
    for text in ("", "stopping: {}", "stopping: {unit: updates}"):
        assert load(PLAIN + text).stopping == Stopping(asha=Asha())
    assert load(PLAIN + "stopping: {unit: compute}").stopping == Stopping(
        asha=Asha(), unit="compute"
    )


def test_each_rule_has_its_settings(load):
    text = "stopping: {hyperband: {evaluations: 9, first_rung: 1, reduction_factor: 2}}"
    assert load(PLAIN + text).stopping.rule == Hyperband(
        evaluations=9, first_rung=1, reduction_factor=2
    )
    text = "stopping: {median: {evaluations: 4, startup_trials: 3}, unit: compute}"
    assert load(PLAIN + text).stopping == Stopping(
        median=Median(evaluations=4, startup_trials=3), unit="compute"
    )
    assert load(PLAIN + text).stopping.evaluations == 4


# --- flags


def test_a_flag_swaps_the_rule_and_keeps_what_both_rules_have(load):
    kept = {"evaluations": 4, "first_rung": 1}
    found = {name: load(FOUR, {"stopping": name}).stopping for name in STOPPERS}
    assert found["asha"].asha == Asha(**kept)
    assert found["hyperband"].rule == Hyperband(**kept)
    assert found["median"].rule == Median(**kept)
    assert found["none"].rule is None
    assert {stopping.unit for stopping in found.values()} == {"compute"}
    text = PLAIN + "stopping: {median: {evaluations: 4, startup_trials: 9}}"
    assert load(text, {"stopping": "asha"}).stopping.rule == Asha(evaluations=4)


def test_a_setting_by_flag_belongs_to_the_files_rule(load):
    text = PLAIN + "stopping: hyperband"
    assert load(text, {"stopping.hyperband.evaluations": 9}).stopping.rule == Hyperband(
        evaluations=9
    )
    assert load(text, {"stopping.unit": "compute"}).stopping.name == "hyperband"
    assert load(PLAIN, {"stopping.median.startup_trials": 2}).stopping.rule == Median(
        startup_trials=2
    )
    off = load(PLAIN + "stopping: none", {"stopping.unit": "compute"}).stopping
    assert (off.rule, off.unit) == (None, "compute")


def test_a_rule_and_its_setting_may_both_come_from_flags(load):
    flags = {"stopping.median.first_rung": 1, "stopping": "median"}
    assert load(FOUR, flags).stopping.rule == Median(evaluations=4, first_rung=1)


@pytest.mark.parametrize("text", ["stopping: hyperband", "stopping: {hyperband: {}}"])
def test_a_setting_of_another_rule_than_the_files_is_refused(refusal, text):
    assert refusal(PLAIN + text, {"stopping.asha.evaluations": 4}) == (
        "stopping.asha.evaluations: the study stops by hyperband; write "
        "stopping.hyperband.evaluations, or choose the rule with --stopper asha"
    )


def test_a_wrong_name_by_flag_names_the_flag(refusal):
    for text in (PLAIN, FOUR):
        assert refusal(text, {"stopping": "hyprband"}) == (
            "--stopper: must be asha, hyperband, median or none, got 'hyprband'; did you mean "
            "'hyperband'?"
        )


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("{asha: {evaluatons: 4}}", "stopping.hyperband.evaluatons: unknown key; did you mean"),
        ("{asha: {first_rung: 7}}", "stopping.hyperband.first_rung: must be at most evaluations"),
        ("{ahsa: {}}", "stopping.ahsa: unknown key; did you mean 'asha'?"),
    ],
)
def test_a_flag_does_not_hide_the_files_faults(refusal, section, told):
    message = refusal(PLAIN + f"stopping: {section}", {"stopping": "hyperband"})
    assert message.startswith(f"a.yaml:2: {told}")


@pytest.mark.parametrize("section", ["3", "hyperbnd", "{asha: 3}"])
def test_a_flag_replaces_what_is_no_rule_at_all(load, section):
    stopping = load(PLAIN + f"stopping: {section}", {"stopping": "median"}).stopping
    assert stopping.rule == Median()
