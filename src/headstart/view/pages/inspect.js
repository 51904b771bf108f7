// The table of all episodes, sorted and filtered; only the rows in sight are in the page. #e=ID in the address shows one episode.
"use strict";
{
  const place = (id) => document.getElementById(id), data = JSON.parse(place("episodes").textContent), box = place("rows"), HEIGHT = 30;
  const rowOf = new Map(data.ids.map((id, row) => [id, row])), notes = (row) => data.notes[row] || [];
  let order = [], by = data.sort, down = true;
  const made = (tag, text, ...below) => { const it = document.createElement(tag); it.append(text, ...below); return it; };
  const said = (value, column) => value === null ? "–" : column.flag ? (value ? "yes" : "no")
    : Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(3)));

  function choose() {
    const bit = 1 << place("group").selectedIndex, text = place("search").value.trim().toLowerCase(), key = data.columns[by].values;
    const has = (row) => !text || [data.ids[row], ...notes(row)].join(" ").toLowerCase().includes(text);
    order = data.ids.map((_, row) => row).filter((row) => data.groups[row] & bit && has(row));
    order.sort((a, b) => (key[a] === null) - (key[b] === null) || (down ? key[b] - key[a] : key[a] - key[b]) || a - b);
    place("count").textContent = `${order.length.toLocaleString("en")} of ${data.ids.length.toLocaleString("en")} episodes`;
    place("head").replaceChildren(made("th", "episode"), ...data.columns.map((column, i) => {
      const button = made("button", column.label + (i === by ? (down ? " ▼" : " ▲") : "")), head = made("th", button);
      button.title = column.unit;
      button.onclick = () => { down = by !== i || !down; by = i; choose(); place("head").children[i + 1].firstChild.focus(); };
      head.ariaSort = i !== by ? "none" : down ? "descending" : "ascending";
      return head;
    }));
    box.scrollTop = 0;
    draw();
  }
  function draw() {
    const first = Math.max(0, Math.floor(box.scrollTop / HEIGHT) - 10), shown = order.slice(first, first + 50);
    const gap = (rows) => { const line = made("tr", ""); line.ariaHidden = "true"; line.style.height = rows * HEIGHT + "px"; return line; };
    const focused = document.activeElement.hash;
    place("body").replaceChildren(gap(first), ...shown.map((row) => {
      const link = made("a", data.ids[row]);
      link.href = "#e=" + encodeURIComponent(data.ids[row]);
      return made("tr", made("td", link, notes(row).length ? " *" : ""), ...data.columns.map((column) => made("td", said(column.values[row], column))));
    }), gap(order.length - first - shown.length));
    if (focused) Array.from(place("body").querySelectorAll("a")).find((link) => link.hash === focused)?.focus({ preventScroll: true });
  }
  function show() {
    const row = location.hash.startsWith("#e=") ? rowOf.get(decodeURIComponent(location.hash.slice(3))) : undefined;
    if (row === undefined) return;
    const numbers = data.columns.map((column) => `${column.label} ${said(column.values[row], column)} ${column.unit}`.trim()).join(", ");
    place("chosen").replaceChildren(made("h3", data.ids[row]), made("p", `${data.states[row]}; ${numbers}`), ...notes(row).map((note) => made("p", note)),
      made("code", data.play ? data.play.replaceAll("EPISODE", data.ids[row]) : "It can be played once a scenario names the recording."));
    place("chosen").scrollIntoView({ block: "nearest" });
  }
  place("group").onchange = place("search").oninput = choose;
  box.onscroll = draw;
  addEventListener("hashchange", show);
  choose();
  show();
}
