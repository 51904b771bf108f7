// Vega draws each chart of the page as SVG, in the colours of the reader's scheme; expressions are interpreted, so that no code is made of them.
"use strict";
const dark = matchMedia("(prefers-color-scheme: dark)");
const embed = window.vegaEmbed.default || window.vegaEmbed;

function colours() {
  const style = getComputedStyle(document.documentElement), of = (name) => style.getPropertyValue(name).trim();
  const text = { labelColor: of("--faint"), titleColor: of("--ink") };
  return {
    background: null, font: "system-ui, DejaVu Sans, sans-serif",
    axis: { ...text, gridColor: of("--line"), domainColor: of("--line"), tickColor: of("--line") },
    legend: text, header: text, title: { color: of("--ink"), subtitleColor: of("--faint") }, view: { stroke: null },
    text: { color: of("--ink") }, rule: { color: of("--faint") },
  };
}

function drawAll(which = ".chart[data-chart]") {
  return Promise.all(Array.from(document.querySelectorAll(which), (place) => {
    if (place.closest("details:not([open])")) return null;  // it has no width before it is opened
    const spec = JSON.parse(document.getElementById("chart-" + place.dataset.chart).textContent);
    const inside = (spec.params || []).find((one) => one.name === "inside");
    if (inside) inside.value = place.clientWidth < 600;
    return embed(place, spec, {
      actions: false, ast: true, renderer: "svg", defaultStyle: false, config: colours(), tooltip: { disableDefaultStyle: true },
    }).then((drawn) => { place.view = drawn.view; });
  })).then(() => document.dispatchEvent(new Event("drawn")));
}

dark.addEventListener("change", () => drawAll());
document.addEventListener("toggle", (event) => { if (event.target.open) drawAll(".chart[data-chart]:empty"); }, true);
drawAll().then(() => { document.documentElement.dataset.drawn = "yes"; });
