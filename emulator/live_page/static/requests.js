// The table of requests: sorted by any column, filtered by words and by what they lack.
// Cells are changed in place, and rows put in order again, at most once a second.

import { number, say } from "./words.js";

const COLUMNS = [
  ["id", "request", true],
  ["application", "class", true],
  ["source", "from", true],
  ["target", "to", true],
  ["reserved_units", "reserved"],
  ["demanded_units", "asked for"],
  ["fiber_units", "fiber"],
  ["satellite_units", "satellite"],
  ["uav_units", "UAV"],
  ["late_units", "late"],
  ["missing_units", "missing now"],
  ["lapsed_units", "never came"],
  ["on_demand_cost", "paid on demand"],
  ["state", "state", true],
];
const MOST_ROWS = 300;
const AGAIN_MS = 1000;

export class Requests {
  constructor() {
    this.rows = [];
    this.elements = [];
    this.changed = new Set();
    this.sort = { name: "id", up: true };
    this.most = MOST_ROWS;
    this.body = document.querySelector("#requests tbody");
    this.heads = new Map();
    this.buildHead();
    for (const id of ["filter", "only"]) {
      document.getElementById(id).addEventListener("input", () => this.arrange());
    }
    document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
    document.getElementById("more").addEventListener("click", () => {
      this.most = Infinity;
      this.arrange();
    });
  }

  show(changed) {
    for (const row of changed) {
      row.state = stateOf(row);
      this.rows[row.index] = row;
      this.changed.add(row.index);
    }
    if (changed.length && !this.timer) {
      this.timer = setTimeout(() => this.update(), this.drawn ? AGAIN_MS : 0);
    }
  }

  update() {
    this.drawn = true;
    this.timer = 0;
    for (const place of this.changed) this.fill(this.rows[place]);
    this.changed.clear();
    this.arrange();
  }

  buildHead() {
    const line = document.querySelector("#requests thead").insertRow();
    for (const [name, words, isText] of COLUMNS) {
      const head = line.appendChild(document.createElement("th"));
      head.scope = "col";
      if (isText) head.className = "words";
      const button = head.appendChild(document.createElement("button"));
      button.type = "button";
      button.textContent = words;
      button.addEventListener("click", () => this.sortBy(name, !isText));
      this.heads.set(name, head);
    }
    this.markSorted();
  }

  sortBy(name, largestFirst) {
    const up = this.sort.name === name ? !this.sort.up : !largestFirst;
    this.sort = { name, up };
    this.markSorted();
    this.arrange();
  }

  markSorted() {
    for (const [name, head] of this.heads) {
      if (name === this.sort.name) head.ariaSort = this.sort.up ? "ascending" : "descending";
      else head.removeAttribute("aria-sort");
    }
  }

  fill(row) {
    let element = this.elements[row.index];
    if (!element) {
      element = this.elements[row.index] = document.createElement("tr");
      for (const [name, , isText] of COLUMNS) {
        const cell = document.createElement(name === "id" ? "th" : "td");
        if (name === "id") cell.scope = "row";
        if (isText) cell.className = name === "state" ? "words state" : "words";
        element.append(cell);
      }
    }
    COLUMNS.forEach(([name, , isText], place) => {
      say(element.cells[place], isText ? row[name] : number(row[name]));
    });
    element.classList.toggle("missing", row.missing_units > 0);
  }

  arrange() {
    const words = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const only = document.getElementById("only").value;
    const found = this.rows.filter(
      (row) =>
        (only === "all" || row[`${only}_units`] > 0) &&
        words.every((word) => searched(row).some((text) => text.includes(word))),
    );
    const { name, up } = this.sort;
    found.sort((a, b) => (up ? 1 : -1) * compare(a[name], b[name]) || a.index - b.index);
    const shown = found.slice(0, this.most).map((row) => this.elements[row.index]);
    const before = this.body.children;
    if (shown.length !== before.length || shown.some((element, place) => element !== before[place])) {
      this.body.replaceChildren(...shown);
    }
    const all = `${number(found.length)} of ${number(this.rows.length)}`;
    const first = shown.length < found.length ? `, the first ${number(shown.length)} shown` : "";
    say(document.getElementById("count"), all + first);
    document.getElementById("more").hidden = shown.length === found.length;
  }
}

function stateOf(row) {
  if (row.missing_units > 0) return "waits for key";
  if (row.lapsed_units > 0) return "has lost units";
  return row.demanded_units ? "served" : "idle";
}

function searched(row) {
  return [row.id, row.application, row.source, row.target, row.state].map((text) => text.toLowerCase());
}

function compare(a, b) {
  return typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
}
