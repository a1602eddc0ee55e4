// Draws the chosen charts with the colours of the page, and redraws them when the colours change. Each can be saved, black on white.
"use strict";
const DRAWN = Object.fromEntries(Object.entries(DATA.drawn).filter(([k]) => k !== "rows").map(([k, c]) => [k, reader(c)]));
const ROWS = Array.from({ length: DATA.drawn.rows }, (_, i) => i);
const chosen = new Set(query.has("shown") ? query.getAll("shown") : DATA.shown);
const dark = matchMedia("(prefers-color-scheme: dark)");
const PATHS = {
  circle: "M8 3a5 5 0 1 0 .01 0z", square: "M3.5 3.5h9v9h-9z", "triangle-up": "M8 2.5l6 10.5H2z",
  diamond: "M8 1.5L13 8l-5 6.5L3 8z", "triangle-down": "M8 13.5L2 3h12z", cross: "M6 2h4v4h4v4h-4v4H6v-4H2V6h4z",
};

function theme() {
  const style = getComputedStyle(document.documentElement);
  const [ink, soft, line] = ["--ink", "--soft", "--line"].map((name) => style.getPropertyValue(name).trim());
  const axis = { labelColor: soft, titleColor: soft, gridColor: line, domainColor: line, tickColor: line, titleFontWeight: "normal", labelFontSize: 12, titleFontSize: 12 };
  return { background: "transparent", font: "system-ui, sans-serif", view: { stroke: null }, axis, legend: { labelColor: ink, titleColor: soft, labelFontSize: 12 }, text: { color: ink } };
}

function draw(place, spec) {
  const options = { actions: false, renderer: "svg", config: theme(), tooltip: { theme: dark.matches ? "dark" : "light" } };
  if (!place.nextElementSibling) {
    place.after(element("p", ["SVG", "PNG"].map((kind) => button(kind, `save this chart as ${kind}`, () => take(place, spec, kind))), { class: "take" }));
  }
  return vegaEmbed(place, spec, options);
}

const PAPER = { background: "white", font: "Helvetica, Arial, sans-serif", view: { stroke: null }, axis: { gridColor: "#eeeeee", titleFontWeight: "normal", labelFontSize: 12, titleFontSize: 12 }, legend: { labelFontSize: 12 } };

// Saves a chart as it stands on paper: black on white, and with a legend where the page has one of its own.
async function take(place, spec, kind) {
  const drawn = await vegaEmbed(document.createElement("div"), onPaper(spec, place.clientWidth), { actions: false, config: PAPER });
  const caption = place.parentElement.querySelector("figcaption")?.textContent ?? place.dataset.spec;
  const name = [SUITE, place.dataset.spec?.split("-")[0] ?? "accuracy", caption].join(" ").replace(/[^\w.]+/g, "-");
  if (kind === "SVG") save(await drawn.view.toSVG(), `${name}.svg`, "image/svg+xml");
  else save(await drawn.view.toImageURL("png", 3), `${name}.png`);
  drawn.finalize();
}

function onPaper(spec, width) {
  const made = { ...structuredClone(spec), width };
  for (const layer of made.layer ?? []) {
    for (const channel of [layer.encoding?.color, layer.encoding?.shape].filter((one) => one?.legend === null)) {
      const { domain, range } = channel.scale;
      channel.scale = { domain: domain.filter((method) => chosen.has(method)), range: range.filter((_, k) => chosen.has(domain[k])) };
      channel.legend = { title: null, orient: "top", columns: 3, symbolLimit: 0 };
    }
  }
  return made;
}

// Draws accuracy against the chosen cost. A row without that cost is not drawn.
function costs() {
  const place = document.getElementById("cost-panels");
  const axis = document.getElementById("axis").value;
  const rows = ROWS.filter((i) => DRAWN.workload(i) === document.getElementById("workload").value && DRAWN[axis](i) > 0);
  place.replaceChildren();
  for (const rate of [...new Set(rows.map((i) => DRAWN.learning_rate(i)))].sort((a, b) => a - b)) {
    const values = rows.filter((i) => DRAWN.learning_rate(i) === rate && (chosen.has(DRAWN.method(i)) || DRAWN[`front_${axis}`](i)))
      .map((i) => ({ ...Object.fromEntries(Object.keys(DRAWN).map((key) => [key, DRAWN[key](i)])), cost: DRAWN[axis](i), front: DRAWN[`front_${axis}`](i) }));
    const chart = element("div", "", { class: "chart" });
    place.append(element("figure", [element("figcaption", `learning rate ${rate}`), chart]));
    const spec = structuredClone(DATA.specs.costs);
    spec.datasets = { scores: values };
    for (const layer of spec.layer) Object.assign(layer.encoding.x, { title: DATA.axes[axis], axis: { ...layer.encoding.x.axis, format: axis === "latency" ? ".2~r" : "~s" } });
    draw(chart, spec);
  }
}

function panels() {
  const place = document.getElementById("panels");
  const workload = document.getElementById("workload").value;
  const rows = ROWS.filter((i) => DRAWN.workload(i) === workload);
  const keys = Object.keys(DRAWN);
  const errors = rows.filter((i) => chosen.has(DRAWN.method(i))).flatMap((i) => [DRAWN.error_low(i), DRAWN.error_high(i), DRAWN.error(i)]).filter((v) => v != null);
  const sparsities = [...new Set(rows.map((i) => DRAWN.removed(i)))].filter((s) => s > 0).sort((a, b) => a - b);
  place.replaceChildren();
  for (const rate of [...new Set(rows.map((i) => DRAWN.learning_rate(i)))].sort((a, b) => a - b)) {
    const values = rows.filter((i) => DRAWN.learning_rate(i) === rate && chosen.has(DRAWN.method(i)))
      .map((i) => Object.fromEntries(keys.map((key) => [key, DRAWN[key](i)])));
    const chart = element("div", "", { class: "chart" });
    place.append(element("figure", [element("figcaption", `learning rate ${rate}`), chart]));
    const spec = structuredClone(DATA.specs.accuracy);
    spec.datasets = { scores: values };
    for (const layer of spec.layer) {
      Object.assign(layer.encoding.y.scale, { domain: [Math.min(...errors) * 0.85, Math.min(100, Math.max(...errors) * 1.15)] });
      if (layer.encoding.x) Object.assign(layer.encoding.x.scale, { domain: sparsities });
    }
    draw(chart, spec);
  }
  costs();
}

function chips() {
  const place = document.getElementById("chips");
  DATA.methods.forEach((method, k) => {
    const box = element("input", "", { type: "checkbox", value: method });
    box.checked = chosen.has(method);
    box.addEventListener("change", () => { chosen[box.checked ? "add" : "delete"](method); remember("shown", ...(chosen.size ? chosen : [""])); panels(); });
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    for (const [key, value] of Object.entries({ viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": true })) svg.setAttribute(key, value);
    path.setAttribute("d", PATHS[DATA.shapes[k % DATA.shapes.length]]);
    path.setAttribute("fill", DATA.colours[k % DATA.colours.length]);
    svg.append(path);
    place.append(element("label", [box, svg, method]));
  });
}

function everything() {
  panels();
  for (const place of document.querySelectorAll(".chart[data-spec]")) draw(place, structuredClone(DATA.specs[place.dataset.spec]));
}

const workloads = [...new Set(ROWS.map((i) => DRAWN.workload(i)))];
const select = document.getElementById("workload");
for (const name of workloads) select.append(element("option", name));
document.getElementById("workload-pick").hidden = workloads.length < 2;
if (workloads.includes(query.get("workload"))) select.value = query.get("workload");
select.addEventListener("change", () => { remember("workload", select.value); panels(); });
const axes = document.getElementById("axis");
if (query.has("axis") && [...axes.options].some((one) => one.value === query.get("axis"))) axes.value = query.get("axis");
axes.addEventListener("change", () => { remember("axis", axes.value); costs(); });
dark.addEventListener("change", everything);
chips();
everything();
