// Downloads the answers to pictures as a CSV file, made in the browser: the server stores nothing.

export function saveAnswers(items) {
  const rows = items.map(({ name, cells, error }) => [name, cells?.prediction ?? "", cells?.probability ?? "", error ?? ""]);
  const text = [["picture", "prediction", "probability", "error"], ...rows].map((row) => row.map(cell).join(",")).join("\r\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`\ufeff${text}\r\n`], { type: "text/csv" }));
  link.download = "answers.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** A CSV cell that spreadsheets do not run as a formula. */
function cell(value) {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
