// Curves, cost and parallel coordinates, drawn by Plotly.

const options = { displaylogo: false, responsive: true, displayModeBar: false };

function axis(title, extra = {}) {
  return { title: { text: title }, gridcolor: colour("rule"), zerolinecolor: colour("rule"), automargin: true,
    minorloglabels: "complete", ...extra };
}

function layout(extra) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("ink"), family: "system-ui, sans-serif", size: 13 },
    margin: { l: 60, r: 12, t: 10, b: 45 }, hovermode: "closest", showlegend: false, ...extra,
  };
}

const labelOf = (column) => study.measures.find((measure) => measure.column === column).label;
const costNames = { epoch: "epochs", updates: "updates", seconds: "seconds of training" };

function along(run, against) {
  return Array.from({ length: run.epochs }, (_, i) =>
    (against === "epoch" ? i + 1 : value(run, against, i + 1)));
}

// Where the points of a mean curve lie: runs of other seeds took other seconds.
function meanAlong(cell, length) {
  return Array.from({ length }, (_, i) =>
    (state.against === "epoch" ? i + 1 : mean(cell.runs.map((run) => value(run, state.against, i + 1)))));
}

function curvesOf(cell, name) {
  const dash = name === "b" ? "dash" : "solid";
  const lines = cell.runs.map((run) => ({
    x: along(run, state.against), y: along(run, state.curve), mode: "lines",
    opacity: state.seed === "all" ? 0.4 : 0.15, line: { color: colour(name), width: 1.2, dash },
    hovertemplate: `${cellName(cell)}, seed ${run.seed}<br>%{x}: %{y:.4g}<extra></extra>`,
    ...(String(run.seed) === state.seed ? { opacity: 1, line: { color: colour(name), width: 3, dash } } : {}),
  }));
  const middle = meanCurve(cell, state.curve);
  const x = meanAlong(cell, middle.length);
  return [...lines, { x, y: middle, mode: "lines", line: { color: colour(name), width: 3, dash },
    opacity: state.seed === "all" ? 1 : 0.3,
    hovertemplate: `${cellName(cell)}, mean<br>%{x}: %{y:.4g}<extra></extra>` }];
}

function lineCurves() {
  return cellsOnLine().filter((cell) => cell !== chosen() && cell !== pinned()).map((cell) => {
    const y = meanCurve(cell, state.curve);
    return { x: meanAlong(cell, y.length), y, mode: "lines",
      line: { color: colour("focus"), width: 2, dash: "dot" },
      hovertemplate: `${cellName(cell)}, mean<br>%{x}: %{y:.4g}<extra></extra>` };
  });
}

function drawCurves() {
  const traces = [...lineCurves(), ...(pinned() ? curvesOf(pinned(), "b") : []), ...curvesOf(chosen(), "a")];
  const run = chosen().runs.find((one) => String(one.seed) === state.seed) ?? chosen().runs[0];
  const now = state.against === "epoch" ? state.epoch : value(run, state.against, state.epoch);
  Plotly.react("curves", traces, layout({
    xaxis: axis(costNames[state.against], { rangemode: "tozero" }),
    yaxis: axis(labelOf(state.curve), { type: state.log ? "log" : "linear" }),
    shapes: [{ type: "line", x0: now, x1: now, yref: "paper", y0: 0, y1: 1,
      line: { color: colour("soft"), width: 1, dash: "dot" } }],
  }), options).then((chart) => {
    chart.removeAllListeners("plotly_click");
    chart.on("plotly_click", ({ points }) => set({ epoch: points[0].pointIndex + 1 }));
  });
  $("name-a").textContent = cellName(chosen());
  $("name-b").textContent = pinned() ? `pinned: ${cellName(pinned())}` : "";
  $("pin").disabled = state.a === state.b;
  $("unpin").hidden = !pinned();
  $("curve").value = state.curve;
  $("against").value = state.against;
  $("log").checked = Boolean(state.log);
}

// The cells that no other cell beats in both cost and loss, cheapest first.
function paretoFront(points) {
  const sorted = points.filter((point) => Number.isFinite(point.y)).sort((p, q) => p.x - q.x || p.y - q.y);
  let best = Infinity;
  return sorted.filter((point) => point.y < best && ((best = point.y), true));
}

const costOf = (run) => (state.cost === "epoch" ? run.epochs : value(run, state.cost));

function drawScatter() {
  const column = state.curve;
  const means = sameOf(chosen(), ["condition"]).map((cell) => ({
    cell, x: mean(cell.runs.map(costOf)), y: cellMean(cell, column) }));
  const front = paretoFront(means);
  const group = (run) => (run.cell.join(",") === state.a ? "a" : run.cell.join(",") === state.b ? "b" : "other");
  const points = {
    x: study.runs.map(costOf), y: study.runs.map((run) => value(run, column)), mode: "markers",
    customdata: study.runs.map((run) => run.cell.join(",")),
    text: study.runs.map((run) => `${cellName(run)}, seed ${run.seed}`),
    marker: { color: study.runs.map((run) => colour(group(run))),
      symbol: study.runs.map((run) => ({ a: "circle", b: "square", other: "circle-open" })[group(run)]),
      size: study.runs.map((run) => (group(run) === "other" ? 6 : 10)) },
    hovertemplate: "%{text}<br>%{x:.4g}: %{y:.4g}<extra></extra>",
  };
  const line = { x: front.map((one) => one.x), y: front.map((one) => one.y), mode: "lines+markers",
    customdata: front.map((one) => one.cell.key), text: front.map((one) => `${cellName(one.cell)}, mean`),
    line: { color: colour("focus"), width: 2 }, marker: { symbol: "diamond", size: 9 },
    hovertemplate: "%{text}<br>%{x:.4g}: %{y:.4g}<extra></extra>" };
  Plotly.react("scatter", [points, line], layout({
    xaxis: axis(costNames[state.cost], { type: "log" }),
    yaxis: axis(`${labelOf(column)}, at the end`, { type: state.log ? "log" : "linear" }),
  }), options).then((chart) => {
    chart.removeAllListeners("plotly_click");
    chart.on("plotly_click", ({ points: [point] }) => set({ a: point.customdata }));
  });
  $("cost-in").value = state.cost;
}

function drawParallel() {
  const axes = study.axes.map((one, i) => ({
    label: one.label, values: study.runs.map((run) => run.cell[i]),
    tickvals: one.values.map((_, j) => j), ticktext: one.values.map(String) }));
  const wide = $("parallel").clientWidth > 700;
  const numbers = [...study.measures.slice(0, wide ? undefined : 1).map(({ column, label }) => [label, (run) => value(run, column)]),
    ["seconds", (run) => value(run, "seconds")]];
  const dimensions = numbers.map(([label, of]) => ({ label: label.replace(", ", ",<br>"), values: study.runs.map(of) }));
  const trace = { type: "parcoords", dimensions: [...axes, ...dimensions],
    line: { color: dimensions[0].values, colorscale: "Cividis", showscale: false },
    // The second line of a label takes the place of the range, which the ticks show as well.
    labelfont: { size: 11 }, rangefont: { color: "rgba(0,0,0,0)" }, tickfont: { color: colour("ink") } };
  Plotly.react("parallel", [trace], layout({ margin: { l: 70, r: 60, t: 75, b: 20 } }), options);
}

fill($("curve"), study.measures.map(({ column, label }) => [column, label]), state.curve);
$("curve").onchange = () => set({ curve: $("curve").value });
$("against").onchange = () => set({ against: $("against").value });
$("log").onchange = () => set({ log: Number($("log").checked) });
$("cost-in").onchange = () => set({ cost: $("cost-in").value });
$("pin").onclick = () => set({ b: state.a });
$("unpin").onclick = () => set({ b: "" });

views.push((keys) => {
  const touches = (...names) => keys.some((key) => names.includes(key));
  if (touches("a", "b", "curve", "against", "log", "epoch", "seed", "line", "at")) drawCurves();
  if (touches("a", "b", "curve", "log", "cost") && drawn.has("scatter")) drawScatter();
});
