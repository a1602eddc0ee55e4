// The two tables, and the details of one run. The address #run=METHOD,WORKLOAD,RATE,SPARSITY,SEED opens it.
"use strict";
const RUNS = Object.fromEntries(Object.entries(DATA.runs).filter(([k]) => k !== "rows").map(([k, c]) => [k, reader(c)]));
const NAME = ["method", "workload", "learning_rate", "sparsity", "seed"];
const address = (i) => "#run=" + NAME.map((key) => encodeURIComponent(RUNS[key](i))).join(",");
const collapsed = { bad: (v) => v > 0 };

new Table(document.getElementById("scores-table"), DATA.scores, [
  { key: "method", label: "method", text: true },
  { key: "workload", label: "workload", text: true },
  { key: "learning_rate", label: "learning rate", show: general },
  { key: "sparsity", label: "sparsity", show: percent },
  { key: "mean", label: "accuracy, %", show: fixed(2) },
  { key: "low", label: "from", show: fixed(2) },
  { key: "high", label: "to", show: fixed(2) },
  { key: "sd", label: "deviation", show: fixed(2) },
  { key: "n", label: "seeds" },
  { key: "diverged", label: "diverged", bad: (v) => v > 0 },
  { key: "collapsed_layers", label: "collapsed layers", ...collapsed },
  { key: "epochs", label: "epochs charged", show: general },
  { key: "epochs_computed", label: "computed", show: fixed(1) },
  { key: "multiplications", label: "multiplications", show: (v) => (v == null ? "" : Math.round(v).toLocaleString("en")) },
  { key: "multiplications_saved", label: "multiplications saved", show: (v) => (v == null ? "" : `${v.toFixed(1)}×`) },
  { key: "level", label: "trust", text: true },
], ["method", "workload", "learning_rate", "sparsity"], "rows");

new Table(document.getElementById("runs-table"), DATA.runs, [
  { key: "method", label: "method", text: true, link: address },
  { key: "workload", label: "workload", text: true },
  { key: "learning_rate", label: "learning rate", show: general },
  { key: "sparsity", label: "sparsity", show: percent },
  { key: "seed", label: "seed" },
  { key: "accuracy", label: "test, %", show: fixed(2) },
  { key: "validation_accuracy", label: "validation, %", show: fixed(2) },
  { key: "train_accuracy", label: "train, %", show: fixed(2) },
  { key: "status", label: "status", text: true, bad: (v) => v !== "ok" },
  { key: "collapsed_layers", label: "collapsed layers", ...collapsed },
  { key: "epochs", label: "epochs charged", show: general },
  { key: "epochs_computed", label: "computed", show: general },
  { key: "multiplications_saved", label: "multiplications saved", show: (v) => (v == null ? "" : `${v.toFixed(1)}×`) },
  { key: "pipeline", label: "pipeline", text: true },
], ["method", "workload", "learning_rate", "sparsity", "status"], "runs");

const dialog = document.getElementById("run");
const body = document.getElementById("run-body");
let layers = null; // parsed when the first run is opened

function list(pairs, name = "") {
  const shown = pairs.filter(([, value]) => value != null && value !== "");
  return element("dl", shown.map(([key, value]) => element("div", [element("dt", key), element("dd", String(value))])), name ? { class: name } : {});
}

function bars(rows) {
  return element("div", rows.flatMap(([label, value, most, said]) => [
    element("span", label),
    element("meter", "", { min: 0, max: most || 1, value: value || 0, "aria-label": `${label}: ${said}` }),
    element("span", said),
  ]), { class: "bars" });
}

function layerRows(i) {
  layers ??= JSON.parse(document.getElementById("layers").textContent);
  const layout = layers.layouts[layers.of[i]];
  if (!layout) return [];
  return layout.names.map((name, k) => {
    const [gone, size] = [layers.removed[i][k], layout.sizes[k]];
    const said = gone === size ? "collapsed: no weight left" : `${(100 * gone / size).toFixed(1)} % of ${size.toLocaleString("en")} removed`;
    return [name, gone, size, said];
  });
}

function correlationRows(i) {
  const read = Object.fromEntries(["run", "reference", "p", "value"].map((k) => [k, DATA.correlation.rows ? reader(DATA.correlation[k]) : null]));
  return Array.from({ length: DATA.correlation.rows }, (_, k) => k).filter((k) => read.run(k) === i)
    .map((k) => [`${read.reference(k)}, p = ${read.p(k)}`, read.value(k), 1, read.value(k).toFixed(3)]);
}

function describe(i) {
  const of = (key) => RUNS[key](i);
  const pct = (key) => (of(key) == null ? null : `${of(key).toFixed(2)} %`);
  const epochs = (value) => `${general(value)} epochs`;
  const most = Math.max(of("budget") ?? 0, of("epochs"));
  const phases = [["training", "charged_train"], ["scoring", "charged_score"], ["validation", "charged_validate"], ["off budget", "off_budget"]]
    .filter(([, key]) => of(key) > 0 || key === "charged_train").map(([label, key]) => [label, of(key), most, epochs(of(key))]);
  if (of("budget") != null) phases.push(["budget", of("budget"), most, epochs(of("budget"))]);
  const close = element("button", "Close", { type: "button", class: "close" });
  close.addEventListener("click", () => dialog.close());
  const parts = [
    element("h2", of("method"), { id: "run-title" }), close,
    element("p", `${of("workload")}, learning rate ${general(of("learning_rate"))}, sparsity ${percent(of("sparsity"))}, seed ${of("seed")}`),
    of("reason") ? element("p", `${of("status")}: ${of("reason")}`, { class: "readout said" }) : "",
    list([["test", pct("accuracy")], ["validation", pct("validation_accuracy")], ["train", pct("train_accuracy")],
      ["removed", of("removed") == null ? null : `${of("removed").toLocaleString("en")} of ${of("prunable").toLocaleString("en")}`],
      ["multiplications saved", of("multiplications_saved") == null ? null : `${of("multiplications_saved").toFixed(2)}×`], ["trust", DATA.trust[of("method")]]]),
    element("h3", "Pipeline"), element("ol", of("pipeline").split(" → ").map((step) => element("li", step)), { class: "steps" }),
    element("h3", "Budget by phase"), bars(phases),
    element("p", `${epochs(of("epochs_computed"))} computed for this run, ${epochs(of("epochs_reused"))} reused from other runs.`),
  ];
  const found = layerRows(i), correlated = correlationRows(i);
  if (found.length) parts.push(element("h3", "Layers"), bars(found));
  if (correlated.length) parts.push(element("h3", "Weight correlation"), bars(correlated));
  parts.push(element("h3", "Provenance"), list([["parameters", of("parameters")], ["version", of("version")], ["source", of("source")],
    ["mask", of("mask_digest")], ["weights", of("weights")], ["machine", `${of("device")}, torch ${of("torch")}`], ["host", of("host")],
    ["started", of("started")], ["seconds", of("seconds")]], "plain"));
  return parts;
}

function open() {
  if (!location.hash.startsWith("#run=")) { if (dialog.open) dialog.close(); return; }
  let asked = "";
  try { asked = "#run=" + location.hash.slice(5).split(",").map((w) => encodeURIComponent(decodeURIComponent(w))).join(","); } catch { /* not the address of a run */ }
  let i = 0;
  while (i < DATA.runs.rows && address(i) !== asked) i++;
  body.replaceChildren(...(i < DATA.runs.rows ? describe(i) : [element("h2", "No such run", { id: "run-title" }), element("p", location.hash.slice(5))]));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

dialog.addEventListener("close", () => { if (location.hash.startsWith("#run=")) history.replaceState(null, "", location.pathname + location.search); });
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
window.addEventListener("hashchange", open);
open();
