// What the page shows. It stands in the address, so that a link leads to the same view.

const measures = [
  ...study.measures.map(({ column, label }) => ({
    name: column, label: `${label}, at the end`, text: label, of: (run) => value(run, column) })),
  ...study.measures.slice(0, 1).map(({ column, label }) => ({
    name: "now", label: `${label}, after the epoch below`, text: label,
    of: (run) => value(run, column, state.epoch) })),
  { name: "seconds", label: "seconds of training", text: "seconds", of: (run) => value(run, "seconds") },
  { name: "epochs", label: "epochs run", text: "epochs", of: (run) => run.epochs },
];
const measureOf = (name) => measures.find((measure) => measure.name === name) ?? measures[0];
const ofCell = (measure, cell) => mean(cell.runs.map(measure.of));

function bestCell() {
  const finite = [...cells.values()].filter((cell) => Number.isFinite(ofCell(measures[0], cell)));
  const first = finite[0] ?? cells.values().next().value;
  return finite.reduce((best, cell) =>
    ofCell(measures[0], cell) < ofCell(measures[0], best) ? cell : best, first);
}

const defaults = {
  a: bestCell().key, b: "", x: Math.min(1, study.axes.length - 1), y: 0, measure: measures[0].name,
  curve: study.measures[0].column, against: "epoch", log: 1, epoch: lastEpoch, seed: "all",
  cost: "seconds", line: 0, at: 0.5, tour: 0,
};
const state = { ...defaults };
const views = []; // Functions that draw a part of the page; each is told which keys changed.

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const read = { ...defaults };
  for (const [key, text] of given) {
    if (!(key in defaults)) continue;
    const number = Number(text);
    if (typeof defaults[key] === "string") read[key] = text;
    else if (Number.isFinite(number)) read[key] = number;
  }
  const bounded = (number, low, high) => Math.min(Math.max(Math.round(number), low), high);
  if (!cells.has(read.a)) read.a = defaults.a;
  if (!cells.has(read.b)) read.b = "";
  read.x = bounded(read.x, 0, study.axes.length - 1);
  read.y = bounded(read.y, 0, study.axes.length - 1);
  if (read.x === read.y) [read.x, read.y] = [defaults.x, defaults.y];
  read.epoch = bounded(read.epoch, 1, lastEpoch);
  read.tour = bounded(read.tour, 0, 6);
  if (!study.measures.some(({ column }) => column === read.curve)) read.curve = defaults.curve;
  read.measure = measureOf(read.measure).name;
  if (!["epoch", "updates", "seconds"].includes(read.against)) read.against = defaults.against;
  if (!["epoch", "updates", "seconds"].includes(read.cost)) read.cost = defaults.cost;
  if (!study.runs.some((run) => String(run.seed) === read.seed)) read.seed = "all";
  return read;
}

let addressTimer;
function writeAddress() {
  const changed = Object.entries(state).filter(([key, one]) => one !== defaults[key]);
  const text = new URLSearchParams(changed.map(([key, one]) => [key, String(one)])).toString();
  try {
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  } catch {
    // Within another page, such as Snakemake's report, there is no address to write to.
  }
}

// Change what the page shows, and draw the parts that it concerns.
function set(changes) {
  const keys = Object.keys(changes).filter((key) => state[key] !== changes[key]);
  if (!keys.length) return;
  Object.assign(state, changes);
  for (const view of views) view(keys);
  clearTimeout(addressTimer); // Browsers limit how often a page may change its address.
  addressTimer = setTimeout(writeAddress, 150);
}

const chosen = () => cells.get(state.a);
const pinned = () => cells.get(state.b);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function fill(select, options, current) {
  select.replaceChildren(...options.map(([key, label]) => new Option(label, key)));
  select.value = current;
}

addEventListener("hashchange", () => set(readAddress()));
