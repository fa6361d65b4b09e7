// Client with Node's fetch and FormData. Arguments: URL, folder of inputs. Prints the answers by name.
import { readFileSync } from "node:fs";

const [url, folder] = process.argv.slice(2);
const read = (name) => readFileSync(`${folder}/${name}`);
const post = async (path, body, headers = {}) =>
  (await fetch(`${url}${path}`, { method: "POST", body, headers })).json();
const form = (name, files, type) => {
  const parts = new FormData();
  for (const file of files) parts.append(name, new Blob([read(file)], { type }), file);
  return parts;
};
const json = { "Content-Type": "application/json" };
const adult = "/predictions/adult";
const colours = "/predictions/colours";
console.log(
  JSON.stringify({
    json: await post(adult, read("record.json").toString(), json),
    invocations: await post("/models/adult/invoke", read("record.json").toString(), json),
    csv: await post(adult, read("rows.csv").toString(), { "Content-Type": "text/csv" }),
    "csv part": await post(adult, form("data", ["rows.csv"], "text/csv")),
    gzip: await post(adult, read("record.json.gz"), { ...json, "Content-Encoding": "gzip" }),
    picture: await post(colours, read("red.png"), { "Content-Type": "image/png" }),
    pictures: await post(colours, form("files", ["red.png", "green.png", "blue.png"], "image/png")),
  }),
);
