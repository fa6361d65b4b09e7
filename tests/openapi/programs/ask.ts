// Send requests with the TypeScript client of openapi-generator. Arguments: URL, file of a record.
import { readFileSync } from "node:fs";
import { Configuration, InputRecordFromJSON, PredictionsApi } from "./index";

async function main(): Promise<void> {
  const [url, path] = process.argv.slice(2);
  const api = new PredictionsApi(new Configuration({ basePath: url }));
  const record = InputRecordFromJSON(JSON.parse(readFileSync(path!, "utf-8")));
  const one = await api.predict({ inputRecord: record });
  const many = await api.predictMany({ recordList: { instances: [record, record] } });
  console.log(JSON.stringify({ one, many }));
}

void main();
