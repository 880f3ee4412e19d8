"use strict";

const options = {
  responsive: true,
  displaylogo: false,
  modeBarButtons: [["toImage", "resetScale2d"]],
};
let data = JSON.parse(document.getElementById("data").textContent);

function cell(row, text) {
  const element = document.createElement("td");
  element.textContent = text; // text only: nothing from the run's files is ever read as HTML
  row.append(element);
  return element;
}

function fill(table, rows) {
  const timed = rows[0][3] !== null;
  const sum = (column) => rows.reduce((total, row) => total + row[column], 0);
  const total = timed ? sum(3) + data.overhead_ms : 0;
  const slowest = Math.max(...rows.map((row) => row[3]));
  const body = document.createElement("tbody");
  let stage = null;
  for (const [cells, macs, params, ms] of rows) {
    const row = document.createElement("tr");
    row.className = cells[0] === stage ? "" : "begins";
    stage = cells[0];
    cells.forEach((text) => cell(row, text));
    cell(row, (macs / 1e6).toFixed(2));
    cell(row, (params / 1e3).toFixed(1));
    cell(row, timed ? ms.toFixed(3) : "–");
    const share = cell(row, timed ? `${((100 * ms) / total).toFixed(1)} %` : "–");
    if (timed) {
      share.className = "share";
      share.style.setProperty("--bar", `${(100 * ms) / slowest}%`);
    }
    body.append(row);
  }
  table.tBodies[0].replaceWith(body);
  const [label, macs, params, ms] = table.tFoot.rows[0].cells;
  label.textContent = timed && data.overhead_ms ? `Total, with ${data.overhead_ms.toFixed(3)} ms once a network` : "Total";
  macs.textContent = (sum(1) / 1e6).toFixed(2);
  params.textContent = (sum(2) / 1e3).toFixed(1);
  ms.textContent = timed ? total.toFixed(3) : "–";
}

function show(number) {
  const answer = document.getElementById("pick-answer");
  const trial = data.trials[number];
  answer.textContent = trial ? "" : `There is no network for trial ${number}.`;
  if (!trial) return;
  const reward = trial.reward === null ? "" : `, reward ${trial.reward.toFixed(4)}`;
  const heading = document.getElementById("picked-heading");
  heading.textContent =
    `Trial ${number}: ${trial.latency_ms.toFixed(2)} ms` +
    (trial.accuracy === null ? "" : `, ${(100 * trial.accuracy).toFixed(2)} %`) + reward +
    (trial.tokens && `; ${trial.tokens}`);
  document.getElementById("trial").value = number;
  const picked = document.getElementById("picked");
  picked.querySelector(".scroll").hidden = trial.network === null; // without its space, tokens are all that is known
  if (trial.network !== null) fill(picked.querySelector("table"), data.networks[trial.network].map((index) => data.rows[index]));
  picked.hidden = false;
  heading.focus({ preventScroll: true });
}

function draw() {
  for (const [id, chart] of Object.entries(data.charts)) {
    const element = document.getElementById(id);
    chart.layout.uirevision = "kept"; // what was zoomed stays so when the chart is drawn anew
    Plotly.react(element, chart.data, chart.layout, options);
    if (id !== "front" || element.dataset.clickable) continue;
    element.dataset.clickable = "yes";
    element.on("plotly_click", (event) => {
      const about = event.points[0].customdata;
      if (about && about[0] !== null) show(about[0]);
    });
    document.getElementById("pick").addEventListener("submit", (event) => {
      event.preventDefault();
      show(document.getElementById("trial").value);
    });
  }
}
draw();

// on paper, charts take the page's width and tables are open
addEventListener("beforeprint", () => {
  document.querySelectorAll("details").forEach((element) => { element.open = true; });
  Object.keys(data.charts).forEach((id) => Plotly.relayout(id, { width: Math.min(640, document.getElementById(id).clientWidth) }));
});
addEventListener("afterprint", () => {
  Object.keys(data.charts).forEach((id) => Plotly.relayout(id, { width: null, autosize: true }));
});

// a served page asks for what is newer, and puts it in place: what is clicked, typed, opened and zoomed stays
const KEPT = ".chart, #pick, #picked";
const ASK_MS = 2000;

function renew(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html"); // which runs no script of it
  data = JSON.parse(fresh.getElementById("data").textContent);
  const focused = document.activeElement && document.activeElement.id;
  const opened = [...document.querySelectorAll("details[open] > summary")].map((summary) => summary.textContent);
  for (const element of fresh.querySelectorAll("summary")) {
    if (opened.includes(element.textContent)) element.parentElement.open = true;
  }
  for (const element of fresh.querySelectorAll(KEPT)) {
    const old = document.getElementById(element.id);
    if (!old) continue;
    if (element.ariaLabel) old.ariaLabel = element.ariaLabel;
    element.replaceWith(old);
  }
  for (const name of ["header", "main", "footer"]) {
    document.querySelector(name).replaceWith(document.adoptNode(fresh.querySelector(name)));
  }
  document.title = fresh.title;
  draw();
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

async function follow() {
  let said = "";
  try {
    const answer = await (await fetch("version", { cache: "no-store" })).json();
    if (answer.version !== data.version) {
      const page = await fetch("content", { cache: "no-store" });
      if (page.ok) renew(await page.text());
    }
    said = answer.problem ?? `Follows the search; this is how it was at ${new Date(answer.seconds * 1000).toLocaleTimeString()}.`;
  } catch {
    said = "The server of this page does not answer; this is what it showed last.";
  }
  const status = document.getElementById("live");
  if (status.textContent !== said) status.textContent = said;
  setTimeout(follow, ASK_MS);
}
if (data.version !== null) follow();
