// Tables that sort and filter any number of rows. Columns stay arrays, and only visible rows become HTML.
"use strict";
const DATA = JSON.parse(document.getElementById("data").textContent);
const STEP = 100; // rows shown at first, and with every "more"
const SUITE = document.title.split(" ")[0];

// What the reader chose stands in the query of the address, so that a link shows the same: ?runs=TEXT&runs.sparsity=0.95
const query = new URLSearchParams(location.search);
function remember(key, ...values) {
  query.delete(key);
  for (const value of values) query.append(key, value);
  history.replaceState(null, "", location.pathname + (query.size ? `?${query}` : "") + location.hash);
}

function save(content, name, type) {
  const link = element("a", "", { href: typeof content === "string" && content.startsWith("data:") ? content : URL.createObjectURL(new Blob([content], { type })), download: name });
  link.click();
}

function button(label, title, act) {
  const made = element("button", label, { type: "button", title });
  made.addEventListener("click", () => act(made));
  return made;
}

// A column as a function of the row: plain numbers, {names, codes}, or {all}.
function reader(column) {
  if (Array.isArray(column)) return (i) => column[i];
  if ("all" in column) return () => column.all;
  return (i) => column.names[column.codes[i]];
}

function element(name, content = "", attributes = {}) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...[content].flat());
  return made;
}

const plain = (value) => String(value ?? "").replace(/\s+/g, " ");
const quoted = (value) => (/[",\r\n]/.test(value ?? "") ? `"${String(value).replaceAll('"', '""')}"` : String(value ?? ""));
const fixed = (digits) => (value) => (value == null ? "" : value.toFixed(digits).replace("-", "−"));
const general = (value) => (value == null ? "" : String(+value.toPrecision(6)));
const percent = (value) => (value == null ? "" : `${+(100 * value).toFixed(4)} %`);

class Table {
  // columns: [{key, label, show, text, link}]; `picks` are the columns that get a menu; `noun` is also its name in the address.
  constructor(place, data, columns, picks, noun) {
    this.noun = noun;
    this.data = Object.entries(data).filter(([key]) => key !== "rows").map(([key, column]) => [key, reader(column)]);
    this.columns = columns.filter((c) => c.read || c.key in data).map((c) => ({ ...c, read: c.read || reader(data[c.key]) }));
    this.rows = Array.from({ length: data.rows }, (_, i) => i);
    this.sorted = null;
    this.limit = STEP;
    this.texts = this.columns.filter((c) => c.text);
    this.search = element("input", "", { type: "search", placeholder: `filter ${noun}`, "aria-label": `filter ${noun} by text` });
    this.search.value = query.get(noun) ?? "";
    this.menus = picks.map((key) => this.menu(this.columns.find((c) => c.key === key))).filter(Boolean);
    this.head = element("tr");
    for (const column of this.columns) this.head.append(this.header(column));
    this.body = element("tbody");
    this.count = element("span");
    this.more = element("button", "more", { type: "button" });
    const table = element("table", [element("thead", this.head), this.body], { class: "data" });
    place.append(
      element("div", [this.search, ...this.menus.map((m) => m.select), ...this.takeaways()], { class: "controls" }),
      element("div", table, { class: "scroll", tabindex: "0", role: "region", "aria-label": noun }),
      element("p", [this.count, this.more], { class: "count", role: "status" }),
    );
    this.search.addEventListener("input", () => { remember(noun, ...(this.search.value ? [this.search.value] : [])); this.filter(); });
    this.more.addEventListener("click", () => { this.limit += 5 * STEP; this.draw(); });
    this.filter();
  }

  menu(column) {
    if (!column) return null;
    const values = [...new Set(this.rows.map(column.read))].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    if (values.length < 2) return null;
    const select = element("select", element("option", `${column.label}: all`, { value: "" }), { "aria-label": column.label });
    values.forEach((value, i) => select.append(element("option", column.show ? column.show(value) : String(value), { value: i })));
    const key = `${this.noun}.${column.key}`;
    const asked = values.findIndex((value) => String(value) === query.get(key));
    if (asked >= 0) select.value = asked;
    select.addEventListener("change", () => { remember(key, ...(select.value === "" ? [] : [values[+select.value]])); this.filter(); });
    return { select, values, column };
  }

  takeaways() {
    const copied = (made) => { made.textContent = "copied"; setTimeout(() => { made.textContent = "copy"; }, 1500); };
    return [
      button("CSV", `save these ${this.noun} as a CSV file, with all columns`, () => save(this.lines(",", quoted), `${SUITE}.${this.noun}.csv`, "text/csv")),
      button("copy", `copy these ${this.noun} for a spreadsheet`, (made) => navigator.clipboard.writeText(this.lines("\t", plain)).then(() => copied(made))),
    ];
  }

  // The rows that the filter leaves, in their order, with all columns of the data.
  lines(between, written) {
    const rows = this.found.map((i) => this.data.map(([, read]) => written(read(i))));
    return [this.data.map(([key]) => key), ...rows].map((row) => row.join(between) + "\n").join("");
  }

  header(column) {
    const button = element("button", column.label, { type: "button" });
    const cell = element("th", button, { scope: "col", ...(column.text ? { class: "text" } : {}) });
    button.addEventListener("click", () => this.sort(column, cell));
    return cell;
  }

  sort(column, cell) {
    const rising = cell.getAttribute("aria-sort") !== "ascending";
    for (const other of this.head.cells) {
      other.removeAttribute("aria-sort");
      other.firstChild.textContent = other.firstChild.textContent.replace(/ [↑↓]$/, "");
    }
    cell.setAttribute("aria-sort", rising ? "ascending" : "descending");
    cell.firstChild.textContent += rising ? " ↑" : " ↓";
    this.sorted = { read: column.read, sign: rising ? 1 : -1 };
    this.arrange();
  }

  filter() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const picked = this.menus.filter((m) => m.select.value !== "").map((m) => [m.column.read, m.values[+m.select.value]]);
    const known = new Map(); // each distinct string is searched once
    const holds = (text, word) => {
      const key = `${word}\n${text}`;
      if (!known.has(key)) known.set(key, String(text ?? "").toLowerCase().includes(word));
      return known.get(key);
    };
    this.found = this.rows.filter(
      (i) => picked.every(([read, value]) => read(i) === value) && words.every((w) => this.texts.some((c) => holds(c.read(i), w))),
    );
    this.limit = STEP;
    this.arrange();
  }

  arrange() {
    if (this.sorted) {
      const { read, sign } = this.sorted;
      const keys = new Float64Array(this.rows.length);
      const seen = [...new Set(this.found.map(read))].filter((v) => v != null);
      if (typeof seen[0] === "string") { // each word is compared once, and rows by the position of their word
        const place = new Map(seen.sort((a, b) => (a < b ? -1 : 1)).map((value, k) => [value, k]));
        for (const i of this.found) keys[i] = sign * (place.get(read(i)) ?? sign * Infinity);
      } else {
        for (const i of this.found) keys[i] = sign * (read(i) ?? sign * Infinity); // missing values come last
      }
      this.found.sort((i, j) => (keys[i] < keys[j] ? -1 : keys[i] > keys[j] ? 1 : i - j));
    }
    this.draw();
  }

  draw() {
    this.body.replaceChildren(...this.found.slice(0, this.limit).map((i) => this.row(i)));
    const shown = Math.min(this.limit, this.found.length);
    const some = shown < this.found.length ? `${shown.toLocaleString("en")} of ` : "";
    this.count.textContent = `${some}${this.found.length.toLocaleString("en")} ${this.noun}`;
    this.more.hidden = shown === this.found.length;
  }

  row(i) {
    return element("tr", this.columns.map((column) => {
      const value = column.read(i);
      const said = column.show ? column.show(value, i) : String(value ?? "");
      const inside = column.link ? element("a", said, { href: column.link(i) }) : said;
      const names = [column.text && "text", column.bad?.(value) && "bad"].filter(Boolean).join(" ");
      return element("td", inside, names ? { class: names } : {});
    }));
  }
}
