"""Every wrong study is refused: where, rule, value, what to do."""

from __future__ import annotations

import pytest

METHOD = "space: {method: standard}\n"


def test_all_faults_of_a_file_are_told_at_once_in_the_order_of_its_lines(refusal):
    text = """\
    taks: xnli
    space:
      method: {choice: [standard, rsrp]}
      sigma: {log_uniform: [3.0, 1.0]}
      lerning_rate: 1.0
    search:
      trials: 0
      seed: true
    """
    assert refusal(text).splitlines() == [
        "a.yaml:1: taks: unknown key; did you mean 'task'?",
        "a.yaml:3: space.method.choice[1]: must be one of standard, rs_rp, adv, smooth_adv, "
        "freelb, r3f, rs_da, code_switch, got 'rsrp'; did you mean 'rs_rp'?",
        "a.yaml:4: space.sigma.log_uniform: low < high must hold, got [3.0, 1.0]; swap them",
        "a.yaml:5: space.lerning_rate: unknown parameter; did you mean 'learning_rate'?",
        "a.yaml:7: search.trials: must be at least 1, got 0; the default is 24",
        "a.yaml:8: search.seed: a whole number is required, got true; the default is 0",
    ]


def test_a_mistyped_method_is_told_once_and_not_what_follows_from_it(refusal):
    text = """\
    space:
      method: {choice: [standard, rsrp]}
      sigma: {log_uniform: [0.1, 3.0], when: {method: [rs_rp]}}
      learning_rate: {log_uniform: [0.3, 3.0]}
    """
    (line,) = refusal(text).splitlines()
    assert line.startswith("a.yaml:2: space.method.choice[1]: must be one of standard, rs_rp")


def test_a_parameter_with_two_faults_is_told_of_both(refusal):
    text = """\
    space:
      method: {choice: [standard, rs_rp]}
      sigma: {log_uniform: [0, 1.0], when: {metod: rs_rp}}
    """
    first, second = refusal(text).splitlines()
    assert first.startswith("a.yaml:3: space.sigma.log_uniform: low > 0 must hold")
    assert second == (
        "a.yaml:3: space.sigma.when.metod: names a parameter that the space does not have; "
        "did you mean 'method'?"
    )


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("search: {trials: 2.0}", "search.trials: a whole number is required, got 2.0"),
        ("search: {trials: x}", "search.trials: a whole number is required, got 'x'"),
        ("search: {seed: -1}", "search.seed: must be at least 0, got -1"),
        ("search: {sampler: tpo}", "'random' or 'grid', got 'tpo'; did you mean 'tpe'?"),
        ("search: {sampler: [tpe]}", "'random' or 'grid', got ['tpe']; did you mean 'tpe'?"),
        ("search: {plateau: 0}", "search.plateau: must be at least 1, got 0; delete the line for"),
        ("search: {keep: 0}", "search.keep: must be at least 1, got 0; the default is 1"),
        ("search: {replicates: 1.0}", "search.replicates: a whole number is required, got 1.0"),
        ("search: {grid_points: 0}", "search.grid_points: must be at least 1, got 0; the default"),
        ("search: {points: 3}", "search.points: a list is required, got 3; the default is []"),
        ("search: {points: [3]}", "search.points[0]: keys with values are required, got 3; corr"),
        ("search: {startup: 1}", "search.startup: unknown key; did you mean 'startup_trials'?"),
        ("search: 3", "search: keys with values are required, got 3; valid keys: sampler, tri"),
        ("trials: 3", "trials: unknown key; it belongs under `search`"),
        ("search: {task: a}", "search.task: unknown key; it belongs at the top level"),
        ("sigma: 3", "sigma: unknown key; it belongs under `space`"),
        ("stopping: {asha: {first_rung: 7}}", "asha.first_rung: must be at most evaluations (6)"),
        ("stopping: {asha: {evaluations: 1}}", "first_rung: must be at most evaluations (1), got"),
        ("stopping: {asha: {first_rung: 0}}", "asha.first_rung: must be at least 1, got 0"),
        ("stopping: {asha: {evaluations: 0}}", "asha.evaluations: must be at least 1, got 0"),
        ("stopping: {asha: {reduction_factor: 1}}", "reduction_factor: must be at least 2, got 1"),
        ("stopping: hyperbnd", "must be asha, hyperband, median or none, got 'hyperbnd'; did you"),
        ("stopping: [asha]", "stopping: keys with values are required, got ['asha']; write `stop"),
        ("stopping: {evaluations: 4}", "unknown key; it belongs under `stopping.asha`"),
        (
            "stopping: {asha: none}",
            "stopping.asha: keys with values are required, got 'none'; wri",
        ),
        (
            "stopping: {unit: seconds}",
            "must be 'updates' or 'compute', got 'seconds'; the default",
        ),
        (
            "stopping: {asha: {}, median: {}}",
            "median: stands beside asha, but one rule decides; d",
        ),
        (
            "stopping: {median: {first_rung: 9}}",
            "first_rung: must be at most evaluations (6), got",
        ),
        ("stopping: {median: {startup_trials: 0}}", "startup_trials: must be at least 1, got 0"),
        ("stopping: {median: {reduction_factor: 2}}", "unknown key; valid: evaluations, first_ru"),
        ("stopping: {hyperband: {evaluation: 4}}", "unknown key; did you mean 'evaluations'?"),
        ("stopping: {ahsa: null}", "stopping.ahsa: unknown key; did you mean 'asha'?"),
        ("stopping:", "stopping: keys with values are required, got nothing; write `stopping: no"),
        ("select: {languages: []}", "select.languages: at least one dev language is required"),
        ("select: {languages: [sw, sw]}", "every language must stand once, got 'sw' twice"),
        ("select: {languages: [auto, sw]}", "auto must stand alone"),
        ("select: {languages: [1]}", "auto or language codes are required, got [1]"),
        ("select: {languages: [' ']}", "a printable name without space around it is required"),
        ("select: {aggregate: mean}", "aggregate: unknown key; valid: languages, metric, objecti"),
        ("select: {metric: f1}", "must be 'accuracy' or 'macro_f1', got 'f1'; the default is acc"),
        ("select: {metric: macro-f1}", "got 'macro-f1'; did you mean 'macro_f1'?"),
        ("select: {objective: max}", "one or several of mean, worst, source, compute, got 'max'"),
        ("select: {objective: [men]}", "source, compute, got 'men'; did you mean 'mean'?"),
        ("select: {objective: []}", "one or several of mean, worst, source, compute are required"),
        ("select: {objective: [mean, mean]}", "every objective must stand once, got mean twice"),
        ("select: {objective: compute}", "compute alone would choose the cheapest trial; write ["),
        (
            "select: {objective: [compute, mean]}",
            "the first objective names the winner; write [me",
        ),
        ("train: {epochs: 0}", "train.epochs: must be more than 0, got 0; delete the line"),
        ("train: {epochs: .inf}", "train.epochs: a finite number is required, got inf"),
        ("train: {epochs: true}", "train.epochs: a number is required, got true"),
        ("train: {batch_size: 0}", "train.batch_size: must be at least 1, got 0"),
        ("task: 5", "task: text is required, got 5; the default is babel"),
        ("model: ''", "model: a printable name"),
        ("units: relativ", "units: must be 'relative' or 'absolute', got 'relativ'; did you mean"),
    ],
)
def test_a_setting_that_breaks_its_rule_is_refused(refusal, line, text):
    message = refusal(METHOD + line)
    assert message.startswith("a.yaml:2: ")
    assert text in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        ("sigma: -1", "space.sigma: must be more than 0, got -1; for example {log_uniform"),
        ("sigma: 0", "space.sigma: must be more than 0, got 0; without it use a method"),
        ("sigma: '1'", "space.sigma: a number is required, got '1'"),
        ("sigma: true", "space.sigma: a number is required, got true; for example {log_uniform"),
        ("sigma: {choice: [1, true]}", "space.sigma.choice[1]: a number is required, got true"),
        ("sigma: .nan", "space.sigma: a value or domain is required, got nan"),
        ("sigma:", "space.sigma: a value or domain is required, got nothing"),
        ("sigma: [1, 2]", "space.sigma: a list is no domain; write {choice: [1, 2]}"),
        ("sigma: {uniform: [-1, 1]}", "space.sigma.uniform: must be more than 0, got -1.0"),
        ("sigma: {uniform: 1}", "space.sigma.uniform: a list is required, got 1"),
        ("sigma: {uniform: [1, 2, 3]}", "uniform: [low, high] is required, got [1, 2, 3]"),
        ("sigma: {uniform: [.nan, 1]}", "two finite numbers [low, high] are required"),
        ("sigma: {uniform: [true, 2]}", "two finite numbers [low, high] are required"),
        ("sigma: {log_uniform: [0, 1]}", "low > 0 must hold on a logarithmic scale, got [0, 1]"),
        ("sigma: {choice: []}", "space.sigma.choice: at least one value is required"),
        ("sigma: {choice: [1, 1.0]}", "every value must stand once, got 1.0 twice"),
        ("sigma: {choice: [1, b]}", "space.sigma.choice[1]: a number is required, got 'b'"),
        ("sigma: {choices: [1]}", "space.sigma.choices: unknown key; did you mean 'choice'?"),
        ("sigma: {}", "exactly one of choice, uniform, log_uniform, int, log_int, value is requi"),
        ("sigma: {int: [1, 2], value: 1}", "is required, got int and value"),
        ("pgd_steps: 0", "PGD with 0 steps does not use the radius; use method rs_rp or standard"),
        ("pgd_steps: {int: [0, 3]}", "space.pgd_steps.int: must be at least 1, got 0; PGD with 0"),
        ("pgd_steps: {int: [1.0, 3]}", "two whole numbers [low, high] are required"),
        ("pgd_steps: {uniform: [1, 3]}", "a whole number is required, got uniform; write {int:"),
        ("pgd_steps: {choice: [1, 2.5]}", "space.pgd_steps.choice[1]: a whole number is required"),
        ("norm: l_inf", "must be one of l2, linf, got 'l_inf'; did you mean 'linf'?"),
        ("norm: true", "must be one of l2, linf, got true"),
        ("ball: tokens", "must be one of token, sequence, got 'tokens'; did you mean 'token'?"),
        ("site: {choice: [word, contex]}", "space.site.choice[1]: must be one of word, context"),
        ("random_start: 1", "space.random_start: must be true or false, got 1; for example"),
        ("random_start: 'yes'", "space.random_start: must be true or false, got 'yes'"),
        ("random_start: {int: [0, 1]}", "random_start.int: true or false has no range, got int"),
        ("samples: {int: [0, 4]}", "space.samples.int: must be at least 1, got 0; for example"),
        ("samples: {uniform: [1, 4]}", "samples.uniform: a whole number is required, got uniform"),
        ("norm: {int: [1, 2]}", "space.norm.int: a name has no range, got int; write {choice:"),
        ("clean_weight: {uniform: [0.5, 1]}", "must be at least 0 and less than 1, got 1.0"),
        ("clean_weight: -0.5", "must be at least 0 and less than 1, got -0.5"),
        ("learning_rate: x", "space.learning_rate: a number is required, got 'x'"),
        ("learning_rate: {choice: [x]}", "space.learning_rate.choice[0]: a number is required"),
        ("learning_rate: 2e-5", "is a factor on the default rate, got at most 2e-05; for rates"),
        ("batch_size: 1.5", "space.batch_size: a whole number is required, got 1.5"),
        ("epochs: {int: [0, 2]}", "space.epochs.int: must be more than 0, got 0"),
        ("lr: 1.0", "space.lr: unknown parameter; did you mean 'learning_rate'?"),
        ("sigma: {value: 1, when: {}}", "space.sigma.when: a mapping of conditions is required"),
        ("sigma: {value: 1, when: adv}", "space.sigma.when: a mapping of conditions is required"),
        ("sigma: {value: 1, when: {method: [[]]}}", "names or numbers are required, got []"),
    ],
)
def test_a_domain_that_breaks_its_rule_is_refused(refusal, parameter, text):
    others = {"sigma": "1.0", "radius": "0.1", "pgd_steps": "1"}
    others.pop(parameter.split(":")[0], None)
    lines = ["method: {choice: [standard, rs_rp, adv]}", parameter]
    lines += [f"{name}: {value}" for name, value in others.items()]
    message = refusal("space:\n" + "".join(f"  {line}\n" for line in lines))
    assert message.startswith("a.yaml:3: space.")
    assert text in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    ("space", "text"),
    [
        ("{}", "space.method: is required; write method: {choice: [standard, rs_rp, adv, smoo"),
        ("", "space: a mapping of parameters is required; start with method: {choice: [stand"),
        ("[1]", "space: a mapping of parameters is required, got [1]"),
        ("{method: rs_rp}", "space.method: rs_rp needs sigma; add sigma: {log_uniform"),
        ("{method: adv, radius: 1}", "space.method: adv needs pgd_steps; add pgd_steps: {int"),
        (
            "{method: {choice: [rs_rp, smooth_adv]}, radius: 1, pgd_steps: 1,"
            " sigma: {value: 1, when: {method: smooth_adv}}}",
            "space.sigma.when: method rs_rp needs sigma, but these conditions can leave it out",
        ),
        (
            "{method: smooth_adv, radius: 1, pgd_steps: 1, norm: {choice: [l2, linf]},"
            " sigma: {value: 1, when: {norm: l2}}}",
            "space.sigma.when: method smooth_adv needs sigma, but these conditions can",
        ),
        ("{method: rs_rp, sigma: 1, radius: 1}", "radius: no method of this space reads it (rs_"),
        (
            "{method: {choice: [standard, rs_rp]}, sigma: {value: 1, when: {method: [standard,"
            " rs_rp]}}}",
            "space.sigma.when.method: method standard does not read sigma; delete standard",
        ),
        (
            "{method: {choice: [standard, rs_rp]}, sigma: {value: 1, when: {method: [rs_rp,"
            " adv]}}}",
            "space.sigma.when.method: method never has the value 'adv'; valid: standard, rs_rp",
        ),
        (
            "{method: standard, epochs: {int: [1, 3]}, batch_size: {value: 8, when: {epochs: 4}}}",
            "space.batch_size.when.epochs: epochs never has the value 4; it is int [1, 3]",
        ),
        (
            "{method: standard, batch_size: {value: 8, when: {method: [true, standard]}}}",
            "space.batch_size.when.method: method never has the value true; it is value 'stand",
        ),
        (
            "{method: standard, batch_size: {value: 8, when: {methd: standard}}}",
            "when.methd: names a parameter that the space does not have; did you mean 'method'?",
        ),
        (
            "{method: standard, epochs: {value: 8, when: {epochs: 8}}}",
            "space.epochs.when.epochs: a parameter cannot depend on itself",
        ),
        (
            "{method: standard, epochs: {value: 8, when: {batch_size: 8}},"
            " batch_size: {value: 8, when: {epochs: 8}}}",
            "conditions must not form a cycle, got epochs -> batch_size -> epochs; delete one",
        ),
        (
            "{method: standard, epochs: {uniform: [1, 2]}, batch_size: {value: 8, when: "
            "{epochs: 1}}}",
            "when.epochs: epochs is continuous (uniform): a condition needs a choice or int",
        ),
        (
            "{method: standard, batch_size: {value: 8, when: {method: []}}}",
            "space.batch_size.when.method: at least one value is required",
        ),
        (
            "{method: {value: standard, when: {batch_size: 8}}, batch_size: 8}",
            "space.method.when: method decides what is read and must always be active",
        ),
        (
            "{method: {choice: [rs_rp, adv]}, sigma: 1, radius: 1, pgd_steps: 1, norm: l2,"
            " clean_weight: {value: 0.5, when: {method: rs_rp, norm: l2}}}",
            "space.clean_weight.when: is never active with rs_rp, adv",
        ),
        (
            "{method: adv, radius: 1, pgd_steps: 1, norm: linf, ball: sequence}",
            "space.ball: says nothing unless norm is l2; delete it, or let norm be l2",
        ),
        (
            "{method: rs_da, replace_probability: 1, copies: 3}",
            "space.copies: says nothing unless substitution is static; delete it, or let subst",
        ),
        (
            "{method: smooth_adv, radius: 1, pgd_steps: 1, norm: {choice: [l2, linf]}, ball: "
            "{choice: [token, sequence]}, sigma: {value: 1, when: {ball: [token, sequence]}}}",
            "space.sigma.when: method smooth_adv needs sigma, but these conditions can leave it",
        ),
        (
            "{method: adv, radius: 1, pgd_steps: 1, norm: {value: l2, when: {ball: token}}, ball:"
            " token}",
            "conditions must not form a cycle, got norm -> ball -> norm; delete one",
        ),
        (
            "{method: adv, radius: 1, pgd_steps: 1, random_start: {choice: [true, false]},"
            " epochs: {value: 3, when: {random_start: [1]}}}",
            "when.random_start: random_start never has the value 1; it is choice [true, false]",
        ),
        (
            "{method: {choice: [freelb, r3f]}, sigma: 1, radius: 1}",
            "space.method: freelb needs pgd_steps; add pgd_steps: {int: [1, 3]}",
        ),
        ("{method: code_switch}", "code_switch needs replace_probability; add replace_probabilit"),
        (
            "{method: r3f, sigma: 1, samples: 3}",
            "samples: no method of this space reads it (r3f); delete it or add one of rs_rp, smo",
        ),
    ],
)
def test_a_space_that_contradicts_itself_is_refused(refusal, space, text):
    message = refusal(f"# a comment\nspace: {space}\n")
    assert "a.yaml:2: space" in message
    assert text in message


def test_two_cycles_are_both_told(refusal):
    message = refusal("""\
    space:
      method: {choice: [adv]}
      radius: {value: 1, when: {pgd_steps: 1}}
      pgd_steps: {value: 1, when: {radius: 1}}
      epochs: {value: 1, when: {batch_size: 1}}
      batch_size: {value: 1, when: {epochs: 1}}
    """)
    assert "radius -> pgd_steps -> radius" in message
    assert "epochs -> batch_size -> epochs" in message


def test_absolute_units_need_a_learning_rate_for_every_method_and_the_baseline(refusal):
    assert "space.learning_rate: is required with `units: absolute`" in refusal(
        "units: absolute\n" + METHOD
    )
    message = refusal("""\
    units: absolute
    space:
      method: {choice: [rs_rp]}
      sigma: {uniform: [0, 1]}
      learning_rate: {value: 1e-5, when: {method: rs_rp}}
    """)
    assert "with `units: absolute` method standard needs a rate too" in message


def test_factors_given_as_absolute_rates_are_refused(refusal):
    message = refusal("units: absolute\nspace: {method: standard, learning_rate: 1.0}")
    assert "is the rate itself, got at least 1; for factors write `units: relative`" in message


def test_a_setting_both_searched_and_fixed_is_refused(refusal):
    text = "space: {method: standard, epochs: {int: [1, 3]}}\n"
    told = "train.epochs: is also a parameter of the space; keep one of the two"
    assert refusal(text + "train: {epochs: 2}") == f"a.yaml:2: {told}"


def test_a_parameter_that_cannot_be_read_is_not_reported_as_missing_too(refusal):
    message = refusal("space: {method: rs_rp, sigma: {uniform: 3}}")
    assert len(message.splitlines()) == 1
    message = refusal("space: {method: [rs_rp], sigma: {value: 1, when: {method: rs_rp}}}")
    assert message == "a.yaml:1: space.method: a list is no domain; write {choice: ['rs_rp']}"


def test_fixed_epochs_are_what_equal_cost_is_measured_by(refusal):
    text = "space: {method: standard, epochs: {int: [1, 3]}}\nstopping: {unit: compute}"
    told = (
        "stopping.unit: is compute, so all trials cost the same, but epochs is searched; fix one"
    )
    assert refusal(text).startswith(f"a.yaml:2: {told}")


def test_costs_that_are_all_equal_are_no_objective(refusal):
    text = METHOD + "stopping: {unit: compute}\nselect: {objective: [mean, compute]}"
    assert refusal(text) == (
        "a.yaml:3: select.objective: holds compute, but stopping.unit compute makes all costs "
        "equal; delete one"
    )
