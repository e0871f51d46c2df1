"""The errors a user can cause, each with the exit code of the command line."""

from __future__ import annotations


class RxtuneError(Exception):
    """Base of every error that rxtune raises on purpose.

    The message says where, which rule, which value, and what to do next.
    """

    exit_code = 1


class StudyError(RxtuneError):
    """The study file or a flag is wrong: fix it."""

    exit_code = 2


class DataError(RxtuneError):
    """A file, split, column, label or language is missing or malformed."""

    exit_code = 3


class DamagedCheckpointError(DataError):
    """A checkpoint is not whole: whoever can train again may do without it."""


class ModelError(RxtuneError):
    """An encoder cannot be loaded or does not fit the method."""

    exit_code = 3


class DivergedError(RxtuneError):
    """The loss is not finite at some step: this trial fails, the search goes on."""


class TrialOutOfMemoryError(RxtuneError):
    """A trial needs more memory than its device has: it fails, the search goes on."""


class NodeLeavingError(RxtuneError):
    """A trial's machine is about to leave: it goes on elsewhere from its last checkpoint."""


class DiskFullError(RxtuneError):
    """A disk is full: the search ends, and a resume goes on from what it holds."""


class ClusterError(RxtuneError):
    """Resources asked for do not exist, or Ray cannot be reached."""

    exit_code = 4


class TakenOverError(ClusterError):
    """Another driver goes on with this search: nothing of it is to be written here any more."""


class TrackingError(RxtuneError):
    """MLflow refuses or cannot be reached at the start."""

    exit_code = 4


class AllTrialsFailedError(RxtuneError):
    """No trial of a search ended with a result."""

    exit_code = 5
