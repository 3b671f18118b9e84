/**
 * What onnxruntime-web does not tell of an ONNX file: its metadata and its nodes; and inputs that
 * may be left out, which onnxruntime-web would not take at all.
 * Field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 */

import { Complaint } from "./complaint.js";
import { fields, framed, text } from "./protobuf.js";

const MODEL = { graph: 7, metadata: 14 };
const ENTRY = { key: 1, value: 2 };
const GRAPH = { node: 1, initializer: 5, input: 11 };
const NODE = { input: 1, output: 2, operator: 4 };
const TENSOR_NAME = 8, INPUT_NAME = 1;

export class OnnxFile {
  /** Reads the bytes of a file; throws a Complaint where they are no ONNX model. */
  constructor(bytes, name) {
    this.bytes = bytes;
    this.name = name;
    /** metadata_props, text by name */
    this.metadata = new Map();
    /** of every node of the graph its operator, and the names of its inputs and outputs */
    this.nodes = [];
    /** names of inputs that may be left out */
    this.optional = new Set();
    let graph = null;
    try {
      for (const { number, value } of fields(bytes)) {
        if (number === MODEL.graph) graph = value;
        if (number === MODEL.metadata) this.metadata.set(...entry(value));
      }
      if (graph) this.#readGraph(graph);
    } catch (error) {
      if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
      graph = null;
    }
    if (!graph || !this.nodes.length) {
      throw new Complaint(`${name} is not an ONNX model, or is cut short; choose an .onnx file`);
    }
  }

  #readGraph(graph) {
    const inputs = [], initializers = new Set();
    for (const { number, value } of fields(graph)) {
      if (number === GRAPH.node) this.nodes.push(node(value));
      if (number === GRAPH.input) inputs.push(named(value, INPUT_NAME));
      if (number === GRAPH.initializer) initializers.add(named(value, TENSOR_NAME));
    }
    this.optional = new Set(inputs.filter((name) => initializers.has(name)));
  }

  /** The node that makes a tensor, if one does. */
  producer(tensor) {
    return this.nodes.find((node) => node.outputs.includes(tensor));
  }

  /** The nodes that read a tensor. */
  consumers(tensor) {
    return this.nodes.filter((node) => node.inputs.includes(tensor));
  }

  /**
   * The file with one default value left out: the input of that name must then be given.
   * onnxruntime-web refuses every input that has a default (it counts only the others).
   */
  requiring(input) {
    const parts = [];
    for (const field of fields(this.bytes)) {
      const bytes = this.bytes.subarray(field.start, field.end);
      parts.push(...(field.number === MODEL.graph ? withoutDefault(field.value, input) : [bytes]));
    }
    return joined(parts);
  }
}

function entry(bytes) {
  const found = { [ENTRY.key]: "", [ENTRY.value]: "" };
  for (const { number, value } of fields(bytes)) found[number] = text(value);
  return [found[ENTRY.key], found[ENTRY.value]];
}

function node(bytes) {
  const found = { operator: "", inputs: [], outputs: [] };
  for (const { number, value } of fields(bytes)) {
    if (number === NODE.input) found.inputs.push(text(value));
    if (number === NODE.output) found.outputs.push(text(value));
    if (number === NODE.operator) found.operator = text(value);
  }
  return found;
}

function named(bytes, field) {
  for (const { number, value } of fields(bytes)) if (number === field) return text(value);
  return "";
}

function withoutDefault(graph, input) {
  const kept = [];
  for (const { number, value, start, end } of fields(graph)) {
    if (number === GRAPH.initializer && named(value, TENSOR_NAME) === input) continue;
    kept.push(graph.subarray(start, end));
  }
  return framed(MODEL.graph, kept);
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
