// Sorts and filters the cards of a contact sheet. What has no value stands last.
"use strict";
const of = (id) => document.getElementById(id), cards = Array.from(of("cards").children);

function arrange() {
  const key = of("sort").value.replace("-", ""), sign = of("sort").value.startsWith("-") ? -1 : 1, wanted = of("show").value;
  const value = (card) => card.dataset[key] === "" ? Infinity : sign * Number(card.dataset[key]);
  const shown = cards.filter((card) => wanted === "all" || card.dataset.is.split(" ").includes(wanted));
  shown.sort((a, b) => value(a) - value(b) || a.dataset.number - b.dataset.number);
  of("cards").replaceChildren(...shown);
  of("count").textContent = shown.length + (shown.length === 1 ? " episode" : " episodes");
}

for (const id of ["sort", "show"]) of(id).onchange = arrange;
