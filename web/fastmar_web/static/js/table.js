// A CSV file is sent with a bar that shows how far it is; what comes back is the page of the table.
import { failure, fill, replied, say } from "./page.js";
import { takeDrops } from "./files.js";

export function start(part) {
  const form = part.querySelector("form");
  const input = form.querySelector("input[type=file]");
  const upload = form.querySelector(".upload");
  const trouble = form.querySelector("[data-failure]");
  takeDrops(form, ([file]) => sendFile(file));
  const sendChosen = () => { if (input.files[0]) sendFile(input.files[0]); };
  input.addEventListener("change", sendChosen);
  sendChosen(); // on a slow line the file may be chosen before this script is there

  function sendFile(file) {
    trouble.replaceChildren();
    if (file.size > Number(part.dataset.most)) {
      return failed("Too large", `${file.name} is larger than ${part.dataset.mostText}.`);
    }
    const body = new FormData();
    body.append("charset", form.elements.charset.value);
    body.append("table", file);
    const request = new XMLHttpRequest(); // fetch does not tell how much has been sent
    const bar = upload.querySelector("progress");
    upload.hidden = false;
    bar.value = 0;
    upload.querySelector("[data-upload]").textContent = `Sending ${file.name}`;
    request.upload.addEventListener("progress", ({ loaded, total }) => { bar.value = 100 * loaded / total; });
    request.addEventListener("load", () => {
      if (request.status < 400) return location.assign(request.responseURL);
      upload.hidden = true;
      const reply = replied(request.status, request.responseText);
      fill(trouble, reply.html);
      say(reply.sentence);
    });
    request.addEventListener("error", () => failed("Not sent", "The connection broke. Send the file again."));
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.send(body);
    input.value = "";
  }

  function failed(title, message) {
    upload.hidden = true;
    fill(trouble, failure(title, message));
    say(`${title}. ${message}`);
  }
}
