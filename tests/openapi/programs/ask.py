"""Send requests with the Python client of openapi-generator. Arguments: URL, file of a record."""

import json
import sys
from pathlib import Path

from fastmar_awkward import ApiClient, Configuration, InputRecord, PredictionsApi, RecordList
from fastmar_awkward.exceptions import BadRequestException
from fastmar_awkward.models import ErrorResponse, InferRequest

url, path = sys.argv[1:]
api = PredictionsApi(ApiClient(Configuration(host=url)))
record = InputRecord.from_dict(json.loads(Path(path).read_text("utf-8")))
one = api.predict(record)
many = api.predict_many(RecordList(instances=[record, record]))
tensors = [{"name": name, "shape": [1], "datatype": "BYTES", "data": [v]} for name, v in record.to_dict().items()]
inferred = api.infer(InferRequest.from_dict({"inputs": tensors}))
try:
    api.predict(record.model_copy(update={"var_1st": None}))
    refused = None
except BadRequestException as error:
    refused = ErrorResponse.from_json(error.body).error.code
answers = {"one": one.to_dict(), "many": many.to_dict(), "inferred": inferred.to_dict(), "refused": refused}
print(json.dumps(answers | {"version": api.predict_version(record).to_dict()}))
