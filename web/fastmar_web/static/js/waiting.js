// A page that could not be made: comes back by itself once the server or the model answers.
import { isReady, until } from "./page.js";

export function start(part) {
  until(async () => {
    if (!await isReady(part.dataset.model)) return false;
    location.reload();
    return true;
  });
}
