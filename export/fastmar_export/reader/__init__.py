"""Reads the file of a fastai learner as plain data, without importing, calling or running anything that it names."""

from .audit import Leak, calls_that_run_code, describe_call, find_leaks
from .learner_file import LearnerFile, errors_naming_file, read_learner_file, read_torch_file, require_learner
from .limits import Limits
from .records import Global, Record, bases_of, is_pickled_by_value, path_of
from .walk import Node, walk

__all__ = [
    "Global",
    "Leak",
    "LearnerFile",
    "Limits",
    "Node",
    "Record",
    "bases_of",
    "calls_that_run_code",
    "describe_call",
    "errors_naming_file",
    "find_leaks",
    "is_pickled_by_value",
    "path_of",
    "read_learner_file",
    "read_torch_file",
    "require_learner",
    "walk",
]
