// What the server says of a run, as tables and curves: messages come with ids, so that a connection that breaks goes on where it was.
const settings = JSON.parse(document.getElementById("settings").textContent);
const source = new EventSource("/events?run=" + encodeURIComponent(settings.run));
let kept = {}, target = {}, age = null, over = false, heard = performance.now(), due = 0;

function make(tag, kind, ...inside) {
  const it = document.createElement(tag);
  if (kind) it.className = kind;
  it.append(...inside);
  return it;
}

function share(tag, kind, at, side) {
  const it = make(tag, kind);
  it.style[side] = 100 * Math.min(Math.max(at, 0), 1) + "%";
  return it;
}

function spark(values) {
  const box = document.createElementNS("http://www.w3.org/2000/svg", "svg"), low = Math.min(...values), high = Math.max(...values);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline"), x = (i) => (98 * i) / (values.length - 1) + 1;
  line.setAttribute("points", values.map((value, i) => `${x(i)},${19 - (18 * (value - low)) / (high - low || 1)}`).join(" "));
  for (const [key, value] of [["viewBox", "0 0 100 20"], ["class", "spark"], ["role", "img"]]) box.setAttribute(key, value);
  box.setAttribute("aria-label", `last ${values.length} values, ${low.toPrecision(3)} to ${high.toPrecision(3)}`);
  box.append(line);
  return box;
}

function cell(tag, value) {
  const of = typeof value === "string" ? { t: value } : value, text = make(of.href ? "a" : "span", of.c, of.t);
  if (of.href) text.href = of.href;
  const it = make(tag, "", text);
  if (of.spark) it.append(spark(of.spark));
  if (of.bar !== undefined) it.append(make("div", "bar", share("div", "", of.bar, "width")));
  if (of.gauge) it.append(make("div", "bar", share("div", "", of.gauge.value, "width"), ...of.gauge.marks.map((at) => share("i", "", at, "left"))));
  return it;
}

function fill(name, panel) {
  const head = panel.head.map((text) => { const it = make("th", "", text); it.scope = "col"; return it; });
  const rows = panel.rows.map((row) => make("tr", "", ...row.map((value, i) => {
    const it = cell(i ? "td" : "th", value);
    if (!i) it.scope = "row";
    return it;
  })));
  const none = make("tr", "faint", make("td", "", panel.none));
  const place = document.getElementById("panel-" + name);
  place.className = head.length ? "" : "pairs";
  place.replaceChildren(
    ...(rows.length && head.length ? [make("thead", "", make("tr", "", ...head))] : []), make("tbody", "", ...(rows.length ? rows : [none])));
}

function keep(row) {
  const of = (kept[row.k] ||= { rows: [], count: 0, every: 1 });
  if (of.count++ % of.every === 0) of.rows.push(row);
  of.last = row;
  if (of.rows.length > settings.kept) { of.rows = of.rows.filter((_, i) => i % 2 === 0); of.every *= 2; }
}

function draw() {
  const all = (kind) => (kept[kind] ? [...kept[kind].rows, kept[kind].last] : []);
  const rows = Object.keys(kept).flatMap(all), phases = all("phase");
  for (const place of document.querySelectorAll(".chart[data-chart]")) {
    const name = place.dataset.chart, level = target[settings.target[name]];
    const points = Object.entries(settings.series[name]).flatMap(([key, s]) => rows.filter((row) => key in row.v).map((row) => ({ x: row.x, y: row.v[key], s })));
    place.view?.data("rows", points).data("phases", points.length ? phases : []).data("target", level == null ? [] : [{ y: level }]).runAsync();
  }
}

source.onmessage = (event) => {
  const message = JSON.parse(event.data), { says, target: aim, ...panels } = message.panels;
  if (message.reset) kept = {};
  message.rows.forEach(keep);
  for (const [name, panel] of Object.entries(panels)) fill(name, panel);
  for (const [name, text] of Object.entries(says || {})) document.getElementById("says-" + name).textContent = text;
  [target, age, over, heard] = [aim || target, message.age, message.over, performance.now()];
  due ||= setTimeout(() => { due = 0; draw(); }, 250);
};

setInterval(() => {
  const place = document.getElementById("age"), late = age === null ? null : age + (performance.now() - heard) / 1000;
  const time = late < 120 ? `${Math.round(late)} s` : `${Math.round(late / 60)} min`;
  const said = source.readyState === EventSource.CLOSED ? ["bad", "Not connected: `headstart observe` has ended, or eight pages watch already. Load the page again."]
    : source.readyState === EventSource.CONNECTING ? ["warn", "Connection lost; trying again …"]
    : late === null ? ["faint", over ? "The log has ended." : "Playing …"]
    : late > settings.stale_s ? ["warn", `stale: no record for ${time}`] : ["faint", `Last record ${time} ago.`];
  [place.className, place.textContent] = said;
}, 1000);
document.addEventListener("drawn", draw);
