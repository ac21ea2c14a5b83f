// Draw everything once, from the address, and again where colours change.

// Charts further down are drawn when a reader comes near, so that the page opens at once.
const later = [["scatter", drawScatter], ["parallel", drawParallel]];
const drawn = new Set();
const whenSeen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting || drawn.has(target.id)) continue;
    drawn.add(target.id);
    new Map(later).get(target.id)();
  }
}, { rootMargin: "300px" });

function drawAll() {
  drawChoice();
  drawLineControls();
  drawMap();
  drawCurves();
  for (const [id, draw] of later) {
    if (drawn.has(id)) draw();
    else whenSeen.observe($(id));
  }
  drawPlayer();
  if (hasBoxes) {
    layStrips();
    drawBoxes();
  }
  drawTour();
  $("measure").value = state.measure;
}

$("summary").textContent = study.summary;
$("copy-link").onclick = async () => {
  writeAddress();
  try {
    await navigator.clipboard.writeText(location.href);
    $("link-copied").textContent = "copied";
  } catch {
    $("link-copied").textContent = "copy the address of this page";
  }
};
Object.assign(state, readAddress());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
Promise.all(loaded.map((picture) => picture.decode())).then(drawAll);
