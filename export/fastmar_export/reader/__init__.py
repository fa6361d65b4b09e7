"""The inert reader: a fastai learner's file as plain data, without importing, calling or running what it names."""

from .audit import Leak, calls_that_run, describe_call, find_leaks
from .learner_file import LearnerFile, read_learner_file, read_torch_file, require_learner
from .limits import Limits
from .records import Global, Record, bases_of, is_written_out, path_of
from .walk import Node, walk

__all__ = [
    "Global",
    "Leak",
    "LearnerFile",
    "Limits",
    "Node",
    "Record",
    "bases_of",
    "calls_that_run",
    "describe_call",
    "find_leaks",
    "is_written_out",
    "path_of",
    "read_learner_file",
    "read_torch_file",
    "require_learner",
    "walk",
]
