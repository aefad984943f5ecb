// Follows the run: takes documents from the event stream and has each part show what is new.
// Nothing that a run says becomes HTML; it is only ever set as text.

import { Charts } from "./charts.js";
import { FaultForm } from "./fault.js";
import { NetworkMap } from "./map.js";
import { Requests } from "./requests.js";
import { clock, compact, number, say } from "./words.js";

const TOTALS = [
  ["cost", "cost", ""],
  ["shortfall_cost", "of it, lost key", "short"],
  ["keeping_cost", "of it, keeping key", ""],
  ["expected_cost", "expected by the plan", "plan"],
  ["demanded_units", "units asked for", ""],
  ["fiber_units", "from reserved fiber", "fiber"],
  ["satellite_units", "by satellite", "satellite"],
  ["uav_units", "by UAV", "uav"],
  ["late_units", "late", "short"],
  ["missing_units", "missing now", "short"],
  ["lapsed_units", "never came", "short"],
  ["links_down", "links down", "short"],
];
const MOST_EVENTS = 200;
const QUIET_S = 30;
const byId = (id) => document.getElementById(id);

const about = await (await fetch("/api/run")).json();
const parts = { map: new NetworkMap(about), charts: new Charts(about), requests: new Requests() };
const fault = new FaultForm(about);
const cells = new Map(TOTALS.map(([name, words, of]) => [name, totalCell(words, of)]));

byId("name").textContent = about.experiment;
byId("what").textContent = `${about.policy}, seed ${about.seed}`;
document.title = `${about.experiment}: qsagin`;
follow();

function totalCell(words, of) {
  const box = document.createElement("div");
  const name = box.appendChild(document.createElement("dt"));
  const value = box.appendChild(document.createElement("dd"));
  box.dataset.of = of;
  name.textContent = words;
  value.textContent = "0";
  byId("totals").append(box);
  return value;
}

function follow() {
  const stream = new EventSource("/api/events");
  let quietS = 0;
  setInterval(() => {
    quietS += 1;
    const isOpen = stream.readyState === EventSource.OPEN;
    if (isOpen && quietS % QUIET_S === 0) state("live", `live, nothing new for ${quietS} s`);
  }, 1000);
  stream.onopen = () => state("live", "live");
  stream.onerror = () => state("lost", "no connection; trying again");
  stream.onmessage = (message) => {
    const news = JSON.parse(message.data);
    quietS = 0;
    state("live", "live");
    show(news);
    if (news.ended) {
      stream.close();
      fault.close();
      state("ended", "the run has ended");
    }
  };
}

function state(name, words) {
  byId("state").className = name;
  say(byId("state"), words);
}

function show(news) {
  const atS = news.window * about.window_s;
  say(byId("time"), clock(atS));
  const period = Math.floor((atS - about.first_period_s) / about.period_s) + 1;
  const shown = Math.min(Math.max(period, 0), about.periods);
  say(byId("progress-words"), `of ${clock(about.end_s)}, period ${shown} of ${about.periods}`);
  byId("progress").value = Math.min(1, atS / about.end_s);
  for (const [name] of TOTALS) {
    const value = news.totals[name];
    say(cells.get(name), Math.abs(value) < 1e7 ? number(value) : compact(value));
  }
  parts.requests.show(news.requests);
  parts.map.show(news, parts.requests.rows);
  parts.charts.show(news);
  news.events.forEach(tell);
}

function tell(event) {
  const item = document.createElement("li");
  const time = item.appendChild(document.createElement("time"));
  time.textContent = clock(event.window * about.window_s);
  item.append(event.words);
  item.dataset.kind = event.kind;
  byId("events").prepend(item);
  while (byId("events").childElementCount > MOST_EVENTS) byId("events").lastElementChild.remove();
}
