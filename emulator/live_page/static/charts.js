// Cost so far and units missing, by provisioning period; drawn again at most twice per second.

import { compact, number } from "./words.js";

/* global uPlot */
const AGAIN_MS = 500;
const INK = "#1b2733";
const MUTED = "#4d5a66";
const FILLS = { late: "#e8b48f", lapsed: "#b84a00" };

export class Charts {
  constructor(about) {
    this.about = about;
    this.periods = [];
    this.span = about.end_s > 10800 ? [3600, "h"] : about.end_s > 300 ? [60, "min"] : [1, "s"];
    const line = (label, stroke, dash) => ({ label, stroke, dash, width: 2, points: { show: false } });
    this.cost = this.make("cost", compact, [
      line("cost", INK),
      line("reserved", "#0072b2", [2, 3]),
      line("expected", "#a3457f", [8, 4]),
    ]);
    const bars = uPlot.paths.bars({ size: [0.9, 100], align: 1 });
    this.missing = this.make("missing", number, [
      { label: "late", stroke: "#8a3800", fill: FILLS.late, paths: bars, points: { show: false } },
      { label: "never came", stroke: FILLS.lapsed, fill: FILLS.lapsed, paths: bars, points: { show: false } },
    ]);
    new ResizeObserver(() => this.resize()).observe(this.cost.box);
  }

  make(id, format, series) {
    const box = document.getElementById(id);
    const axis = { stroke: MUTED, grid: { stroke: "#e3e8ec", width: 1 }, ticks: { show: false } };
    const [, words] = this.span;
    const options = {
      width: box.clientWidth,
      height: 190,
      scales: { x: { time: false, range: [0, this.about.end_s / this.span[0]] }, y: { range: fromZero } },
      axes: [
        { ...axis, values: (_, at) => at.map((v) => `${v} ${words}`) },
        { ...axis, size: 64, values: (_, at) => at.map(format) },
      ],
      series: [{ value: (_, v) => (v == null ? "–" : `${v.toFixed(1)} ${words}`) }, ...series],
      cursor: { drag: { x: false, y: false } },
      legend: { live: false },
    };
    const plot = new uPlot(options, [[], ...series.map(() => [])], box);
    plot.box = box;
    return plot;
  }

  show(news) {
    for (const period of news.periods) this.periods[period.period] = period;
    if (news.periods.length && !this.timer) {
      this.timer = setTimeout(() => {
        this.timer = 0;
        this.draw(news.totals);
      }, this.drawn ? AGAIN_MS : 0);
    }
  }

  draw(totals) {
    this.drawn = true;
    const starts = this.periods.map((p) => this.time(p.period));
    const ends = [...starts, this.time(this.periods.length)];
    const sum = (of) => this.periods.reduce((sums, p) => [...sums, sums.at(-1) + of(p)], [0]);
    const cost = sum((p) => p.reservation_cost + p.change_cost + p.satellite_cost + p.uav_cost + p.shortfall_cost + p.keeping_cost);
    this.cost.setData([ends, cost, sum((p) => p.reservation_cost), sum((p) => p.expected_cost)]);
    this.missing.setData([starts, this.periods.map((p) => p.late_units), this.periods.map((p) => p.lapsed_units)]);
    this.cost.box.ariaLabel = `Cost ${number(cost.at(-1))} after ${starts.length} periods`;
    this.missing.box.ariaLabel = `${number(totals.late_units)} units late, ${number(totals.lapsed_units)} never came`;
  }

  time(period) {
    return (this.about.first_period_s + period * this.about.period_s) / this.span[0];
  }

  resize() {
    for (const plot of [this.cost, this.missing]) {
      plot.setSize({ width: plot.box.clientWidth, height: 190 });
    }
  }
}

function fromZero(_, low, high) {
  return [0, high > 0 ? high * 1.08 : 4];
}
