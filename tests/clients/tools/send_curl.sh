#!/usr/bin/env bash
# Client with curl. Arguments: URL, folder of inputs. Prints the answers by name, as JSON.
set -euo pipefail
url=$1
cd "$2"
adult=$url/predictions/adult
colours=$url/predictions/colours
printf '{"json": '
curl -sS "$adult" -H 'Content-Type: application/json' -d @record.json
printf ', "invocations": '
curl -sS "$url/models/adult/invoke" -H 'Content-Type: application/json' -d @record.json
printf ', "csv": '
curl -sS "$adult" -H 'Content-Type: text/csv' --data-binary @rows.csv
printf ', "csv part": '
curl -sS "$adult" -F data=@rows.csv
printf ', "gzip": '
curl -sS "$adult" -H 'Content-Type: application/json' -H 'Content-Encoding: gzip' --data-binary @record.json.gz
printf ', "picture": '
curl -sS "$colours" -T red.png -X POST
printf ', "pictures": '
curl -sS "$colours" -F files=@red.png -F files=@green.png -F files=@blue.png
printf '}'
