"use strict";

const at = (id) => document.getElementById(id);
const dollars = (amount, digits = 2) => `$${amount.toFixed(digits)}`;
const STATUS = {
  running: "good", created: "busy", loading: "busy", scheduled: "busy", stopping: "busy", rebooting: "busy",
  exited: "quiet", stopped: "quiet", destroyed: "quiet",
};

function age(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${(seconds / 3600).toFixed(1)} h` : `${Math.round(seconds / 86400)} d`;
}

/** A table cell; text is always set as text, so that no label of a machine becomes markup. */
function cell(content, className = "") {
  const td = document.createElement("td");
  td.className = className;
  td.append(content instanceof Node ? content : String(content ?? ""));
  return td;
}

function rows(body, cells, nothing) {
  const made = cells.map((one) => {
    const tr = document.createElement("tr");
    tr.append(...one);
    return tr;
  });
  if (!made.length) {
    const empty = cell(nothing, "nothing");
    empty.colSpan = 20;
    made.push(document.createElement("tr"));
    made[0].append(empty);
  }
  at(body).replaceChildren(...made);
}

function button(text, act, className = "") {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.className = className;
  // On pointerdown, because the table is drawn anew every second and a click may fall between two of them.
  made.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    if (event.button === 0) act();
  });
  made.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") act(); });
  return made;
}

async function ask(method, path, body) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const told = await answer.json();
  return answer.ok ? "" : told.msg ?? `${answer.status}`;
}

function showNumbers(now) {
  const credit = now.accounts.map((account) => `${account.username} ${dollars(account.credit)}`).join(" · ");
  const numbers = {
    Alive: now.alive.length, "Rent requests": now.rent_requests, Spent: dollars(now.spent, 4), Credit: credit,
    Speed: now.speed, Seed: now.seed, Isolation: now.namespaces ? "namespaces" : "none: plain folders",
  };
  at("numbers").replaceChildren(...Object.entries(numbers).map(([name, value]) => {
    const pair = document.createElement("div");
    const dt = document.createElement("dt");
    const dd = document.createElement("dd");
    dt.textContent = name;
    dd.textContent = value;
    pair.append(dt, dd);
    return pair;
  }));
}

function status(row) {
  const text = row.outbid ? `${row.status} (outbid)` : row.start_queued ? `${row.status} (start queued)` : row.status;
  const span = document.createElement("span");
  span.textContent = text;
  span.className = `status ${STATUS[row.status] ?? "bad"}`;
  return span;
}

function showMachines(now) {
  const time = Date.now() / 1000;
  at("alive-count").textContent = now.alive.length;
  rows("machines", now.alive.map((row) => {
    const acts = document.createElement("span");
    acts.className = "buttons";
    acts.append(button("Kill", () => ask("POST", `/simulator/machines/${row.id}/kill`), "danger"));
    acts.append(button("Host offline", () => ask("PATCH", `/simulator/hosts/${row.machine_id}`, { offline: true })));
    if (row.status === "offline") {
      acts.append(button("Host back", () => ask("PATCH", `/simulator/hosts/${row.machine_id}`, { offline: false })));
    }
    if (row.is_bid) acts.append(button("Outbid", () => ask("POST", `/simulator/machines/${row.id}/outbid`, {})));
    return [
      cell(row.id), cell(row.label ?? "–", "text"), cell(`${row.num_gpus}× ${row.gpu_name}${row.is_bid ? " (bid)" : ""}`),
      cell(status(row)), cell(row.machine_id), cell(row.dph_total.toFixed(3), "number"),
      cell(dollars(row.cost_usd, 4), "number"), cell(Math.round(row.gpu_util), "number"),
      cell(age(time - row.created_at)), cell(acts),
    ];
  }), "Nothing is rented.");
}

function showFaults(now) {
  const select = document.querySelector("#new-fault select");
  if (!select.options.length) select.append(...now.fault_names.map((name) => new Option(name)));
  rows("faults", now.faults.map((fault) => {
    const limits = [
      fault.times && `${fault.times} times`, fault.seconds && `${fault.seconds} s`, fault.match && `“${fault.match}”`,
      fault.probability < 1 && `${Math.round(fault.probability * 100)} %`, fault.nth > 1 && `from call ${fault.nth}`,
      fault.account && `account ${fault.account}`,
    ].filter(Boolean).join(", ");
    return [
      cell(fault.endpoint, "text"), cell(fault.fault, "bad"), cell(limits || "always", "quiet"),
      cell(`${fault.fired} of ${fault.calls}`, "number"),
      cell(button("Remove", () => ask("DELETE", `/simulator/faults/${fault.id}`))),
    ];
  }), "No fault is set.");
}

function showScenarios(now) {
  if (!at("examples").childElementCount) {
    at("examples").append(...now.examples.map((name) =>
      button(`Run ${name}`, () => ask("POST", "/simulator/scenarios", { example: name }))));
  }
  at("drills").replaceChildren(...now.scenarios.slice(-6).reverse().map((drill) => {
    const item = document.createElement("li");
    const name = document.createElement("strong");
    name.textContent = drill.name;
    const how = document.createElement("span");
    how.className = { running: "busy", done: "good", failed: "bad" }[drill.state] ?? "quiet";
    how.textContent = `${drill.state}, ${drill.log.length} of ${drill.steps} steps`;
    item.append(name, how);
    if (drill.state === "running") item.append(button("Stop", () => ask("DELETE", `/simulator/scenarios/${drill.id}`)));
    return item;
  }));
}

function showMarket(now) {
  at("market-clock").textContent = now.market_rate
    ? `lives ${now.market_rate}× as fast as the clock, ${now.market_hours.toFixed(1)} h so far` : "stands still";
  const kinds = new Map();
  for (const host of now.hosts) {
    const kind = kinds.get(host.gpu_name) ?? { hosts: 0, gpus: 0, free: 0, offline: 0, price: Infinity };
    kind.hosts += 1;
    kind.gpus += host.gpus;
    kind.free += host.offline ? 0 : host.free;
    kind.offline += host.offline ? 1 : 0;
    if (host.free && !host.offline) kind.price = Math.min(kind.price, host.price);
    kinds.set(host.gpu_name, kind);
  }
  rows("market", [...kinds].map(([name, kind]) => {
    const bar = document.createElement("span");
    const part = document.createElement("i");
    bar.className = "bar";
    part.style.width = `${100 - (100 * kind.free) / kind.gpus}%`;
    bar.append(part);
    return [
      cell(name), cell(kind.hosts, "number"), cell(`${kind.free} of ${kind.gpus}`, "number"), cell(bar),
      cell(kind.price < Infinity ? kind.price.toFixed(3) : "–", "number"),
      cell(kind.offline || "", "number bad"),
    ];
  }), "No hosts.");
}

function readable(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return path; // a lonely percent sign
  }
}

function showRequests(now) {
  at("request-count").textContent = `${now.request_count} kept`;
  rows("requests", now.requests.slice().reverse().map((entry) => {
    const good = entry.status >= 200 && entry.status < 300;
    const path = document.createElement("code");
    path.textContent = `${entry.method} ${readable(entry.path)}`;
    return [
      cell(new Date(entry.time * 1000).toLocaleTimeString("en-GB")), cell(path, "text"),
      cell(entry.status || "cut", `number ${good ? "good" : "bad"}`), cell((entry.faults ?? []).join(", "), "bad"),
    ];
  }), "Nobody has asked anything yet.");
}

function showBooks(now) {
  at("ended-count").textContent = `${now.ended_count} ended`;
  rows("books", now.ended.map((row) => [
    cell(row.id), cell(row.label ?? "–", "text"), cell(`${row.num_gpus}× ${row.gpu_name}`), cell(status(row)),
    cell(age(row.destroyed_at - row.created_at), "number"), cell(dollars(row.cost_usd, 4), "number"),
  ]), "No machine has ended yet.");
}

at("new-fault").addEventListener("submit", async (event) => {
  event.preventDefault();
  const given = new FormData(event.target);
  const body = { endpoint: given.get("endpoint"), fault: given.get("fault") };
  for (const name of ["times", "seconds", "probability"]) if (given.get(name)) body[name] = Number(given.get(name));
  if (given.get("match")) body.match = given.get("match");
  at("fault-answer").textContent = await ask("POST", "/simulator/faults", body);
});

const source = new EventSource("/simulator/live");
source.addEventListener("message", (event) => {
  at("gone").hidden = true;
  const now = JSON.parse(event.data);
  for (const show of [showNumbers, showMachines, showFaults, showScenarios, showMarket, showRequests, showBooks]) show(now);
});
source.addEventListener("error", () => { at("gone").hidden = false; });
