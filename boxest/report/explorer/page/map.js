// The heat map: a table of buttons, which a keyboard and a screen reader know how to use.

const shades = ["#00224e", "#35456c", "#666970", "#948e77", "#c8b866", "#fee838"]; // cividis
function shade(share) {
  const at = Math.min(Math.max(share, 0), 1) * (shades.length - 1);
  const low = Math.min(Math.floor(at), shades.length - 2);
  const part = (hex, i) => parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16);
  const mixed = [0, 1, 2].map((i) =>
    Math.round(part(shades[low], i) + (at - low) * (part(shades[low + 1], i) - part(shades[low], i))));
  return `rgb(${mixed.join(" ")})`;
}

// The cell at a place of the map; the axes that are not drawn stay as in the chosen cell.
function cellAt(column, row) {
  const place = [...chosen().cell];
  place[state.x] = column;
  if (study.axes.length > 1) place[state.y] = row;
  return cells.get(place.join(","));
}

const rowsOfMap = () => (study.axes.length > 1 ? study.axes[state.y].values : [""]);

function drawMap() {
  const measure = measureOf(state.measure);
  const x = study.axes[state.x];
  const rows = rowsOfMap();
  const shown = rows.flatMap((_, row) => x.values.map((_, column) => cellAt(column, row)));
  const numbers = shown.map((cell) => (cell ? ofCell(measure, cell) : NaN)).filter(Number.isFinite);
  const scale = numbers.every((number) => number > 0) ? Math.log10 : (number) => number;
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const share = (number) => (high > low ? (scale(number) - scale(low)) / (scale(high) - scale(low)) : 0);
  const focused = document.activeElement?.dataset?.key;
  const onLine = new Set(cellsOnLine().map((cell) => cell.key));

  const table = $("map");
  table.replaceChildren();
  const caption = table.createCaption();
  const axisText = study.axes.length > 1 ? `, down: ${study.axes[state.y].label}` : "";
  caption.textContent = `Across: ${x.label}${axisText}. ${measure.text}, mean of the seeds.`;
  const head = table.createTHead().insertRow();
  head.append(document.createElement("td"), ...x.values.map((one) => heading(one, "col")));
  const body = table.createTBody();
  rows.forEach((one, row) => {
    const line = body.insertRow();
    line.append(heading(one, "row"));
    x.values.forEach((_, column) => line.insertCell().append(button(cellAt(column, row))));
  });
  $("scale-bar").style.background = `linear-gradient(to right, ${shades.join(", ")})`;
  $("scale-low").textContent = short(low);
  $("scale-high").textContent = short(high);
  if (focused) table.querySelector(`[data-key="${focused}"]`)?.focus();
  drawLine();

  function heading(text, scope) {
    const cell = document.createElement("th");
    cell.scope = scope;
    cell.textContent = text;
    return cell;
  }
  function button(cell) {
    const item = document.createElement("button");
    item.type = "button";
    if (!cell) {
      item.disabled = true;
      return item;
    }
    const number = ofCell(measure, cell);
    item.dataset.key = cell.key;
    item.dataset.value = number;
    item.textContent = short(number);
    item.setAttribute("aria-label", `${cellName(cell)}: ${measure.text} ${short(number)}`);
    item.setAttribute("aria-pressed", cell.key === state.a);
    item.title = item.getAttribute("aria-label");
    if (Number.isFinite(number)) {
      item.style.background = shade(share(number));
      item.style.color = share(number) > 0.55 ? "#000" : "#fff";
    }
    item.classList.toggle("none", !Number.isFinite(number));
    item.classList.toggle("chosen", cell.key === state.a);
    item.classList.toggle("pinned", cell.key === state.b);
    item.classList.toggle("on-line", onLine.has(cell.key));
    item.onclick = () => set({ a: cell.key });
    return item;
  }
}

// Arrow keys go from cell to cell.
$("map").addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  const cell = cells.get(event.target.dataset?.key);
  if (!step || !cell) return;
  event.preventDefault();
  const row = study.axes.length > 1 ? cell.cell[state.y] : 0;
  const next = cellAt(cell.cell[state.x] + step[0], row + step[1]);
  if (!next) return;
  set({ a: next.key });
  $("map").querySelector(`[data-key="${next.key}"]`).focus();
});

function drawChoice() {
  $("axes").replaceChildren();
  if (study.axes.length > 2) {
    for (const [key, label] of [["x", "Across"], ["y", "Down"]]) {
      const select = document.createElement("select");
      select.id = `axis-${key}`;
      fill(select, study.axes.map((axis, i) => [i, axis.label]), state[key]);
      select.onchange = () => {
        const other = key === "x" ? "y" : "x";
        const now = Number(select.value);
        set({ [key]: now, ...(now === state[other] ? { [other]: state[key] } : {}) });
      };
      $("axes").append(labelled(label, select));
    }
  }
  $("sliders").replaceChildren(...study.axes.map((axis, i) => {
    const drawn = i === state.x || i === state.y;
    const input = document.createElement(drawn ? "input" : "select");
    const out = document.createElement("output");
    if (drawn) Object.assign(input, { type: "range", min: 0, max: axis.values.length - 1, step: 1 });
    else fill(input, axis.values.map((one, j) => [j, one]), 0);
    input.id = `choose-${axis.name}`;
    input.value = chosen().cell[i];
    out.textContent = drawn ? axis.values[chosen().cell[i]] : "";
    input.setAttribute("aria-valuetext", out.textContent);
    input.oninput = () => {
      const place = [...chosen().cell];
      place[i] = Number(input.value);
      const cell = cells.get(place.join(","));
      if (cell) set({ a: cell.key });
      else input.value = chosen().cell[i];
    };
    return labelled(axis.label, input, out);
  }));
}

function labelled(text, ...parts) {
  const label = document.createElement("label");
  label.append(text, " ", ...parts);
  return label;
}

fill($("measure"), measures.map(({ name, label }) => [name, label]), state.measure);
$("measure").onchange = () => set({ measure: $("measure").value });

views.push((keys) => {
  if (keys.some((key) => ["a", "b", "x", "y", "measure", "line", "at"].includes(key))
      || (keys.includes("epoch") && state.measure === "now")) drawMap();
  if (keys.some((key) => ["x", "y"].includes(key))) drawChoice();
  else if (keys.includes("a")) {
    study.axes.forEach((axis, i) => {
      const input = $(`choose-${axis.name}`);
      input.value = chosen().cell[i];
      const text = axis.values[chosen().cell[i]];
      input.setAttribute("aria-valuetext", text);
      if (input.type === "range") input.nextElementSibling.textContent = text;
    });
  }
  if (keys.includes("a") && study.axes.length > 2) drawMap();
  $("measure").value = state.measure;
});
