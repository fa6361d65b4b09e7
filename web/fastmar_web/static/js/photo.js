// Reads and shrinks pictures. Browsers rotate photos by their EXIF orientation; fastai's models do not, and coordinates in
// answers are in pixels of the file.

const EXIF = [0x45, 0x78, 0x69, 0x66, 0, 0]; // "Exif", two zeros
const QUALITY = 0.92;

/** The file without its EXIF data, and that data as a segment of JPEG; null if it has none that browsers rotate by. */
async function splitExif(file) {
  const head = new Uint8Array(await file.slice(0, 262144).arrayBuffer());
  if (head[0] === 0xff && head[1] === 0xd8) return splitJpeg(file, head);
  if (startsWith(head, 0, [0x89, 0x50, 0x4e, 0x47])) return splitPng(file, new Uint8Array(await file.arrayBuffer()));
  return { bare: file, exif: null };
}

function splitJpeg(file, head) {
  for (let at = 2; at + 10 < head.length && head[at] === 0xff && head[at + 1] !== 0xda;) {
    const end = at + 2 + head[at + 2] * 256 + head[at + 3];
    if (head[at + 1] === 0xe1 && startsWith(head, at + 4, EXIF)) {
      return { bare: new Blob([file.slice(0, at), file.slice(end)], { type: "image/jpeg" }), exif: file.slice(at, end) };
    }
    at = end;
  }
  return { bare: file, exif: null };
}

function splitPng(file, bytes) {
  const view = new DataView(bytes.buffer);
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const end = at + 12 + length; // length, type, data, checksum
    if (startsWith(bytes, at + 4, [0x65, 0x58, 0x49, 0x66])) { // eXIf
      const size = 2 + EXIF.length + length;
      const segment = new Blob([new Uint8Array([0xff, 0xe1, size >> 8, size & 255, ...EXIF]), bytes.slice(at + 8, end - 4)]);
      return { bare: new Blob([bytes.slice(0, at), bytes.slice(end)], { type: "image/png" }), exif: size < 65536 ? segment : null };
    }
    at = end;
  }
  return { bare: file, exif: null };
}

function startsWith(bytes, at, start) { return start.every((byte, i) => bytes[at + i] === byte); }

/** The picture as in the file (`raw`), or rotated by its EXIF orientation. Null if the browser can't read it. */
export async function openPicture(file, raw) {
  try {
    return await createImageBitmap(raw ? (await splitExif(file)).bare : file);
  } catch {
    return null;
  }
}

/** The picture as a JPEG of at most `limit` bytes with the same EXIF data; null if that is not possible. */
export async function shrink(file, limit) {
  const { bare, exif } = await splitExif(file);
  const bitmap = await openPicture(bare, false);
  if (!bitmap) return null;
  let scale = Math.min(1, Math.sqrt(limit / file.size));
  for (let tries = 0; tries < 5; tries += 1, scale *= 0.75) {
    const canvas = canvasOf(bitmap, Math.max(bitmap.width, bitmap.height) * scale);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
    if (blob && blob.size + (exif?.size ?? 0) <= limit) {
      bitmap.close();
      return exif ? new Blob([blob.slice(0, 2), exif, blob.slice(2)], { type: "image/jpeg" }) : blob;
    }
  }
  bitmap.close();
  return null;
}

/** A canvas with the picture, its longer side between `minimum` and `maximum` pixels. */
export function canvasOf(bitmap, maximum, canvas = document.createElement("canvas"), minimum = 0) {
  const longer = Math.max(bitmap.width, bitmap.height);
  const scale = longer < minimum ? minimum / longer : Math.min(1, maximum / longer);
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas;
}
