// The console's one script: follow the event stream, swap the parts of the page that changed, count down, and obey the keyboard.
// Everything else works without it.
"use strict";

const SILENCE = 30, POLL = 5000, SWAP = 1000, SAY = 10000; // 30 s = two heartbeats missed
const words = document.body.dataset;
const live = document.getElementById("live");
const skew = Date.now() - Number(words.now);
const state = { heard: Date.now(), streamed: Date.now(), stream: null, away: false, paused: false, asked: 0, timer: 0, said: 0, status: "" };

// ---- swapping parts

async function refresh() {
  state.timer = 0;
  if (state.paused) return;
  state.asked = Date.now();
  try {
    const answer = await fetch(live.dataset.fragments, { cache: "no-store", signal: AbortSignal.timeout(10000) });
    if (answer.status === 401) return location.reload();
    if (!answer.ok) throw new Error(String(answer.status));
    swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
    state.heard = Date.now();
    state.away = false;
  } catch {
    state.away = true;
  }
  pulse();
}

function soon() {
  if (!state.timer) state.timer = setTimeout(refresh, Math.max(0, state.asked + SWAP - Date.now()));
}

const parts = (root) => [...root.querySelectorAll("[data-part]")];

function swap(fresh) {
  const mine = parts(live), theirs = parts(fresh);
  if (mine.map((part) => part.id).join() !== theirs.map((part) => part.id).join()) {
    live.replaceChildren(...fresh.body.childNodes);
  } else {
    mine.forEach((part, at) => { if (part.outerHTML !== theirs[at].outerHTML) exchange(part, theirs[at]); });
  }
  say();
}

function exchange(part, fresh) {
  const open = [...part.querySelectorAll("details")].map((one) => one.open);
  const scrolled = [...part.querySelectorAll(".scroll")].map((one) => one.scrollTop);
  const href = part.contains(document.activeElement) && document.activeElement.getAttribute("href");
  part.replaceWith(fresh);
  fresh.querySelectorAll("details").forEach((one, at) => { if (at in open) one.open = open[at]; });
  fresh.querySelectorAll(".scroll").forEach((one, at) => { one.scrollTop = scrolled[at] || 0; });
  if (href) [...fresh.querySelectorAll("a")].find((one) => one.getAttribute("href") === href)?.focus({ preventScroll: true });
}

function say() {
  const headline = live.querySelector("[data-say]");
  if (!headline) return;
  const changed = headline.dataset.status !== state.status;
  if (!changed && Date.now() - state.said < SAY) return;
  state.said = Date.now();
  state.status = headline.dataset.status;
  document.getElementById("announce").textContent = headline.dataset.say;
}

// ---- the event stream (fetch, not EventSource: heartbeats are comments, and they have to be heard)

async function follow() {
  let last = "", wait = 1000;
  for (;;) {
    const stream = new AbortController();
    try {
      const answer = await fetch(live.dataset.events, { headers: last ? { "Last-Event-ID": last } : {}, cache: "no-store", signal: stream.signal });
      if (!answer.ok || !answer.body) throw new Error(String(answer.status));
      state.stream = stream;
      state.streamed = Date.now();
      wait = 1000;
      if (state.away) soon();
      for await (const frame of frames(answer.body.pipeThrough(new TextDecoderStream()).getReader())) {
        if (frame.id) last = frame.id;
        if (frame.event) soon();
        if (frame.event === "channel") alarm(frame.data);
      }
    } catch { /* it will be tried again below */ }
    state.stream = null;
    pulse();
    await new Promise((done) => setTimeout(done, wait));
    wait = Math.min(wait * 2, 10000);
  }
}

async function* frames(reader) {
  for (let held = "", frame = {}; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    state.heard = state.streamed = Date.now();
    state.away = false;
    held += value;
    const lines = held.split("\n");
    held = lines.pop();
    for (const line of lines) {
      if (line === "") { yield frame; frame = {}; continue; }
      const colon = line.indexOf(":");
      if (colon > 0) frame[line.slice(0, colon)] = line.slice(colon + 1).trim();
    }
  }
}

function alarm(data) {
  try {
    const news = JSON.parse(data);
    if (news.state === "down" || news.state === "stalled") document.getElementById("alarm").textContent = `${news.channel}: ${news.state}`;
  } catch { /* not ours to judge */ }
}

// ---- is what we show still true?

function pulse() {
  const mark = document.getElementById("pulse");
  const silent = Math.floor((Date.now() - state.heard) / 1000);
  const stale = silent > SILENCE;
  const mood = state.paused ? "paused" : stale ? "stale" : state.away ? "away" : state.stream ? "on" : "polling";
  const text = {
    on: words.wordOn, polling: words.wordPolling, away: words.wordAway, paused: words.wordPaused,
    stale: words.wordStale.replace("{n}", silent),
  }[mood];
  mark.dataset.state = mood;
  mark.querySelector("i").textContent = mood === "on" ? "●" : "▲";
  const word = document.getElementById("pulse-word");
  if (word.textContent !== text) word.textContent = text;
  const heard = new Date(state.heard - skew).toLocaleTimeString("zh-CN", { hour12: false, timeZone: zone() });
  document.getElementById("pulse-at").textContent = words.wordUpdated.replace("{at}", heard);
  live.toggleAttribute("data-stale", stale);
}

function zone() {
  try { new Intl.DateTimeFormat("zh-CN", { timeZone: words.zone }); return words.zone; } catch { return undefined; }
}

function clocks() {
  const now = Date.now() - skew;
  for (const one of document.querySelectorAll("[data-since]")) one.textContent = length((now - Date.parse(one.dataset.since)) / 1000);
  for (const one of document.querySelectorAll("[data-until]")) {
    const left = (Date.parse(one.dataset.until) - now) / 1000;
    one.textContent = left > 0 ? length(left) : words.wordPast;
  }
}

function length(seconds) {
  const whole = Math.max(0, Math.floor(seconds)), two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600), rest = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}

// ---- the keyboard: it moves and shows; no key ever releases or cancels anything

const row = (step) => {
  const rows = [...document.querySelectorAll("[data-row]")];
  const at = rows.indexOf(document.activeElement);
  rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + step))]?.focus();
};
const keys = document.getElementById("keys");
const deeds = {
  j: () => row(1),
  k: () => row(-1),
  u: () => document.querySelector("[data-up]")?.click(),
  m: () => document.querySelector(document.activeElement.closest(".tiles") ? "[data-row]" : ".tiles a")?.focus(),
  p: () => { state.paused = !state.paused; if (!state.paused && live) refresh(); if (live) pulse(); },
  "/": () => document.querySelector("[data-filter]")?.focus(),
  "?": () => keys.showModal(),
};
let before = "";
document.addEventListener("keydown", (press) => {
  if (press.ctrlKey || press.metaKey || press.altKey || press.target.closest("input, select, textarea")) return;
  const goes = before === "g" && { w: "/", a: "/alerts" }[press.key];
  before = press.key;
  if (goes) location.assign(goes);
  else if (deeds[press.key] && !keys.open) { press.preventDefault(); deeds[press.key](); }
});

if (live) {
  if (matchMedia("(max-width: 680px)").matches) live.querySelectorAll("#part-map details").forEach((one) => { one.open = false; });
  state.status = live.querySelector("[data-say]")?.dataset.status ?? "";
  follow();
  setInterval(() => { clocks(); pulse(); }, 1000);
  setInterval(() => {
    if (state.stream && Date.now() - state.streamed > SILENCE * 1000) state.stream.abort(); // half open: begin anew
    if (!state.stream) soon();
  }, POLL);
}
