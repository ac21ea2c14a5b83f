// Learning as it happens: the boxes that the networks predicted after each epoch.

const loaded = (study.pictures ?? []).map(({ image }) => {
  const picture = new Image();
  picture.src = image;
  return picture;
});
const hasBoxes = Boolean(places) && loaded.length > 0;
const shortestSide = ({ box }) => Math.min(box[2] - box[0], box[3] - box[1]);
const smallest = hasBoxes
  ? study.pictures.reduce((least, one, i) => (shortestSide(one) < shortestSide(study.pictures[least]) ? i : least), 0) : -1;
const runsShown = (cell) =>
  (state.seed === "all" ? cell.runs : cell.runs.filter((run) => String(run.seed) === state.seed));

function strip(name, cell) {
  const part = document.createElement("div");
  part.className = `strip ${name}`;
  const title = document.createElement("h3");
  title.textContent = cellName(cell);
  const pictures = document.createElement("div");
  pictures.className = "pictures";
  study.pictures.forEach((_, i) => {
    const figure = document.createElement("figure");
    const canvas = document.createElement("canvas");
    canvas.width = 2 * loaded[i].naturalWidth;
    canvas.height = 2 * loaded[i].naturalHeight;
    canvas.setAttribute("role", "img");
    figure.append(canvas, document.createElement("figcaption"));
    figure.classList.toggle("small", i === smallest && state.tour === 6);
    pictures.append(figure);
  });
  part.append(title, pictures);
  return part;
}

function drawStrip(part, name, cell) {
  part.querySelectorAll("figure").forEach((figure, i) => {
    const [canvas, caption] = figure.children;
    const pen = canvas.getContext("2d");
    const outline = (box, ink, width, dashes) => {
      const [x1, y1, x2, y2] = box.map((place, j) => place * (j % 2 ? canvas.height : canvas.width));
      pen.setLineDash(dashes);
      pen.lineWidth = width;
      pen.strokeStyle = ink;
      pen.strokeRect(x1, y1, x2 - x1, y2 - y1);
    };
    pen.imageSmoothingEnabled = false;
    pen.drawImage(loaded[i], 0, 0, canvas.width, canvas.height);
    const truth = study.pictures[i].box;
    outline(truth, "#000", 5, []);
    outline(truth, "#39e75f", 3, []);
    const boxes = runsShown(cell).map((run) => predicted(run, state.epoch, i));
    for (const box of boxes) outline(box, name === "a" ? "#3aa0ff" : "#ff8c2e", 3, name === "a" ? [] : [8, 5]);
    const score = mean(boxes.map((box) => iou(box, truth)));
    // Cells that are listed may have fewer seeds than others.
    caption.textContent = boxes.length ? `IoU ${score.toFixed(2)}` : "no run with this seed";
    canvas.setAttribute("aria-label", `Picture ${i + 1}: ${caption.textContent}`);
  });
}

let strips = [];
function layStrips() {
  const shown = [["a", chosen()], ...(pinned() && pinned() !== chosen() ? [["b", pinned()]] : [])];
  strips = shown.map(([name, cell]) => ({ name, cell, part: strip(name, cell) }));
  $("boxes").replaceChildren(...strips.map(({ part }) => part));
}
function drawBoxes() {
  for (const { part, name, cell } of strips) drawStrip(part, name, cell);
}

function drawPlayer() {
  $("epoch").max = lastEpoch;
  $("epoch").value = state.epoch;
  $("epoch-now").textContent = state.epoch;
  $("seed").value = state.seed;
}

let timer = null;
function play(on) {
  clearInterval(timer);
  timer = null;
  $("play").textContent = on ? "Pause" : "Play";
  $("play").setAttribute("aria-pressed", on);
  if (!on) return;
  if (state.epoch === lastEpoch) set({ epoch: 1 });
  timer = setInterval(() => (state.epoch < lastEpoch ? set({ epoch: state.epoch + 1 }) : play(false)), 250);
}
$("play").onclick = () => play(timer === null);
$("epoch").oninput = () => {
  play(false);
  set({ epoch: Number($("epoch").value) });
};
const seeds = [...new Set(study.runs.map((run) => run.seed))].sort((p, q) => p - q);
fill($("seed"), [["all", "all"], ...seeds.map((seed) => [seed, seed])], state.seed);
$("seed").onchange = () => set({ seed: $("seed").value });
$("boxes-hint").textContent = hasBoxes
  ? "Pictures of the validation set: the true box in green, and the box of each network after this epoch. A run that ended earlier shows its last one."
  : "The runs of this study kept no boxes, so there is nothing to show here but the epoch, which the curves above mark.";

views.push((keys) => {
  const touches = (...names) => keys.some((key) => names.includes(key));
  if (touches("epoch", "seed")) drawPlayer();
  if (!hasBoxes) return;
  if (touches("a", "b", "tour")) layStrips();
  if (touches("a", "b", "epoch", "seed", "tour")) drawBoxes();
});
