// An error page: reloads once the server or the model is ready.
import { isReady, poll, startParts } from "./page.js";

function start(part) {
  poll(async () => {
    if (!await isReady(part.dataset.model)) return false;
    location.reload();
    return true;
  });
}

startParts("waiting", start);
