"""Exports text learners, and writes fastai's answers; `test_older_fastai.py` runs it with an older fastai.

Arguments: folder to write to, names of cases.
"""

import json
import pickle
import sys
from pathlib import Path

import cloudpickle
import fastai
import numpy as np

from tests.export.texts import CASES, fastai_text, make_learner, records

folder = Path(sys.argv[1])
for name in sys.argv[2:]:
    learn = make_learner(CASES[name])
    for module in (pickle, cloudpickle):
        learn.export(folder / f"{name}, {module.__name__}.pkl", pickle_module=module)
    with learn.no_bar(), learn.no_logging():
        answers = [
            [record, np.atleast_1d(learn.predict(fastai_text(record))[2].numpy()).tolist()]
            for record in records(CASES[name])
        ]
    (folder / f"{name}.json").write_text(json.dumps({"fastai": fastai.__version__, "answers": answers}))
