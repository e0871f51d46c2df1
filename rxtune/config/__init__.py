"""The study: a frozen, validated description of a search, read from a YAML file."""

from rxtune.config.configuration import METHODS, NORMS, READ_BY, Configuration, Method, Norm
from rxtune.config.domains import Choice, Constant, Domain, Int, LogInt, LogUniform, Uniform, Value
from rxtune.config.load import FLAGS, load_study
from rxtune.config.names import did_you_mean, nearest
from rxtune.config.parameter import Parameter
from rxtune.config.space import Space, Units
from rxtune.config.study import Asha, SearchSettings, Select, Stopping, Study, TrainDefaults
from rxtune.config.task_file import TaskChoice, TaskFile
from rxtune.config.task_reader import load_task

__all__ = [
    "FLAGS",
    "METHODS",
    "NORMS",
    "READ_BY",
    "Asha",
    "Choice",
    "Configuration",
    "Constant",
    "Domain",
    "Int",
    "LogInt",
    "LogUniform",
    "Method",
    "Norm",
    "Parameter",
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
