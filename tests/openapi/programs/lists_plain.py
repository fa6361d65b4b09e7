"""Request lists of items with the client of openapi-python-client. Argument: URL."""

import json
import sys

from fastmar_films import Client
from fastmar_films.api.predictions import recommend, similar
from fastmar_films.models import RecommendRequest, SimilarRequest

with Client(base_url=sys.argv[1]) as client:
    recommended = recommend.sync(client=client, body=RecommendRequest(user=1, recommend=2, seen=["Alien"]))
    items = similar.sync(client=client, body=SimilarRequest(title="Alien", similar=2))
print(json.dumps({"recommended": recommended.to_dict(), "similar": items.to_dict()}))
