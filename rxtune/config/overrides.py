"""Flags in place of what a study file says."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from rxtune.config.faults import Fault, Key
from rxtune.config.stopping import RULES, STOPPERS


def overridden(
    tree: Mapping[str, Any], overrides: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Fault]]:
    """Return a file's content with `overrides` by dotted key in it, and those that contradict it.

    A rule of `stopping` that is chosen by its name keeps what the file's rule and it both have,
    such as the number of evaluations.
    """
    result, faults = copy.deepcopy(dict(tree)), list[Fault]()
    # The choice of a rule goes before its settings.
    for dotted, value in sorted(overrides.items(), key=lambda item: item[0].count(".")):
        key = tuple(dotted.split("."))
        if key[0] == "stopping" and key[0] in result:
            result["stopping"] = section = _spelled_out(result["stopping"])
            contradiction = _other_rule(section, key)
            if contradiction is not None:
                faults.append(contradiction)
                continue
            value = _with_settings_of(section, value) if key == ("stopping",) else value
        _put(result, key, value)
    return result, faults


def _put(tree: dict[str, Any], key: tuple[str, ...], value: Any) -> None:
    section = tree
    for parent in key[:-1]:
        if section.get(parent) is None:
            section[parent] = {}
        section = section[parent]
        if not isinstance(section, dict):  # wrong in the file: refused as such
            return
    section[key[-1]] = value


def _spelled_out(section: Any) -> Any:
    """Return what a rule's name alone stands for, and everything else as it is."""
    if section == "none":
        return {"asha": None}
    return {section: {}} if section in STOPPERS else section


def _rule_of(section: Mapping[str, Any]) -> str | None:
    return next((name for name in RULES if section.get(name) is not None), None)


def _other_rule(section: Any, key: Key) -> Fault | None:
    """Return the fault where a setting is given of a rule that the search does not have."""
    if not isinstance(section, Mapping) or len(key) < 2 or key[1] not in RULES:
        return None
    rule = _rule_of(section)
    if rule is None or rule == key[1]:
        return None
    other = ".".join(str(part) for part in ("stopping", rule, *key[2:]))
    text = f"the study stops by {rule}; write {other}, or choose the rule with --stopper {key[1]}"
    return Fault(key, text)


def _with_settings_of(section: Any, word: Any) -> Any:
    """Return the rule named `word` with all settings of the file's rule that it has, too."""
    if not isinstance(section, Mapping) or word not in STOPPERS:
        return word
    others = {key: value for key, value in section.items() if key not in RULES}
    if word == "none":
        return {"asha": None, **others}
    rule = _rule_of(section)
    given = section[rule] if rule else {}
    if not rule or not isinstance(given, Mapping):
        return {word: {}, **others}
    # What neither of them has is kept as well, so that it is refused.
    own = {key for key in RULES[rule].model_fields if key not in RULES[word].model_fields}
    return {word: {key: value for key, value in given.items() if key not in own}, **others}
