// Uploads a CSV file with a progress bar, then opens the page of the table.
import { announce, failure, fill, parseReply, startParts } from "./page.js";
import { takeDrops } from "./files.js";

function start(part) {
  const form = part.querySelector("form");
  const input = form.querySelector("input[type=file]");
  const upload = form.querySelector(".upload");
  const failures = form.querySelector("[data-failure]");
  takeDrops(form, ([file]) => sendFile(file));
  const sendChosen = () => { if (input.files[0]) sendFile(input.files[0]); };
  input.addEventListener("change", sendChosen);
  sendChosen(); // the file may be chosen before this script has loaded

  function sendFile(file) {
    failures.replaceChildren();
    if (file.size > Number(part.dataset.limit)) {
      return fail("body_too_large", "Too large", `The limit is ${part.dataset.limitText}; ${file.name} is larger.`);
    }
    const body = new FormData();
    body.append("charset", form.elements.charset.value);
    body.append("table", file);
    const request = new XMLHttpRequest(); // fetch reports no upload progress
    const bar = upload.querySelector("progress");
    upload.hidden = false;
    bar.value = 0;
    upload.querySelector("[data-upload]").textContent = `Sending ${file.name}`;
    request.upload.addEventListener("progress", ({ loaded, total }) => { bar.value = 100 * loaded / total; });
    request.addEventListener("load", () => {
      if (request.status < 400) return location.assign(request.responseURL);
      upload.hidden = true;
      const reply = parseReply(request.status, request.responseText);
      fill(failures, reply.html);
      announce(reply.sentence);
    });
    request.addEventListener("error", () => fail("connection_lost", "Not sent", "The connection was lost. Send the file again."));
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.send(body);
    input.value = "";
  }

  function fail(code, title, message) {
    upload.hidden = true;
    fill(failures, failure(code, title, message));
    announce(`${title}. ${message}`);
  }
}

startParts("table", start);
