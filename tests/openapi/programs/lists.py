"""Request lists of items with the Python client of openapi-generator. Argument: URL."""

import json
import sys

from fastmar_films import ApiClient, Configuration, PredictionsApi, RecommendRequest, SimilarRequest

api = PredictionsApi(ApiClient(Configuration(host=sys.argv[1])))
recommended = api.recommend(RecommendRequest(user=1, recommend=2, seen=["Alien"]))
similar = api.similar(SimilarRequest(title="Alien", similar=2))
print(json.dumps({"recommended": recommended.to_dict(), "similar": similar.to_dict()}))
