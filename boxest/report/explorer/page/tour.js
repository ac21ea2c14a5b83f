// Six steps that tell what batch size and learning rate do, with the cells of this very study.

const best = bestCell();
// Cells with another network or other data do not show what batch size and learning rate do.
const everyCell = sameOf(best, ["network", "condition"]);
const ofAll = everyCell.length < cells.size ? "of its network and data" : "of all cells";
const loss = study.measures[0].column;
const finals = new Map(everyCell.map((cell) => [cell, cellMean(cell, loss)]));
const finite = everyCell.filter((cell) => Number.isFinite(finals.get(cell)));
const least = (list, of) => list.reduce((best, one) => (of(one) < of(best) ? one : best), list[0]);

// How much of its way a cell goes back up, in shares of its final loss.
function unrest(cell) {
  return mean(cell.runs.map((run) => {
    const curve = along(run, loss).slice(Math.floor(run.epochs / 3));
    const rises = curve.slice(1).map((one, i) => Math.max(one - curve[i], 0));
    return mean(rises) / value(run, loss);
  }));
}

// Two cells with nearly the same learning rate × updates, of which the larger batch has the larger rate: of all
// such pairs, far apart and alike in loss; null where there is none.
function twins() {
  const [batch, rate] = ["batch_size", "learning_rate"].map(axisNumber);
  const others = study.axes.map((_, i) => i).filter((i) => i !== batch && i !== rate);
  let found = null;
  for (const p of finite) for (const q of finite) {
    const apart = q.cell[batch] - p.cell[batch];
    if (apart <= 0 || q.cell[rate] <= p.cell[rate] || others.some((i) => p.cell[i] !== q.cell[i])) continue;
    if (Math.abs(Math.log10(product(p) / product(q))) > 0.25) continue;
    const unlike = Math.abs(Math.log10(finals.get(p) / finals.get(q))) - 0.05 * apart;
    if (!found || unlike < found.unlike) found = { p, q, unlike };
  }
  return found;
}

const worst = least(finite, (cell) => -finals.get(cell));
// Of one or two epochs, or of curves that only fall, no cell is restless.
const restless = least(finite.filter((cell) => unrest(cell) > 0), (cell) => -unrest(cell));
const pair = hasLine ? twins() : null;
const seconds = (cell) => mean(cell.runs.map((run) => value(run, "seconds")));
const nearBest = finite.filter((cell) => finals.get(cell) <= 1.5 * finals.get(best));
const cheap = least(nearBest, seconds);
const view = { b: "", line: 0, seed: "all", epoch: lastEpoch, against: "epoch", curve: loss, log: 1, measure: loss };

const slow = hasLine && finite.length > 1 && product(worst) < product(best);

// A cell has no final loss where a run of it diverged. Of one cell there is nothing to tell.
const steps = finite.length < 2 ? [] : [
  { title: slow ? "Too slow" : "The highest loss", go: { ...view, a: worst.key },
    text: `With ${cellName(worst)}, the loss is still ${short(finals.get(worst))} at the end: the highest ${ofAll}. `
      + (slow
        ? `Learning rate × updates, which tells how far all updates together can move the network, is ${short(product(worst))}, `
          + `and ${short(product(best))} where the loss is lowest.`
        : "The next step shows the lowest beside it.") },
  { title: "Right", go: { ...view, a: best.key, b: worst.key },
    text: `With ${cellName(best)}, the loss falls to ${short(finals.get(best))}, the lowest ${ofAll}. `
      + "The cell of the step before is pinned beside it (dashed). Same network, same pictures: only the settings differ." },
  restless
    ? { title: "Restless", go: { ...view, a: restless.key, b: best === restless ? "" : best.key, log: 0 },
      text: `With ${cellName(restless)}, the loss goes up and down more than anywhere else: long steps jump over the place that the `
        + "network looks for."
        + (restless.runs.length > 1 ? " Look at single seeds: each one jumps in its own way." : "") }
    : { title: "At rest", go: { ...view, a: best.key },
      text: "Steps that are too long jump over the place that the network looks for, and the loss goes up and down. Of the cells that "
        + "did not diverge, it does so in none, after the first third of the epochs." },
  pair
    ? { title: "Scaled together", go: { ...view, a: pair.p.key, b: pair.q.key, line: 1,
        at: placeOnLine(pair.p) },
      text: `A larger batch makes fewer updates. Give it a larger learning rate, so that learning rate × updates stays the same: ${cellName(pair.p)} `
        + `ends at ${short(finals.get(pair.p))}, ${cellName(pair.q)} at ${short(finals.get(pair.q))}. Drag the line over the map and see how far the rule carries.` }
    : { title: "Side by side", go: { ...view, a: best.key, b: cheap.key },
      text: "Choose any cell on the map and pin another: their curves appear together." },
  { title: "Time", go: { ...view, a: cheap.key, b: best === cheap ? "" : best.key, against: "seconds", measure: "seconds" },
    text: `Accuracy is not everything. Of the cells within half of the best loss, ${cellName(cheap)} is the cheapest: `
      + `${short(seconds(cheap))} seconds, where the best takes ${short(seconds(best))}. The chart of costs below joins the cells that no other beats in both.` },
  { title: "Small objects", go: { ...view, a: best.key },
    text: hasBoxes
      ? "Look at the pictures below. The one with a frame has the smallest object. A miss of two pixels costs a large box next to nothing, and a "
        + "small one half of its score: small objects are learnt last. Press Play and watch."
      : "The best cell again. Errors are largest where objects are small: a miss of two pixels costs a large box next to nothing, and a small one half of its score." },
];

function drawTour() {
  const on = state.tour > 0 && steps.length > 0;
  $("tour").hidden = !on;
  $("tour-start").hidden = on || !steps.length;
  if (!on) return;
  const step = steps[state.tour - 1];
  $("tour-title").textContent = step.title;
  $("tour-text").textContent = step.text;
  $("tour-count").textContent = `${state.tour} of ${steps.length}`;
  $("tour-back").disabled = state.tour === 1;
  $("tour-next").disabled = state.tour === steps.length;
}
const goTo = (number) => set({ ...steps[number - 1].go, tour: number });
$("tour-start").onclick = () => {
  goTo(1);
  $("tour-next").focus();
};
$("tour-back").onclick = () => goTo(state.tour - 1);
$("tour-next").onclick = () => goTo(state.tour + 1);
$("tour-end").onclick = () => set({ tour: 0 });
views.push((keys) => keys.includes("tour") && drawTour());
