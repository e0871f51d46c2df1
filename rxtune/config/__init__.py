"""The study: a frozen, validated description of a search, read from a YAML file."""

from rxtune.config.budget import Compute
from rxtune.config.configuration import METHODS, NORMS, READ_BY, Configuration, Method, Norm
from rxtune.config.domains import Choice, Constant, Domain, Int, LogInt, LogUniform, Uniform, Value
from rxtune.config.load import FLAGS, load_study
from rxtune.config.names import did_you_mean, nearest
from rxtune.config.parameter import Parameter
from rxtune.config.search_settings import GROWING, SAMPLERS, SearchSettings
from rxtune.config.select import OBJECTIVES, Metric, Objective, Select
from rxtune.config.space import Space, Units
from rxtune.config.stopping import STOPPERS, Asha, Hyperband, Median, Rule, Stopping
from rxtune.config.study import Study, TrainDefaults
from rxtune.config.task_file import TaskChoice, TaskFile
from rxtune.config.task_reader import load_task

__all__ = [
    "FLAGS",
    "GROWING",
    "METHODS",
    "NORMS",
    "OBJECTIVES",
    "READ_BY",
    "SAMPLERS",
    "STOPPERS",
    "Asha",
    "Choice",
    "Compute",
    "Configuration",
    "Constant",
    "Domain",
    "Hyperband",
    "Int",
    "LogInt",
    "LogUniform",
    "Median",
    "Method",
    "Metric",
    "Norm",
    "Objective",
    "Parameter",
    "Rule",
    "SearchSettings",
    "Select",
    "Space",
    "Stopping",
    "Study",
    "TaskChoice",
    "TaskFile",
    "TrainDefaults",
    "Uniform",
    "Units",
    "Value",
    "did_you_mean",
    "load_study",
    "load_task",
    "nearest",
]
