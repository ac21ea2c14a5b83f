// The study as the page holds it: runs, cells (runs that differ in the seed alone) and their curves.

const $ = (id) => document.getElementById(id);
const bytesOf = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const decoded = (text, Kind) => new Kind(bytesOf(text).buffer);

// The data and the library of charts stand in the page compressed: half of its size.
async function unpacked(id) {
  const stream = new Blob([bytesOf($(id).textContent)]).stream();
  return new Response(stream.pipeThrough(new DecompressionStream("gzip"))).text();
}
const library = document.createElement("script");
library.textContent = await unpacked("plotly");
document.head.append(library);
const study = JSON.parse(await unpacked("study"));

// A column holds a value per run and epoch, the runs one after the other.
const columns = Object.fromEntries(
  Object.entries(study.columns).map(([name, text]) => [name, decoded(text, Float32Array)]));
const places = study.places && decoded(study.places, Int16Array);
let start = 0;
for (const run of study.runs) {
  run.start = start;
  start += run.epochs;
}
const lastEpoch = Math.max(...study.runs.map((run) => run.epochs));

const cells = new Map();
for (const run of study.runs) {
  const key = run.cell.join(",");
  if (!cells.has(key)) cells.set(key, { key, cell: run.cell, runs: [] });
  cells.get(key).runs.push(run);
}
const axisNumber = (name) => study.axes.findIndex((axis) => axis.name === name);

// The cells that have the same value as one of them on these axes, where the study has them.
function sameOf(cell, names) {
  const places = names.map(axisNumber).filter((i) => i >= 0);
  return [...cells.values()].filter((one) => places.every((i) => one.cell[i] === cell.cell[i]));
}

// The value of a run after an epoch; a run that ended before keeps its last one.
function value(run, column, epoch = lastEpoch) {
  return columns[column][run.start + Math.min(epoch, run.epochs) - 1];
}

function mean(values) {
  return values.length ? values.reduce((sum, one) => sum + one, 0) / values.length : NaN;
}

function cellMean(cell, column, epoch) {
  return mean(cell.runs.map((run) => value(run, column, epoch)));
}

// The mean curve over the epochs that all runs of a cell have.
function meanCurve(cell, column) {
  const shortest = Math.min(...cell.runs.map((run) => run.epochs));
  return Array.from({ length: shortest }, (_, i) => cellMean(cell, column, i + 1));
}

function cellName(cell) {
  return study.axes.map((axis, i) => `${axis.label} ${axis.values[cell.cell[i]]}`).join(", ");
}

// Four digits at most; no digits that a reader does not need.
function short(number) {
  if (!Number.isFinite(number)) return "diverged";
  const size = Math.abs(number);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return number.toExponential(1);
  return String(Number(number.toPrecision(size >= 1000 ? 4 : 3)));
}

// Learning rate × updates of a training of all epochs; null where the study has no such axis.
function product(cell) {
  const rate = axisNumber("learning_rate");
  if (rate < 0) return null;
  const run = cell.runs[0];
  return study.axes[rate].values[cell.cell[rate]] * value(run, "updates", 1) * lastEpoch;
}

// Area that two boxes share, divided by the area that they cover together.
function iou(p, q) {
  const width = Math.min(p[2], q[2]) - Math.max(p[0], q[0]);
  const height = Math.min(p[3], q[3]) - Math.max(p[1], q[1]);
  const shared = Math.max(width, 0) * Math.max(height, 0);
  const area = (box) => Math.max(box[2] - box[0], 0) * Math.max(box[3] - box[1], 0);
  return shared / (area(p) + area(q) - shared) || 0;
}

// The box that a run predicted for a picture after an epoch, in shares of width and height.
function predicted(run, epoch, picture) {
  const row = run.start + Math.min(epoch, run.epochs) - 1;
  const from = (row * study.pictures.length + picture) * 4;
  return Array.from(places.subarray(from, from + 4), (place) => place / study.place_unit);
}
