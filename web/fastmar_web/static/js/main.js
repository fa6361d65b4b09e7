// Starts the scripts that the parts of a page name. Pages also work without scripts.
import { start as models } from "./models.js";
import { start as waiting } from "./waiting.js";
import { start as ask } from "./ask.js";
import { start as pictures } from "./pictures.js";
import { start as table } from "./table.js";
import { start as job } from "./job.js";
import { start as code } from "./code.js";
import { start as monitoring } from "./monitoring.js";

const starts = { models, waiting, ask, pictures, table, job, code, monitoring };
for (const part of document.querySelectorAll("[data-module]")) starts[part.dataset.module]?.(part);
