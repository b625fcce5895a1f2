"use strict";
const $ = id => document.getElementById(id);
const count = n => Number(n).toLocaleString("en");
const millis = ms => (ms < 10 ? ms.toFixed(1) : count(Math.round(ms))) + " ms";
const nameOf = track => track.name || track.uri;
/** Sets a text only if it is another one, so that live regions speak of changes alone. */
function put(node, text) { if (node.textContent !== text) node.textContent = text; }
/** An element; texts among the children become text nodes, never markup. */
function el(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.filter(child => child !== null));
  return node;
}
// --- the server ---------------------------------------------------------------------------------------
class Problem extends Error { constructor(message, status) { super(message); this.status = status; } }
/** The answer, and the milliseconds it took; or a Problem with the server's own words. */
async function api(path, body) {
  const started = performance.now();
  const ask = { cache: "no-store", signal: AbortSignal.timeout(15000) };
  if (body) Object.assign(ask, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const lost = error => {
    throw new Problem(error.name === "TimeoutError" ? "The server did not answer in time." : "The server cannot be reached.", 0);
  };
  const reply = await fetch(path, ask).catch(lost);
  const answer = await reply.json().catch(error => error instanceof SyntaxError ? null : lost(error));
  const ms = performance.now() - started;
  if (!reply.ok || !answer) throw new Problem((answer && (answer.detail || answer.title)) || `The server answered ${reply.status}.`, reply.status);
  return { answer, ms };
}
/** Posts an event on the own playlist and waits until answers include it: the milliseconds between. */
async function send(type, uri) {
  const event = { v: 1, type, playlist, at: new Date().toISOString() };
  if (uri) event.track = { uri };
  const started = performance.now();
  const { answer: taken } = await api("/v1/events", event);
  if (!taken.accepted) throw new Problem(taken.rejected?.[0]?.detail || "The event was not accepted.", 0);
  for (let turn = 0; turn < 10; turn++) {
    const { answer } = await api(`/v1/tokens/${encodeURIComponent(taken.token)}?wait_ms=2000`);
    if (answer.visible) return performance.now() - started;
  }
  throw new Problem("The event was accepted, but is not visible yet.", 0);
}
/** Shows an error where it can be seen and heard; no text clears it. */
function say(text) {
  put($("message"), $("panel").open ? "" : text);
  put($("panel-message"), $("panel").open ? text : "");
}
// --- lists of tracks ----------------------------------------------------------------------------------
/** A button about a track; the accessible name says which. */
function button(act, track, press, main) {
  const node = el("button", main ? "main" : "", act);
  node.type = "button";
  node.dataset.act = act;
  node.dataset.uri = track.uri;
  node.setAttribute("aria-label", `${act}: ${nameOf(track)}`);
  node.addEventListener("click", () => { if (node.getAttribute("aria-disabled") !== "true") press(node); });
  return node;
}
const adder = (act, track) => button(act, track, () => add(track), true);
const asker = track => button("neighbours", track, node => neighbours(track, node));
function row(rank, track, how, ...buttons) {
  const artist = track.artist && (track.artist.name || track.artist.uri);
  const album = track.album && track.album.name;
  const seconds = Math.round(track.duration_ms / 1000);
  const length = track.duration_ms > 0 ? `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}` : null;
  const by = [artist, album, length].filter(Boolean).join(" · ");
  const name = el("span", track.name ? "name" : "uri", nameOf(track));
  name.title = track.uri;
  return el("li", "", rank ? el("span", "rank", String(rank)) : null,
    el("span", "what", name, by ? el("span", "soft", by) : null, how), el("span", "do", ...buttons));
}
/** A bar for a share from 0 to 1, with words beside it. */
function measure(share, words, tag) {
  const fill = el("i");
  fill.style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
  const bar = el("span", "bar", fill);
  bar.setAttribute("aria-hidden", "true");
  return el("span", "how soft", bar, words, tag || null);
}
/** Replaces a list's rows. Focus stays on its button, or goes to the one now in its place. */
function fill(list, rows) {
  const held = list.contains(document.activeElement) ? document.activeElement : null;
  const at = held ? [...list.children].indexOf(held.closest("li")) : -1;
  list.replaceChildren(...rows);
  mark();
  if (!held) return;
  const alike = [...list.querySelectorAll("button")].filter(b => b.dataset.act === held.dataset.act);
  const next = alike.find(b => b.dataset.uri === held.dataset.uri) || alike[Math.min(at, alike.length - 1)];
  (next || list.closest("section, dialog").querySelector("h2")).focus();
}
/** Says on every "add" and "seed" whether the track is in the own playlist. */
function mark() {
  const held = new Set(mine.map(entry => entry.track.uri));
  for (const node of document.querySelectorAll('[data-act="add"], [data-act="seed"]')) {
    const has = held.has(node.dataset.uri);
    node.setAttribute("aria-disabled", String(has));
    put(node, has ? "added" : node.dataset.act);
    node.setAttribute("aria-label", node.getAttribute("aria-label").replace(/^[a-z]+/, node.textContent));
  }
}
// --- the own playlist ---------------------------------------------------------------------------------
const KEY = "segue-playlist";
let playlist = ownId();
let mine = [];               // {track, note, pending}: the entries, those on their way too
let work = Promise.resolve(); // one change after the other
function newId() {
  const id = "demo:playlist:" + [...crypto.getRandomValues(new Uint8Array(12))].map(b => b.toString(16).padStart(2, "0")).join("");
  try { sessionStorage.setItem(KEY, id); } catch { /* no storage: it lives as long as the page */ }
  return id;
}
function ownId() {
  try { return sessionStorage.getItem(KEY) || newId(); } catch { return newId(); }
}
function showMine() {
  put($("own-id"), playlist);
  $("forget").hidden = mine.length === 0;
  fill($("mine"), mine.map(({ track, note }) =>
    row(null, track, note ? el("span", "soft", note) : null, button("remove", track, () => remove(track)), asker(track))));
  if (mine.length === 0 && !$("own-say").textContent) put($("own-say"), "Nothing here yet: seed a track from the popular ones.");
}
/** What the server says that the playlist holds; entries on their way stay. */
async function sync() {
  let held = [];
  try { held = (await api(`/v1/playlists/${encodeURIComponent(playlist)}`)).answer.tracks; }
  catch (problem) { if (problem.status !== 404) throw problem; }
  const uris = new Set(held.map(track => track.uri));
  mine = mine.filter(entry => entry.pending || uris.has(entry.track.uri));
  const known = new Set(mine.map(entry => entry.track.uri));
  mine.push(...held.filter(track => !known.has(track.uri)).map(track => ({ track, note: "", pending: false })));
}
/** Makes a change when those before it are done, then shows the playlist and what it leads to. */
function change(task) {
  say("");
  const failed = problem => { say(problem.message); return sync(); };
  work = work.then(task).catch(failed).catch(() => {}).then(() => { showMine(); return recommend(); });
}
function add(track) {
  if (mine.some(entry => entry.track.uri === track.uri)) return;
  const entry = { track, note: "posting …", pending: true };
  mine.push(entry);
  change(async () => {
    try {
      entry.note = `visible after ${millis(await send("track_added", track.uri))}`;
      put($("own-say"), `${nameOf(track)} added: ${entry.note}.`);
    } catch (problem) {
      mine = mine.filter(other => other !== entry);
      throw problem;
    } finally { entry.pending = false; }
  });
  asked = "";
  showMine();
}
function remove(track) {
  const entry = mine.find(other => other.track.uri === track.uri);
  if (!entry || entry.leaving) return;
  entry.leaving = true;
  change(async () => {
    try {
      const ms = await send("track_removed", track.uri);
      mine = mine.filter(other => other !== entry);
      put($("own-say"), `${nameOf(track)} removed: visible after ${millis(ms)}.`);
    } finally { entry.leaving = false; }
  });
  asked = "";
}
function forget() {
  $("own-h").focus();
  change(async () => {
    const ms = await send("playlist_deleted");
    playlist = newId();
    mine = mine.filter(entry => entry.pending);
    put($("own-say"), `Your playlist is forgotten: visible after ${millis(ms)}.`);
  });
  asked = "";
}
// --- recommendations, neighbours, chart ---------------------------------------------------------------
let asked = "";  // the title asked for; none: the own playlist
let asking = 0;  // only the last question's answer is shown
async function recommend() {
  const turn = ++asking, title = asked;
  const settled = mine.some(entry => !entry.pending);
  if (!title && !settled) {
    put($("next-say"), mine.length ? "" : "They come with the first track of your playlist.");
    return fill($("found"), []);
  }
  try {
    const { answer, ms } = title
      ? await api("/v1/recommendations", { title, limit: 10 })
      : await api(`/v1/playlists/${encodeURIComponent(playlist)}/recommendations?limit=10`);
    if (turn !== asking) return;
    const all = answer.recommendations;
    const best = Object.fromEntries(all.toReversed().map(({ score, source }) => [source, score]));
    fill($("found"), all.map(({ rank, track, score, source }) =>
      row(rank, track, measure(score / best[source], score.toFixed(3), el("span", `tag ${source}`, source)), adder("add", track), asker(track))));
    put($("next-say"), `${all.length} for ${title ? `the title “${title}”` : "your playlist"} in ${millis(ms)}`);
  } catch (problem) { if (turn === asking) say(problem.message); }
}
let pressed = null, looking = 0;
async function neighbours(track, from) {
  const turn = ++looking;
  if (!$("panel").open) { pressed = from; say(""); $("panel").showModal(); }
  say("");
  put($("panel-h"), `Neighbours of ${nameOf(track)}`);
  put($("panel-say"), "Counting …");
  $("beside").replaceChildren();
  $("panel-h").focus();
  try {
    const { answer, ms } = await api(`/v1/tracks/${encodeURIComponent(track.uri)}/neighbours?limit=10`);
    if (turn !== looking) return;
    const { playlists, sampled } = answer;
    put($("panel-say"), `In ${count(playlists)} playlists, ${sampled < playlists ? `counted over a sample of ${count(sampled)}` : "all counted"}, in ${millis(ms)}`
      + (answer.neighbours.length ? "" : ". It has no neighbours yet."));
    fill($("beside"), answer.neighbours.map(({ track: other, shared, similarity }, i) =>
      row(i + 1, other, measure(similarity, `${similarity.toFixed(2)} · ${count(shared)} shared`), adder("add", other), asker(other))));
  } catch (problem) {
    if (turn !== looking) return;
    put($("panel-say"), "");
    say(problem.message);
  }
}
let shown = "";
async function popular() {
  const { chart } = (await api("/v1/charts/popular?limit=20")).answer;
  if (JSON.stringify(chart) === shown) return;
  shown = JSON.stringify(chart);
  fill($("chart"), chart.map(({ rank, track, playlists }) =>
    row(rank, track, el("span", "soft", `in ${count(playlists)} playlists`), adder("seed", track), asker(track))));
}
// --- the state, every second --------------------------------------------------------------------------
const CHART_EVERY = 10; // polls
let last = null, polls = 0, loaded = false, running = false, timer = 0;
function showState(state) {
  for (const name of ["playlists", "entries", "tracks"]) put($(name), count(state[name]));
  put($("dead"), count(state.dead_letters));
  put($("version"), state.version);
  put($("digest"), String(state.digest).slice(0, 8) + "…");
  $("digest").title = state.digest;
  const age = Math.max(0, Date.now() - state.as_of.epoch) / 1000;
  put($("age"), age < 60 ? `${age.toFixed(1)} s` : `${count(Math.round(age / 60))} min`);
  $("age").title = state.as_of.at;
  const now = { sum: Object.values(state.offsets).reduce((a, b) => a + b, 0), at: performance.now() };
  if (last && now.sum >= last.sum) put($("rate"), count(Math.round((now.sum - last.sum) * 1000 / (now.at - last.at))));
  last = now;
}
async function poll() {
  clearTimeout(timer);
  if (running) return;
  running = true;
  try {
    showState((await api("/v1/state")).answer);
    if (!loaded || polls++ % CHART_EVERY === 0) await popular();
    put($("health"), "Live.");
    if (!loaded) { loaded = true; change(sync); }
  } catch (problem) {
    loaded = false;
    last = null;
    put($("rate"), "–");
    put($("health"), problem.status === 503 ? `Still loading: ${problem.message}` : `${problem.message} Trying again …`);
  }
  running = false;
  if (document.hidden) last = null; else timer = setTimeout(poll, 1000);
}
document.addEventListener("visibilitychange", () => {
  if (document.hidden) { clearTimeout(timer); last = null; } else poll();
});
$("forget").addEventListener("click", forget);
$("close").addEventListener("click", () => $("panel").close());
$("panel").addEventListener("close", () => {
  looking++;
  put($("panel-message"), "");
  (pressed?.isConnected ? pressed : $("next-h")).focus();
});
$("by-title").addEventListener("submit", event => {
  event.preventDefault();
  say("");
  asked = $("title").value.trim();
  recommend();
});
poll();
