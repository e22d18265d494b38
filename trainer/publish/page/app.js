// The page: takes a picture from the visitor, shows what the worker answers.
//
// Names and captions come from model.json and are only ever set as text.

const TOP = 5;
const MANY_NAMES = 8;
const at = (id) => document.getElementById(id);

const WORDS = {
  "not-a-picture": () =>
    "Your browser cannot read this file as a picture. Try a JPEG, PNG, WebP or GIF.",
  "not-a-file": () => "That was not a picture file. Save the picture first, then choose it here.",
  "file-too-large": (seen) => `This file is too large (${seen}; the limit is 50 MB).`,
  "too-many-pixels": (seen) => `This picture is too large (${seen}; the limit is 64).`,
  memory: () => "This picture needs more memory than the browser gives. Try a smaller one.",
  "example-missing": () => "This example cannot be loaded. Choose a picture of your own.",
  "model-missing": (seen) => `The model is missing from this Space (${seen}).`,
  "model-unreachable": () =>
    "The model could not be loaded. Look at your connection, then reload the page.",
  "model-broken": (seen) => `The model does not run in this browser (${seen.slice(0, 160)}).`,
  "not-finite": () => "The model gave no usable numbers for this picture.",
  "camera-refused": () =>
    "The camera was refused. Allow it in the browser's address bar, or choose a picture.",
  "camera-none": () => "No camera was found. Choose a picture instead.",
  "camera-busy": () => "The camera cannot be started: another program may be using it.",
  old: () => "This browser is too old to run the model. Use one from 2023 or later.",
  unknown: (seen) => `Something went wrong (${seen.slice(0, 160)}). Reload the page.`,
};

let about = null;
let worker = null;
let newest = 0;
let ready = false;
let broken = false;
let stream = null;

start();

async function start() {
  if (!supported()) return fail("old");
  say("Loading the model …");
  try {
    const response = await fetch("model.json");
    if (!response.ok) return fail("model-missing", `model.json: ${response.status}`);
    about = await response.json();
    worker = new Worker("worker.js", { type: "module" });
  } catch {
    return fail("model-unreachable");
  }
  worker.onmessage = ({ data }) => hear(data);
  worker.onerror = () => fail(ready ? "unknown" : "old", "the worker stopped");
  describe();
  worker.postMessage({ type: "load", about });
  listen();
  // A first answer to look at, unless the visitor saves data or has already chosen.
  if (about.examples.length && !navigator.connection?.saveData && newest === 0) tryExample(0);
}

function supported() {
  const needed = ["Worker", "OffscreenCanvas", "DecompressionStream", "createImageBitmap"];
  return needed.every((name) => name in window) && typeof WebAssembly === "object";
}

function describe() {
  const count = about.class_names.length;
  const names = about.class_names.join(", ");
  document.title = about.title;
  at("title").textContent = about.title;
  at("about").textContent =
    count <= MANY_NAMES
      ? `Says which of these a picture shows: ${names}.`
      : `Says which of ${count.toLocaleString("en")} classes a picture shows.`;
  at("knows").querySelector("summary").textContent = `The ${count.toLocaleString("en")} classes`;
  at("names").textContent = names;
  at("knows").hidden = false;
  at("model-link").href = about.hub_url;
  at("card-link").href = `${about.hub_url}/blob/main/README.md`;
  at("links").hidden = false;
  at("use-camera").hidden = !navigator.mediaDevices?.getUserMedia;
  at("examples").append(...about.examples.map(thumbnail));
  at("try").hidden = about.examples.length === 0;
}

function thumbnail({ file, caption }, index) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const image = document.createElement("img");
  button.type = "button";
  button.ariaPressed = "false";
  button.onclick = () => tryExample(index);
  image.src = file;
  image.alt = caption;
  image.decoding = "async";
  image.title = caption;
  button.append(image);
  item.append(button);
  return item;
}

function listen() {
  at("choose").onclick = () => at("file").click();
  at("drop").onclick = () => at("file").click();
  at("file").onchange = () => {
    if (at("file").files.length) look(at("file").files[0]);
    at("file").value = ""; // so that the same file can be chosen again
  };
  at("use-camera").onclick = openCamera;
  at("shoot").onclick = shoot;
  at("cancel").onclick = () => at("camera").close();
  at("camera").onclose = closeCamera;
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    at("drop").classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) at("drop").classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    at("drop").classList.remove("over");
    take(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => take(event.clipboardData.files));
}

function take(files) {
  if (files.length) look(files[0]);
  else if (!broken) trouble("not-a-file");
}

async function tryExample(index) {
  const id = ++newest; // what the visitor chooses meanwhile wins
  let blob;
  try {
    const response = await fetch(about.examples[index].file);
    if (!response.ok) throw new Error(response.statusText);
    blob = await response.blob();
  } catch {
    if (id === newest) trouble("example-missing");
    return;
  }
  if (id === newest) look(blob, index);
}

/** Show the picture and have it looked at; `example` is its number where it is one. */
function look(blob, example = null) {
  if (broken) return;
  URL.revokeObjectURL(at("preview").src);
  at("preview").src = URL.createObjectURL(blob);
  at("preview").alt = example === null ? "Your picture" : about.examples[example].caption;
  at("preview").hidden = false;
  at("preview").onerror = () => (at("preview").hidden = true);
  at("empty").hidden = true;
  at("drop").classList.add("filled");
  at("examples").querySelectorAll("button").forEach((button, index) => {
    button.ariaPressed = String(index === example);
  });
  at("trouble").hidden = true;
  if (ready) {
    document.body.dataset.state = "looking";
    say("Looking …");
  }
  worker.postMessage({ type: "look", id: ++newest, blob });
}

function hear(data) {
  if (data.type === "progress") return progress(data);
  if (data.type === "ready") return isReady();
  if (data.id !== null && data.id !== newest) return;
  if (data.type === "answer") return answer(data);
  if (data.id === null) return fail(data.code, data.seen);
  at("result").hidden = true; // it was of another picture
  trouble(data.code, data.seen);
}

function progress({ loaded, total }) {
  const megabytes = (bytes) => Math.round(bytes / 1e6);
  const whole = loaded >= total;
  say(whole ? "Starting the model …" : `Loading the model: ${megabytes(loaded)} of ${megabytes(total)} MB`);
  at("track").hidden = false;
  at("fill").style.width = `${(100 * loaded) / total}%`;
}

function isReady() {
  ready = true;
  at("track").hidden = true;
  const waiting = newest > 0 && at("trouble").hidden;
  document.body.dataset.state = waiting ? "looking" : "ready";
  say(waiting ? "Looking …" : "Ready. Choose a picture.");
}

function answer({ probs, width, height, seconds }) {
  const order = Array.from(probs.keys()).sort((a, b) => probs[b] - probs[a]);
  const best = order.slice(0, TOP);
  at("bars").replaceChildren(...best.map((index) => bar(about.class_names[index], probs[index])));
  at("took").textContent =
    `${seconds.toFixed(seconds < 10 ? 2 : 0)} s in your browser · ${width} × ${height} pixels`;
  say("");
  at("result").hidden = false;
  at("trouble").hidden = true;
  document.body.dataset.state = "answered";
}

function bar(name, prob) {
  const item = document.createElement("li");
  const label = document.createElement("span");
  const percent = document.createElement("span");
  const track = document.createElement("span");
  const fill = document.createElement("i");
  label.textContent = name;
  percent.textContent = prob > 0 && prob < 0.0005 ? "<0.1 %" : `${(100 * prob).toFixed(1)} %`;
  track.className = "track";
  fill.style.width = `${100 * prob}%`;
  track.append(fill);
  item.append(label, percent, track);
  return item;
}

function say(text) {
  at("status").textContent = text;
  at("wait").hidden = text === "";
}

/** This went wrong; the next picture may not. */
function trouble(code, seen = "") {
  at("trouble").textContent = (WORDS[code] ?? WORDS.unknown)(seen);
  at("trouble").hidden = false;
  if (ready) say("");
  document.body.dataset.state = "failed";
}

/** Nothing can be answered on this page any more. */
function fail(code, seen = "") {
  broken = true;
  say("");
  trouble(code, seen);
  for (const button of document.querySelectorAll("button")) button.disabled = true;
}

async function openCamera() {
  const reasons = { NotAllowedError: "camera-refused", NotFoundError: "camera-none" };
  at("shoot").disabled = true;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    return trouble(reasons[error.name] ?? "camera-busy");
  }
  at("video").onloadeddata = () => {
    at("shoot").disabled = false;
    at("shoot").focus();
  };
  at("video").srcObject = stream;
  at("camera").showModal();
}

function shoot() {
  const canvas = document.createElement("canvas");
  canvas.width = at("video").videoWidth;
  canvas.height = at("video").videoHeight;
  canvas.getContext("2d").drawImage(at("video"), 0, 0);
  canvas.toBlob((blob) => look(blob), "image/png");
  at("camera").close();
}

function closeCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  at("video").srcObject = null;
}
