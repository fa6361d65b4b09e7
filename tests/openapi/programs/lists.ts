// Request lists of items with the TypeScript client of openapi-generator. Argument: URL.
import { Configuration, PredictionsApi } from "./index";

async function main(): Promise<void> {
  const api = new PredictionsApi(new Configuration({ basePath: process.argv[2] }));
  const recommended = await api.recommend({ recommendRequest: { user: 1, recommend: 2, seen: ["Alien"] } });
  const similar = await api.similar({ similarRequest: { title: "Alien", similar: 2 } });
  console.log(JSON.stringify({ recommended, similar }));
}

void main();
