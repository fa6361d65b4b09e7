// Compiles only if the types of openapi-typescript match the records and answers of the model.
import type { paths } from "./schema";

type Post = paths["/predictions/awkward"]["post"];
type Answer = Post["responses"][200]["content"]["application/json"];

export const record: Post["requestBody"]["content"]["application/json"] = {
  "native country": " Private",
  class: 7,
  "für": true,
  "capital-gain": null,
  "1st": 40.5,
};

export function probability(answer: Answer): number | undefined {
  return answer.probabilities["<50k"];
}
