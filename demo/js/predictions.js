/** The list of likely classes, of which one is explained. */

import { best } from "./scores.js";

const SHOWN = 5;

/** So many are listed where none is likelier than another. */
const LISTED = 12;

export class Predictions {
  /** `choose(index)` is called with the class that a person picks. */
  constructor(fieldset, choose) {
    this.fieldset = fieldset;
    this.rows = new Map();
    fieldset.addEventListener("change", (event) => choose(Number(event.target.value)));
  }

  /** Shows the best classes of a model and the one explained; with their probabilities, if known. */
  show(model, { target, probabilities }, choosable) {
    const classes = probabilities ? best(probabilities, SHOWN) : few(model.labels);
    if (!classes.includes(target)) classes.push(target);
    this.#list(classes, model);
    for (const [index, row] of this.rows) {
      row.input.checked = index === target;
      row.input.disabled = !choosable && index !== target;
      row.share.textContent = probabilities ? percent(probabilities[index]) : "";
      row.bar.style.setProperty("--share", probabilities?.[index] ?? 0);
      row.bar.hidden = !probabilities;
    }
    this.fieldset.hidden = false;
  }

  /** Rows for these classes; those that were there already stay, and with them the focus. */
  #list(classes, model) {
    const rows = new Map(classes.map((index) => [index, this.rows.get(index) ?? row(index)]));
    const focused = document.activeElement;
    for (const [index, old] of this.rows) if (!rows.has(index)) old.label.remove();
    let before = this.fieldset.firstElementChild; // the legend
    for (const [index, { label, name }] of rows) {
      name.textContent = model.label(index);
      if (before.nextElementSibling !== label) before.after(label);
      before = label;
    }
    this.rows = rows;
    if (focused !== document.activeElement && focused.isConnected) focused.focus();
  }
}

/** The numbers of all classes, where they are few. */
function few(labels) {
  return labels && labels.length <= LISTED ? labels.map((_, index) => index) : [];
}

function row(index) {
  const label = element("label", "prediction");
  const input = Object.assign(element("input"), { type: "radio", name: "class", value: index });
  const name = element("span"), share = element("output"), bar = element("i");
  label.append(input, name, share, bar);
  return { label, input, name, share, bar };
}

const element = (tag, className = "") => Object.assign(document.createElement(tag), { className });

function percent(share) {
  if (share > 0 && share < 0.001) return "< 0.1%";
  return `${(100 * share).toFixed(1)}%`;
}
