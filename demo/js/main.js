/** The page: what people do, and what it answers. */

import { cardFrom, classNamed } from "./card.js";
import { Complaint } from "./complaint.js";
import { ExplainedModel } from "./model.js";
import { pictureFrom, pictureOf, startCamera, stopCamera } from "./picture.js";
import { Predictions } from "./predictions.js";
import { Preprocess, PRESETS } from "./preprocess.js";
import { bestDevice, DEVICES } from "./runtime.js";
import { Stage } from "./stage.js";

const byId = (id) => document.getElementById(id);
const stage = new Stage(byId("canvas"), byId("picture"), byId("heat"));
const predictions = new Predictions(byId("predictions"), (index) => doing(() => explain(index))());

let model = null;
let picture = null;
/** The class that was asked for; null for the model's own best. */
let wanted = null;
let stale = false, live = false;
/** The explaining that is under way. */
let running = null;

// ---------------------------------------------------------------------------- explaining

/** Explains a class, and what changes meanwhile; whoever calls while it runs waits for all of it. */
function explain(index = wanted) {
  wanted = index;
  stale = true;
  if (model && picture) running ??= untilFresh();
  return running;
}

async function untilFresh() {
  try {
    while (stale) {
      stale = false;
      const [asked, seen] = [model, picture];
      const explanation = await asked.explain(seen, wanted);
      if (asked === model) show(seen, explanation);
    }
  } finally {
    running = null;
  }
}

function show(seen, explanation) {
  const { target, probabilities, milliseconds } = explanation;
  const name = model.label(target);
  predictions.show(model, explanation, model.takesClass);
  const where = stage.show(seen, explanation, name);
  byId("results-empty").hidden = true;
  byId("other").hidden = !model.takesClass;
  const count = probabilities?.length ?? model.labels?.length ?? Infinity;
  byId("other-class").dataset.count = count;
  say(`Heat for ${name}: ${where}. ${milliseconds.toFixed(0)} ms.`);
}

// ---------------------------------------------------------------------------- the model

async function loadModel(blob, name, card) {
  say(`Loading ${name} …`);
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const old = model;
  model = await openModel(bytes, name);
  wanted = null;
  if (card) applyCard(card);
  showModel();
  say(`${name} is ready.${picture ? "" : " Choose a picture."}`);
  await explain(null);
  await old?.close(); // nothing runs it any more
}

/** On the graphics card, or where that fails on the CPU. */
async function openModel(bytes, name) {
  const asked = parameters.get("device");
  const first = asked in DEVICES ? asked : await bestDevice();
  for (const device of new Set([first, "wasm"])) {
    try {
      const opened = await ExplainedModel.open(bytes, name, device);
      await opened.rehearse();
      return opened;
    } catch (error) {
      if (device === "wasm") throw error;
      console.warn(`onnxcam: ${device} fails, the CPU is next`, error);
    }
  }
}

function applyCard({ preprocess, labels }) {
  if (preprocess) {
    model.preprocess = new Preprocess(preprocess);
    model.assumed = null;
  }
  model.labels = labels ?? model.labels;
}

function showModel() {
  byId("model-empty").hidden = true;
  byId("model-facts").replaceChildren();
  byId("model-facts").hidden = false;
  const facts = {
    File: model.name,
    Method: model.method,
    Layer: model.layer,
    "Runs on": DEVICES[model.device],
    ...(model.takesClass ? {} : { Class: "settled in the file" }),
  };
  for (const [term, value] of Object.entries(facts)) {
    const [pair, dt, dd] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
    dt.textContent = term;
    dd.textContent = value;
    pair.append(dt, dd);
    byId("model-facts").append(pair);
  }
  byId("choose-model").lastElementChild.textContent = "Choose another";
  byId("preset-row").hidden = !model.assumed;
  if (model.assumed) byId("preset").value = model.assumed.preset;
  const options = (model.labels ?? []).map((label) => new Option(label));
  byId("classes").replaceChildren(...options);
}

// ---------------------------------------------------------------------------- pictures

async function loadPicture(blob, name) {
  const loaded = await pictureFrom(blob, name);
  stopLive();
  await present(loaded);
}

async function present(loaded, index = null) {
  picture = loaded;
  if (!model) {
    stage.showPicture(picture);
    say("The picture is there. Choose a model.");
  }
  await explain(index);
}

async function toggleCamera() {
  if (live) return stopLive();
  const video = byId("video");
  await startCamera(video);
  setLive(true);
  wanted = null;
  try {
    while (live) {
      await present(pictureOf(video), wanted);
      await new Promise(requestAnimationFrame);
    }
  } finally {
    stopLive();
  }
}

function stopLive() {
  setLive(false);
  stopCamera(byId("video"));
}

function setLive(now) {
  live = now;
  byId("camera").setAttribute("aria-pressed", now);
  byId("camera").textContent = now ? "Hold this picture" : "Camera";
  byId("status").ariaLive = now ? "off" : "polite"; // nobody wants every frame read out
}

// ---------------------------------------------------------------------------- files

/** Files that were dropped, pasted or chosen: a model, perhaps with its .json, or a picture. */
async function take(files) {
  const named = (ending) => files.find(({ name }) => name.toLowerCase().endsWith(ending));
  const [file, json] = [named(".onnx"), named(".json")];
  const image = files.find((one) => one !== file && one !== json);
  if (file) {
    await loadModel(file, file.name, json && cardFrom(await json.text(), json.name));
  } else if (json) {
    if (!model) throw new Complaint(`${json.name}: choose the model that it belongs to, too`);
    applyCard(cardFrom(await json.text(), json.name));
    showModel();
    await explain();
  }
  if (image) await loadPicture(image, image.name);
}

async function fetched(address) {
  const response = await fetch(address).catch(() => null);
  if (!response?.ok) {
    const reason = response ? `the server answers ${response.status}` : "no answer, or not allowed";
    throw new Complaint(`${address} cannot be loaded: ${reason}`);
  }
  return [await response.blob(), decodeURIComponent(address.split(/[?#]/)[0].split("/").at(-1))];
}

// ---------------------------------------------------------------------------- messages

function say(words) {
  byId("status").textContent = words;
}

function complain(error) {
  if (!(error instanceof Complaint)) console.error(error);
  const words = error instanceof Complaint ? error.message : `Something failed: ${error.message}`;
  byId("error").querySelector("p").textContent = words;
  byId("error").hidden = false;
  say("");
}

/** A listener that shows what goes wrong, and forgets what went wrong before. */
const doing = (action) => async (event) => {
  byId("error").hidden = true;
  try {
    await action(event);
  } catch (error) {
    complain(error);
  }
};

// ---------------------------------------------------------------------------- the page itself

const parameters = new URLSearchParams(location.search);

function listen() {
  for (const id of ["model-file", "picture-file"]) {
    byId(id).addEventListener("change", doing(async ({ target }) => {
      const files = [...target.files];
      target.value = ""; // so that the same file can be chosen again
      await take(files);
    }));
  }
  byId("camera").addEventListener("click", doing(toggleCamera));
  byId("dismiss").addEventListener("click", () => (byId("error").hidden = true));
  byId("opacity").addEventListener("input", ({ target }) => {
    byId("canvas").style.setProperty("--opacity", target.value);
    target.nextElementSibling.textContent = `${target.value}%`;
  });
  byId("preset").append(...Object.keys(PRESETS).map((name) => new Option(name)));
  byId("preset").addEventListener("change", doing(async ({ target }) => {
    model.preprocess = new Preprocess(PRESETS[target.value]);
    await explain();
  }));
  byId("other").addEventListener("submit", doing(async (event) => {
    event.preventDefault();
    const { value, dataset } = byId("other-class");
    const index = classNamed(value, model.labels, Number(dataset.count));
    if (index < 0) throw new Complaint(`the model has no class '${value}'`);
    await explain(index);
  }));
  addEventListener("paste", doing(({ clipboardData }) => take([...clipboardData.files])));
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  addEventListener("dragleave", ({ relatedTarget }) => {
    if (!relatedTarget) document.body.classList.remove("dropping");
  });
  addEventListener("drop", doing(async (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    await take([...event.dataTransfer.files]);
  }));
}

const start = doing(async () => {
  byId("not-started").hidden = true;
  document.querySelector("main").hidden = false;
  const [address, image] = ["model", "picture"].map((name) => parameters.get(name));
  if (image) await loadPicture(...(await fetched(image)));
  if (address) await loadModel(...(await fetched(address)));
});

listen();
start();
