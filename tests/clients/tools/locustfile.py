"""Client with Locust: JSON records to the tabular model."""

import json
import os
from pathlib import Path

from locust import HttpUser, constant, task

RECORD = json.loads((Path(os.environ["INPUTS"]) / "record.json").read_text())


class PredictUser(HttpUser):
    wait_time = constant(0.05)

    @task
    def predict(self) -> None:
        self.client.post("/predictions/adult", json=RECORD)
