"""Send requests with the client of openapi-python-client. Arguments: URL, file of a record."""

import json
import sys
from pathlib import Path

from fastmar_awkward import Client
from fastmar_awkward.api.predictions import predict, predict_many
from fastmar_awkward.models import InputRecord, RecordList

url, path = sys.argv[1:]
record = InputRecord.from_dict(json.loads(Path(path).read_text("utf-8")))
with Client(base_url=url) as client:
    one = predict.sync(client=client, body=record)
    many = predict_many.sync(client=client, body=RecordList(instances=[record, record]))
print(json.dumps({"one": one.to_dict(), "many": many.to_dict()}))
