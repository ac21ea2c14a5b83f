// The line of constant learning rate × updates, on the map and in numbers.

const products = [...cells.values()].map(product);
// A rate that is found, "auto", has no product.
const hasLine = products.every(Number.isFinite) && axisNumber("batch_size") >= 0;
const [lowest, highest] = [Math.min(...products), Math.max(...products)].map(Math.log10);
const lineProduct = () => 10 ** (lowest + state.at * (highest - lowest));

// Where the line runs through a cell: 0 at the smallest product, 1 at the largest.
const placeOnLine = (cell) => (highest > lowest ? (Math.log10(product(cell)) - lowest) / (highest - lowest) : 0.5);

// The cells within a factor of 1.5 of the line, of those that the map shows.
function cellsOnLine() {
  if (!hasLine || !state.line) return [];
  const hidden = study.axes.map((_, i) => i).filter((i) => i !== state.x && i !== state.y);
  return [...cells.values()].filter((cell) =>
    hidden.every((i) => cell.cell[i] === chosen().cell[i])
    && Math.abs(Math.log10(product(cell) / lineProduct())) < Math.log10(1.5));
}

// Across the map the line runs through the places where the product is reached, row by row.
function drawLine() {
  if (!$("map").rows.length) return;
  const axes = [study.axes[state.x].name, study.axes[state.y].name];
  const drawn = hasLine && state.line && axes.includes("learning_rate") && axes.includes("batch_size");
  $("line").toggleAttribute("hidden", !drawn);
  if (!drawn) return;
  const target = Math.log10(lineProduct());
  const points = [];
  rowsOfMap().forEach((_, row) => {
    const row_cells = study.axes[state.x].values.map((_, column) => cellAt(column, row)).filter(Boolean);
    const marks = row_cells.map((cell) => ({ at: Math.log10(product(cell)), ...middle(cell) }));
    for (let i = 0; i + 1 < marks.length; i++) {
      const [p, q] = [marks[i], marks[i + 1]];
      const share = (target - p.at) / (q.at - p.at);
      if (share > -0.01 && share < 1.01) points.push([p.x + share * (q.x - p.x), p.y]);
    }
  });
  const path = `M${points.map((point) => point.join(" ")).join("L")}${points.length > 1 ? "" : "l0 0.1"}`;
  for (const drawn of $("line").children) drawn.setAttribute("d", points.length ? path : "");
}

function middle(cell) {
  const place = $("map").querySelector(`[data-key="${cell.key}"]`).getBoundingClientRect();
  const frame = $("map-frame").getBoundingClientRect();
  return { x: place.x + place.width / 2 - frame.x, y: place.y + place.height / 2 - frame.y };
}

// A drag takes the line to the cell under the pointer; a mere click chooses the cell, as elsewhere.
$("line").lastElementChild.addEventListener("pointerdown", (event) => {
  const under = (now) => document.elementsFromPoint(now.clientX, now.clientY)
    .map((element) => cells.get(element.dataset?.key)).find(Boolean);
  const first = under(event);
  let moved = false;
  const move = (now) => {
    const cell = under(now);
    moved ||= cell !== first;
    if (cell && moved) set({ at: placeOnLine(cell) });
  };
  event.target.setPointerCapture(event.pointerId);
  event.target.addEventListener("pointermove", move);
  event.target.addEventListener("lostpointercapture", () => {
    event.target.removeEventListener("pointermove", move);
    if (!moved && first) set({ a: first.key });
  }, { once: true });
});

function drawLineControls() {
  $("line-controls").hidden = !hasLine || lowest === highest;
  $("line-on").checked = Boolean(state.line);
  $("line-label").hidden = !state.line;
  $("line-hint").hidden = !state.line;
  $("line-at").value = state.at;
  $("line-value").textContent = short(lineProduct());
}
$("line-on").onchange = () => set({ line: Number($("line-on").checked) });
$("line-at").oninput = () => set({ at: Number($("line-at").value) });
views.push((keys) => keys.some((key) => ["line", "at"].includes(key)) && drawLineControls());
new ResizeObserver(() => drawLine()).observe($("map-frame"));
