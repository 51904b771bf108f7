// The table of all episodes, sorted and filtered; only the rows in sight are in the page. #e=ID in the address shows one episode.
"use strict";
const at = (id) => document.getElementById(id), data = JSON.parse(at("episodes").textContent), box = at("rows"), HEIGHT = 30;
const named = new Map(data.ids.map((id, row) => [id, row]));
let order = [], by = data.sort, down = true;

function made(tag, text, kind) {
  const it = document.createElement(tag);
  it.textContent = text;
  if (kind) it.className = kind;
  return it;
}
const said = (value, column) => value === null ? "–" : column.flag ? (value ? "yes" : "no") : Number.isInteger(value) ? value.toLocaleString("en") : Number(value.toPrecision(3)).toString();
const words = (row) => [data.ids[row], ...(data.notes[row] || [])].join(" ").toLowerCase();

function choose() {
  const bit = 1 << at("group").selectedIndex, text = at("search").value.trim().toLowerCase(), key = data.columns[by].values;
  order = data.ids.map((_, row) => row).filter((row) => data.groups[row] & bit && (!text || words(row).includes(text)));
  order.sort((a, b) => (key[a] === null) - (key[b] === null) || (down ? key[b] - key[a] : key[a] - key[b]) || a - b);
  at("count").textContent = `${order.length.toLocaleString("en")} of ${data.ids.length.toLocaleString("en")} episodes`;
  at("head").replaceChildren(made("th", "episode"), ...data.columns.map((column, i) => {
    const head = made("th", "", "number"), button = made("button", column.label + (i === by ? (down ? " ▼" : " ▲") : ""));
    button.title = column.unit;
    button.onclick = () => { down = by === i ? !down : true; by = i; choose(); at("head").children[i + 1].firstChild.focus(); };
    if (i === by) head.ariaSort = down ? "descending" : "ascending";
    head.append(button);
    return head;
  }));
  box.scrollTop = 0;
  draw();
}
function draw() {
  const first = Math.max(0, Math.floor(box.scrollTop / HEIGHT) - 10), shown = order.slice(first, first + 50), focused = document.activeElement.dataset.row;
  const gap = (rows) => { const line = made("tr", ""); line.ariaHidden = "true"; line.style.height = rows * HEIGHT + "px"; return line; };
  at("body").replaceChildren(gap(first), ...shown.map((row) => {
    const line = made("tr", ""), cell = made("td", ""), link = made("a", data.ids[row]);
    link.href = "#e=" + encodeURIComponent(data.ids[row]);
    link.dataset.row = row;
    cell.append(link, data.notes[row] ? " *" : "");
    line.append(cell, ...data.columns.map((column) => made("td", said(column.values[row], column), "number")));
    return line;
  }), gap(order.length - first - shown.length));
  if (focused) at("body").querySelector(`[data-row="${focused}"]`)?.focus({ preventScroll: true });
}
function show() {
  const row = named.get(decodeURIComponent(location.hash.slice(3)));
  if (!location.hash.startsWith("#e=") || row === undefined) return;
  const numbers = data.columns.map((column) => `${column.label} ${said(column.values[row], column)} ${column.unit}`.trim()).join(", ");
  at("chosen").replaceChildren(made("h3", data.ids[row]), made("p", `${data.states[row]}; ${numbers}`), ...(data.notes[row] || []).map((note) => made("p", note)),
    made("code", data.play ? data.play.replaceAll("EPISODE", data.ids[row]) : "It can be played once a scenario names the recording."));
  at("chosen").scrollIntoView({ block: "nearest" });
}
at("group").onchange = at("search").oninput = choose;
box.onscroll = draw;
addEventListener("hashchange", show);
choose();
show();
