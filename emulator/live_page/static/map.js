// The map: land and borders once, satellites, clouds and orders under way at every update, and the
// network as SVG, so that nodes can be reached by keyboard and pointer.

import { number, say } from "./words.js";

/* global d3, topojson */
const RATES = ["#cfe3c0", "#8fc88a", "#4fa67e", "#26828e", "#2c5c8a", "#3b2f6b"];
const DOWN = "#b84a00";
const MEDIA = { uav: "#00795a", satellite: "#8f5500" };
const MANY_NODES = 80;
const CLOUD_DEG = 1.6;
const SVG = "http://www.w3.org/2000/svg";
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class NetworkMap {
  constructor(about) {
    this.about = about;
    this.links = [];
    this.requests = [];
    this.places = new Map(about.nodes.map((node, index) => [node.name, index]));
    this.mostBps = Math.max(...about.links.map((link) => link.skr_bps), 1e-9);
    this.box = document.getElementById("map");
    this.svg = document.getElementById("network");
    this.around = { satellites: [], clouds: {}, storms: [], rates_bps: [] };
    this.orders = [];
    this.box.classList.toggle("plain", !about.on_earth);
    this.buildNetwork();
    this.writeLegend();
    this.svg.addEventListener("keydown", (event) => this.onKey(event));
    new ResizeObserver(() => this.place()).observe(this.box);
    if (about.on_earth) this.loadEarth();
  }

  async loadEarth() {
    const read = async (name) => (await fetch(`/vendor/${name}`)).json();
    const [world, states] = await Promise.all([read("countries-110m.json"), read("states-10m.json")]);
    this.earth = {
      land: topojson.feature(world, world.objects.land),
      lines: [
        topojson.mesh(world, world.objects.countries),
        topojson.mesh(states, states.objects.states, (a, b) => a !== b),
      ],
    };
    this.place();
  }

  buildNetwork() {
    const { nodes, links } = this.about;
    this.lineElements = links.map((link) => {
      const line = this.svg.appendChild(document.createElementNS(SVG, "line"));
      line.appendChild(document.createElementNS(SVG, "title")).textContent = `${link.a}-${link.b}`;
      return line;
    });
    this.nodeElements = nodes.map((node, index) => {
      const group = this.svg.appendChild(document.createElementNS(SVG, "g"));
      const circle = group.appendChild(document.createElementNS(SVG, "circle"));
      circle.setAttribute("r", nodes.length > MANY_NODES ? 2.5 : 6);
      if (nodes.length <= MANY_NODES) {
        const label = group.appendChild(document.createElementNS(SVG, "text"));
        label.textContent = node.name;
        label.setAttribute("x", 8);
        label.setAttribute("y", -6);
      }
      group.dataset.node = node.name;
      group.addEventListener("click", () => this.choose(index));
      return group;
    });
  }

  place() {
    const { clientWidth: width, clientHeight: height } = this.box;
    const points = { type: "MultiPoint", coordinates: this.about.nodes.map((node) => node.at) };
    const frame = [[width * 0.07, height * 0.09], [width * 0.93, height * 0.91]];
    if (this.about.on_earth) {
      const [x, y] = d3.geoCentroid(points);
      this.projection = d3.geoAzimuthalEqualArea().rotate([-x, -y]).clipAngle(100);
    } else {
      this.projection = d3.geoIdentity().reflectY(true);
    }
    this.projection.fitExtent(frame, points);
    this.projection.clipExtent?.([[-5, -5], [width + 5, height + 5]]);
    this.points = this.about.nodes.map((node) => this.projection(node.at));
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.about.links.forEach((link, place) => {
      const [[x1, y1], [x2, y2]] = [link.a, link.b].map((name) => this.points[this.places.get(name)]);
      for (const [name, value] of Object.entries({ x1, y1, x2, y2 })) {
        this.lineElements[place].setAttribute(name, value.toFixed(1));
      }
    });
    this.nodeElements.forEach((group, place) => {
      group.setAttribute("transform", `translate(${this.points[place].map((v) => v.toFixed(1))})`);
    });
    if (this.earth) this.drawEarth();
    this.drawAround();
  }

  show(news, requests) {
    this.requests = requests;
    for (const link of news.links) this.links[link.index] = link;
    if (news.around.satellites) this.around = news.around;
    this.orders = news.orders;
    this.paintLinks();
    this.paintNodes();
    this.drawAround();
    if (this.chosen !== undefined) this.describe();
  }

  paintLinks() {
    const wide = this.about.links.length > 4 * MANY_NODES ? 1.2 : 3;
    this.lineElements.forEach((line, place) => {
      const rate = this.around.rates_bps[place] ?? this.about.links[place].skr_bps;
      const trouble = this.links[place]?.trouble || (rate === 0 ? "no key" : "");
      const colour = trouble ? DOWN : RATES[this.step(rate)];
      const look = `${colour} ${trouble}`;
      if (line.look === look) return;
      line.look = look;
      line.setAttribute("stroke", colour);
      line.setAttribute("stroke-width", trouble ? wide + 1.5 : wide);
      line.classList.toggle("down", Boolean(trouble));
    });
  }

  paintNodes() {
    const short = new Set();
    for (const row of this.requests) if (row?.missing_units > 0) short.add(row.source).add(row.target);
    this.nodeElements.forEach((group) => {
      const isShort = short.has(group.dataset.node);
      if (group.isShort !== isShort) group.classList.toggle("short", (group.isShort = isShort));
    });
  }

  step(rate) {
    return Math.min(RATES.length - 1, Math.floor((rate / this.mostBps) * RATES.length));
  }

  drawEarth() {
    const context = this.canvas("earth");
    const path = d3.geoPath(this.projection, context);
    context.beginPath();
    path(this.earth.land);
    context.fillStyle = "#fbfaf6";
    context.fill();
    context.lineWidth = 0.7;
    context.strokeStyle = "#b9c2ca";
    for (const lines of this.earth.lines) {
      context.beginPath();
      path(lines);
      context.stroke();
    }
  }

  drawAround() {
    if (!this.projection) return;
    const context = this.canvas("around");
    const path = d3.geoPath(this.projection, context);
    if (this.about.on_earth) this.drawSky(context, path);
    this.drawOrders(context, path);
  }

  drawSky(context, path) {
    const circle = d3.geoCircle();
    for (const [name, cover] of Object.entries(this.around.clouds)) {
      if (cover < 0.25) continue;
      context.beginPath();
      path(circle.center(this.about.nodes[this.places.get(name)].at).radius(CLOUD_DEG)());
      context.fillStyle = `rgb(90 105 120 / ${0.45 * cover})`;
      context.fill();
    }
    for (const storm of this.around.storms) {
      context.beginPath();
      path(circle.center(storm.at).radius(storm.radius_deg)());
      context.fillStyle = "rgb(60 50 90 / 0.28)";
      context.fill();
      context.lineWidth = 2;
      context.setLineDash([3, 3]);
      context.strokeStyle = "#4b3d73";
      context.stroke();
      context.setLineDash([]);
      this.write(context, storm.kind, storm.at);
    }
    for (const [name, longitude, latitude, radius] of this.around.satellites) {
      context.beginPath();
      path(circle.center([longitude, latitude]).radius(radius)());
      context.lineWidth = 1.2;
      context.strokeStyle = MEDIA.satellite;
      context.fillStyle = "rgb(230 159 0 / 0.07)";
      context.fill();
      context.stroke();
      this.write(context, `◆ ${name}`, [longitude, latitude], MEDIA.satellite);
    }
  }

  drawOrders(context, path) {
    const lines = { uav: [], satellite: [] };
    for (const [request, medium] of this.orders) {
      const row = this.requests[request];
      if (!row) continue;
      const ends = [row.source, row.target].map((name) => this.about.nodes[this.places.get(name)].at);
      lines[medium]?.push(ends);
    }
    for (const [medium, coordinates] of Object.entries(lines)) {
      context.beginPath();
      path({ type: "MultiLineString", coordinates });
      context.setLineDash(medium === "uav" ? [1, 6] : [10, 5]);
      context.lineCap = "round";
      context.lineWidth = 2.4;
      context.strokeStyle = MEDIA[medium];
      context.stroke();
      context.setLineDash([]);
    }
  }

  write(context, words, at, colour = "#1b2733") {
    const [x, y] = this.projection(at) ?? [-99, -99];
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "center";
    context.lineWidth = 3;
    context.strokeStyle = "#fff";
    context.strokeText(words, x, y);
    context.fillStyle = colour;
    context.fillText(words, x, y);
  }

  canvas(id) {
    const canvas = document.getElementById(id);
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [this.box.clientWidth, this.box.clientHeight];
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
  }

  onKey(event) {
    const way = KEYS[event.key];
    if (!way) return;
    event.preventDefault();
    if (this.chosen === undefined) return this.choose(0);
    const [x, y] = this.points[this.chosen];
    let best;
    let least = Infinity;
    this.points.forEach(([px, py], place) => {
      const [dx, dy] = [px - x, py - y];
      const along = dx * way[0] + dy * way[1];
      const far = along + 2 * Math.abs(dx * way[1] + dy * way[0]);
      if (along > 0.5 && far < least) [best, least] = [place, far];
    });
    if (best !== undefined) this.choose(best);
  }

  choose(place) {
    if (this.chosen !== undefined) this.nodeElements[this.chosen].classList.remove("chosen");
    this.chosen = place;
    this.nodeElements[place].classList.add("chosen");
    this.describe();
  }

  describe() {
    const { name } = this.about.nodes[this.chosen];
    const links = this.about.links.flatMap((link, place) => {
      if (link.a !== name && link.b !== name) return [];
      const other = link.a === name ? link.b : link.a;
      const rate = this.around.rates_bps[place] ?? link.skr_bps;
      const trouble = this.links[place]?.trouble;
      const waits = link.periods_to_fill > 1 ? `, a block in ${link.periods_to_fill} periods` : "";
      return [`${other} ${trouble ? `down (${trouble})` : `${rate.toFixed(1)} bit/s${waits}`}`];
    });
    const own = this.requests.filter((row) => row.source === name || row.target === name);
    const missing = own.reduce((sum, row) => sum + row.missing_units, 0);
    const cover = this.around.clouds[name];
    const sky = cover === undefined ? "" : ` Sky ${Math.round(cover * 10)} tenths covered.`;
    const words = `Node ${name}: ${number(own.length)} requests, ${number(missing)} units missing now.${sky} Links to ${links.join(", ")}.`;
    say(document.getElementById("detail"), words);
  }

  writeLegend() {
    const legend = document.getElementById("legend");
    const add = (words, colour) => {
      const item = legend.appendChild(document.createElement("span"));
      const mark = item.appendChild(document.createElement("i"));
      mark.style.background = colour;
      item.append(words);
    };
    const part = this.mostBps / RATES.length;
    const text = (value) => (value < 100 ? value.toFixed(1) : number(value));
    RATES.forEach((colour, step) => add(`${step ? "from " + text(step * part) : "over 0"} bit/s`, colour));
    add("link down (dashed), node short of key", DOWN);
    add("UAV chain under way (dots)", MEDIA.uav);
    add("satellite order (dashes), footprints", MEDIA.satellite);
    if (this.about.on_earth) add("cloud, storm", "#8a94a0");
  }
}
