// The worker: loads the model, then turns pictures into probabilities, away from the page.
//
// In:  {type: "load", about}             the content of model.json
//      {type: "look", id, blob}          a picture; only the newest is looked at
// Out: {type: "progress", loaded, total} bytes
//      {type: "ready"}
//      {type: "answer", id, probs, width, height, seconds}
//      {type: "trouble", id, code, seen}  id is null where the model cannot be loaded

// The page's content security policy does not reach into a worker that is a file of its own: a
// host may answer a large file from its own file store by a redirect, and it still arrives.

import * as ort from "./ort/ort.wasm.bundle.min.js";
import { normalize, view } from "./preprocess.js";

const MAX_BYTES = 50e6;
const MAX_PIXELS = 64e6;

class Trouble extends Error {
  constructor(code, seen = "") {
    super(code);
    this.code = code;
    this.seen = seen;
  }
}

let about = null;
let session = null;
let newest = 0;

self.onmessage = ({ data }) => {
  if (data.type === "load") {
    about = data.about;
    session = load(about);
    answering(null, session.then(() => postMessage({ type: "ready" })));
  } else {
    newest = data.id;
    answering(data.id, session.then((opened) => look(opened, data)));
  }
};

/** Tell the page what went wrong, once; a picture cannot be looked at without the model. */
async function answering(id, work) {
  try {
    await work;
  } catch (error) {
    const known = error instanceof Trouble;
    if (id !== null && known && error.code.startsWith("model")) return; // said when it was loaded
    const code = known ? error.code : error instanceof RangeError ? "memory" : "unknown";
    postMessage({ type: "trouble", id, code, seen: known ? error.seen : String(error) });
  }
}

async function load({ model_bytes, runtime_bytes }) {
  const done = { model: 0, runtime: 0 };
  const total = model_bytes + runtime_bytes;
  const report = (name) => (bytes) => {
    done[name] = bytes;
    postMessage({ type: "progress", loaded: Math.min(done.model + done.runtime, total), total });
  };
  const [model, packed] = await Promise.all([
    download("model.onnx", report("model")),
    download("ort/ort-wasm-simd-threaded.wasm.gz", report("runtime")),
  ]);
  try {
    ort.env.wasm.numThreads = 1; // more need headers that a Static Space does not send
    ort.env.wasm.wasmBinary = await unpack(packed);
    return await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  } catch (error) {
    throw new Trouble("model-broken", String(error.message ?? error));
  }
}

async function download(path, report) {
  let response;
  try {
    response = await fetch(new URL(path, self.location.href));
  } catch {
    throw new Trouble("model-unreachable", path);
  }
  if (!response.ok) throw new Trouble("model-missing", `${path}: ${response.status}`);
  const parts = [];
  let size = 0;
  try {
    for (const reader = response.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      report((size += value.length));
    }
  } catch {
    throw new Trouble("model-unreachable", path);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** Gunzip, unless the server has let the browser do so already. */
async function unpack(bytes) {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes.buffer;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

async function look(opened, { id, blob }) {
  if (id !== newest) return;
  const began = performance.now();
  if (blob.size > MAX_BYTES) throw new Trouble("file-too-large", `${Math.ceil(blob.size / 1e6)} MB`);
  const bitmap = await decode(blob);
  const { width, height } = bitmap;
  const settings = about.preprocess;
  let square;
  try {
    square = view(readable(bitmap), settings);
  } finally {
    bitmap.close();
  }
  const side = settings.image_size;
  const images = new ort.Tensor("float32", normalize(square, settings), [1, 3, side, side]);
  const { logits } = await opened.run({ images });
  const probs = softmax(logits.data);
  const seconds = (performance.now() - began) / 1000;
  if (!probs.every(Number.isFinite)) throw new Trouble("not-finite");
  if (id === newest) postMessage({ type: "answer", id, probs, width, height, seconds });
}

/** The picture upright by its EXIF orientation, its colour profile ignored, as in training. */
async function decode(blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, {
      colorSpaceConversion: "none",
      imageOrientation: "from-image",
      premultiplyAlpha: "none",
    });
  } catch {
    throw new Trouble("not-a-picture", blob.type);
  }
  const pixels = bitmap.width * bitmap.height;
  if (pixels > MAX_PIXELS) {
    bitmap.close();
    throw new Trouble("too-many-pixels", `${Math.ceil(pixels / 1e6)} megapixels`);
  }
  return bitmap;
}

/** Rows of a bitmap on demand, transparency over white; one canvas as large as one strip. */
function readable(bitmap) {
  const { width, height } = bitmap;
  let context = null;
  function rows(top, count) {
    if (context?.canvas.height !== count) {
      context = new OffscreenCanvas(width, count).getContext("2d", { willReadFrequently: true });
    }
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, count);
    context.drawImage(bitmap, 0, top, width, count, 0, 0, width, count);
    return context.getImageData(0, 0, width, count).data;
  }
  return { width, height, rows };
}

function softmax(logits) {
  const top = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = Array.from(logits, (logit) => Math.exp(logit - top));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
