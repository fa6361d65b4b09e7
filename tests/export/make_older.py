"""Trains and exports learners, and writes fastai's answers; `test_older_fastai.py` runs it with an older fastai.

Arguments: folder to write to, names of cases.
"""

import json
import sys
from pathlib import Path

import fastai
import numpy as np
import pandas as pd

from tests.export.tables import CASES, as_record, make_learner, rows

folder = Path(sys.argv[1])
for name in sys.argv[2:]:
    learn, df = make_learner(CASES[name])
    learn.export(folder / f"{name}.pkl")
    inputs = rows(CASES[name], df)
    with learn.no_bar(), learn.no_logging():
        values = [np.atleast_1d(learn.predict(pd.Series(row, dtype=object))[2].numpy()).tolist() for row in inputs]
    answers = [[as_record(row), value] for row, value in zip(inputs, values, strict=True)]
    (folder / f"{name}.json").write_text(json.dumps({"fastai": fastai.__version__, "answers": answers}))
