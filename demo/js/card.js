/** What travels with a model: how it is fed, and what its classes are called. */

import { Complaint } from "./complaint.js";

const PREPROCESS = "onnxcam.preprocess", LABELS = "onnxcam.labels";

/** Settings and labels from a model's metadata, null where it has none. */
export function cardOf(metadata) {
  const [preprocess, labels] = [PREPROCESS, LABELS].map((key) =>
    metadata.has(key) ? parsed(metadata.get(key), `the model's ${key}`) : null,
  );
  return { preprocess, labels: labels && listed(labels) };
}

/** The same from the .json file that lies beside a model. */
export function cardFrom(text, name) {
  const content = parsed(text, name);
  if (!content?.preprocess && !content?.labels) {
    throw new Complaint(`${name} has neither "preprocess" nor "labels"`);
  }
  return {
    preprocess: content.preprocess ?? null,
    labels: content.labels ? listed(content.labels) : null,
  };
}

/** The class that a person means, by number, name, or one of its synonyms; -1 where there is none. */
export function classNamed(words, labels, count) {
  const wanted = words.trim().toLowerCase();
  const names = (labels ?? []).map((label) => label.toLowerCase());
  const exact = names.indexOf(wanted);
  if (exact >= 0) return exact;
  const synonym = names.findIndex((name) => name.split(",").some((one) => one.trim() === wanted));
  if (synonym >= 0) return synonym;
  return /^\d+$/.test(wanted) && Number(wanted) < count ? Number(wanted) : -1;
}

/** Names in class order, from a list or from an object of index to name. */
function listed(content) {
  if (Array.isArray(content)) return content.map(String);
  const indices = Object.keys(content);
  const names = new Array(Math.max(-1, ...indices.map(Number)) + 1).fill("");
  for (const index of indices) names[Number(index)] = String(content[index]);
  return names;
}

function parsed(text, name) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Complaint(`${name} is no JSON (${error.message})`);
  }
}
