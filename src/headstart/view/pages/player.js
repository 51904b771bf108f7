// Plays the episodes of the JSON block "episode" in step. A picture between two whole ones is drawn over those before it.
"use strict";
const all = JSON.parse(document.getElementById("episode").textContent), of = (id) => document.getElementById(id);
const last = Number(of("t").max), speed = of("speed"), at = () => Number((/t=(\d+)/.exec(location.hash) || [])[1]);
const places = Array.from(document.querySelectorAll(".track"), (place, i) => (
  { track: all.tracks[i], canvas: place.querySelector("canvas"), body: place.querySelector("tbody"), images: [], drawn: -1, wanted: -1 }));
let now = -1, timer = 0;

function image({ track, images }, t) {
  const made = images[t] ? null : new Image();
  if (made) { made.src = track.frames[t]; images[t] = made.decode().then(() => made); }
  return images[t];
}

async function draw(place, t) {
  const { track, canvas } = place, to = Math.min(t, track.frames.length - 1);
  if (!canvas || place.wanted === to) return;
  place.wanted = to;
  const key = to - (to % track.key), from = place.drawn >= key && place.drawn <= to ? place.drawn + 1 : key;
  const images = await Promise.all(Array.from({ length: to - from + 1 }, (_, i) => image(place, from + i)));
  if (place.wanted !== to) return;
  for (const one of images) canvas.getContext("2d").drawImage(one, 0, 0);
  place.drawn = to;
}

function row(body, name, text) {
  const line = body.insertRow(), head = line.appendChild(document.createElement("th"));
  head.scope = text === undefined ? "rowgroup" : "row";
  head.textContent = name.replaceAll("_", " ");
  if (text === undefined) { line.className = "group"; head.colSpan = 2; } else line.insertCell().textContent = text;
}

function tell({ track, body }, t) {
  const T = track.action.length, k = Math.min(t, T - 1), name = (id) => track.actions[id] ?? String(id);
  const sum = track.reward.slice(0, k + 1).reduce((a, b) => a + Number(b), 0).toFixed(4), counted = track.counted[Math.min(t, T)];
  body.replaceChildren();
  if (t >= T) row(body, "end", track.end || "it goes on");
  else {
    row(body, "action", track.actions.length ? name(track.action[t]) : track.action[t].join(", "));
    if (track.mask[t].includes("0")) row(body, "allowed", track.actions.filter((_, i) => track.mask[t][i] === "1").join(", "));
    if (track.probability[t] !== null) row(body, "its probability", track.probability[t].toFixed(3));
    row(body, "reward", track.reward[t]);
  }
  row(body, t < T ? "return after it" : "return", sum);
  if (t < T && track.terms.length > 1) {
    row(body, "reward by terms");
    track.terms.forEach((term, i) => track.paid[t][i] !== 0 && row(body, term, track.paid[t][i]));
  }
  if (track.counters.length && counted) {
    row(body, "counted so far");
    track.counters.forEach((counter, i) => row(body, counter, counted[i]));
  }
}

function go(t, note = true) {
  t = Math.max(0, Math.min(last, Math.round(t) || 0));
  if (t === now) return;
  now = of("t").value = document.documentElement.dataset.step = t;
  of("at").textContent = "step " + t + " of " + last;
  for (const place of places) { draw(place, t); tell(place, t); }
  if (note) history.replaceState(null, "", "#t=" + t);
}

function play(on) {
  clearInterval(timer);
  timer = on ? setInterval(next, 1000 / all.fps / Number(speed.value)) : 0;
  of("play").textContent = on ? "Pause" : "Play";
  if (on && now === last) go(0, false);
}

function next() { if (now < last) go(now + 1, false); else if (of("loop").checked) go(0, false); else play(false); }
function step(t) { play(false); go(t); }
function faster(by) { speed.selectedIndex = Math.max(0, Math.min(speed.length - 1, speed.selectedIndex + by)); if (timer) play(true); }
const keys = { " ": () => play(!timer), ArrowLeft: () => step(now - 1), ArrowRight: () => step(now + 1), Home: () => step(0), End: () => step(last),
  "-": () => faster(-1), "+": () => faster(1), l: () => of("loop").click() };

for (const { track, canvas } of places) {
  if (canvas) [canvas.width, canvas.height] = track.size;
  for (const mark of track.marks) {
    const { style } = of("ticks").appendChild(document.createElement("i"));
    [style.left, style.width] = [mark.first, mark.last - mark.first].map((part) => 100 * part / Math.max(1, last) + "%");
  }
}
of("play").onclick = keys[" "];
of("back").onclick = keys.ArrowLeft;
of("on").onclick = keys.ArrowRight;
of("t").oninput = () => step(Number(of("t").value));
speed.onchange = () => faster(0);
addEventListener("hashchange", () => at() >= 0 && step(at()));
addEventListener("keydown", (event) => {
  const own = event.target.matches("select") || (event.key === " " && event.target.matches("button, summary, a, input[type=checkbox]"));
  if (keys[event.key] && !own && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); keys[event.key](); }
});
go(at(), false);
