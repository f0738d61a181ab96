"use strict";
(() => {
  const root = document.documentElement;
  const get = (id) => document.getElementById(id);
  const audio = get("audio"), strip = get("strip"), note = get("note");
  const heads = document.querySelectorAll(".head");
  const duration = Number(root.dataset.duration) || 1;
  const STEP = 5; // seconds that an arrow key moves
  let words = [], word = null, turn = null, at = 0;

  const clock = (time) => {
    const whole = Math.floor(time), two = (n) => String(n).padStart(2, "0");
    const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
    return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  };

  // ---- where we are

  const collect = () => {
    const corrected = get("corrected");
    const hidden = corrected && corrected.checked ? ".was" : ".now";
    words = [...document.querySelectorAll("p [data-t]")].filter((element) => !element.closest(hidden));
    rove(words[0]);
  };

  // The last word that has begun: words are in order of their times.
  const spoken = (time) => {
    let low = 0, high = words.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (Number(words[middle].dataset.t) <= time + 0.01) low = middle + 1; else high = middle;
    }
    return words[low - 1] || null;
  };

  const onScreen = (element) => {
    const box = element.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight - 130;
  };

  const show = (time) => {
    at = time;
    root.classList.toggle("started", time > 0);
    for (const head of heads) head.style.left = `${Math.min(100, (100 * time) / duration)}%`;
    get("clock").textContent = clock(time);
    strip.setAttribute("aria-valuenow", time.toFixed(0));
    strip.setAttribute("aria-valuetext", clock(time));
    const next = spoken(time);
    if (next !== word) enter(next);
  };

  const enter = (next) => {
    const follow = !audio.paused && next && (!word || onScreen(word)) && !onScreen(next);
    if (word) word.classList.remove("on");
    if (next) next.classList.add("on");
    if (follow) next.scrollIntoView({ block: "center" });
    word = next;
    const now = next && next.closest(".turn");
    if (now === turn) return;
    turn = now;
    get("speaking").textContent = turn ? turn.querySelector("h3").textContent : "";
    get("speaking").className = turn ? turn.className.replace("turn", "speaking") : "speaking";
  };

  // ---- playing

  const listenable = () => Boolean(audio.currentSrc || audio.src) && !audio.error;

  const seek = (time) => {
    const to = Math.max(0, Math.min(duration, time));
    if (listenable()) audio.currentTime = to;
    show(to);
  };

  const playFrom = (time) => {
    seek(time);
    if (listenable()) audio.play().catch(offer);
  };

  const toggle = () => { if (audio.paused) audio.play().catch(offer); else audio.pause(); };

  // The recording is not where the page says: let the reader point at it.
  const offer = () => {
    get("play").hidden = !listenable();
    get("choose").hidden = listenable();
  };

  const run = () => {
    show(audio.currentTime);
    if (!audio.paused) requestAnimationFrame(run);
  };

  const playing = () => {
    root.classList.toggle("playing", !audio.paused);
    get("play").setAttribute("aria-label", audio.paused ? "Play" : "Pause");
    if (!audio.paused) run();
  };

  audio.addEventListener("play", playing);
  audio.addEventListener("pause", playing);
  audio.addEventListener("seeked", () => { if (audio.paused) show(audio.currentTime); });
  audio.addEventListener("error", offer);
  get("play").addEventListener("click", toggle);
  get("file").addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (!file) return;
    audio.src = URL.createObjectURL(file);
    audio.addEventListener("loadedmetadata", () => { offer(); seek(at); }, { once: true });
  });

  // ---- pointing

  const timeAt = (element, event) => {
    const box = element.getBoundingClientRect();
    return ((event.clientX - box.left) / box.width) * duration;
  };

  document.addEventListener("click", (event) => {
    const lane = event.target.closest(".lane, .strip");
    if (lane) return playFrom(timeAt(lane, event));
    const timed = event.target.closest("[data-t]");
    if (!timed || !getSelection().isCollapsed) return;
    if (timed.matches("p [data-t]")) rove(timed);
    playFrom(Number(timed.dataset.t));
  });

  strip.addEventListener("pointermove", (event) => {
    if (event.buttons & 1) seek(timeAt(strip, event));
  });

  // ---- the keyboard: one word takes the focus at a time, arrows move it

  function rove(next) {
    const before = document.querySelector('p [data-t][tabindex="0"]');
    if (before) before.removeAttribute("tabindex");
    if (next) next.tabIndex = 0;
  }

  const step = (from, by) => {
    const next = words[words.indexOf(from) + by];
    if (!next) return;
    rove(next);
    next.focus();
  };

  const onStrip = (key) => ({ ArrowLeft: at - STEP, ArrowDown: at - STEP, ArrowRight: at + STEP, ArrowUp: at + STEP, Home: 0, End: duration })[key];

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const focused = document.activeElement;
    const inText = focused.matches("p [data-t]");
    if (event.key === "Escape") note.hidden = true;
    else if (inText && event.key === "ArrowRight") step(focused, 1);
    else if (inText && event.key === "ArrowLeft") step(focused, -1);
    else if (inText && (event.key === "Enter" || event.key === " ")) playFrom(Number(focused.dataset.t));
    else if (focused === strip && onStrip(event.key) !== undefined) seek(onStrip(event.key));
    else if (event.key === " " && (focused === document.body || focused === strip) && listenable()) toggle();
    else return;
    event.preventDefault();
  });

  // ---- what a mark means, beside it

  const explain = (event) => {
    const marked = event.target.closest && event.target.closest("[data-note]");
    note.hidden = !marked;
    if (!marked) return;
    note.textContent = marked.dataset.note;
    const box = marked.getClientRects()[0], size = note.getBoundingClientRect();
    const above = box.bottom + size.height + 12 > innerHeight - 110;
    note.style.left = `${Math.max(12, Math.min(box.left, innerWidth - size.width - 12))}px`;
    note.style.top = `${above ? box.top - size.height - 6 : box.bottom + 6}px`;
  };

  document.addEventListener("pointerover", explain);
  document.addEventListener("focusin", explain);
  document.addEventListener("scroll", () => { note.hidden = true; }, { passive: true });

  for (const input of document.querySelectorAll('input[name="reading"]')) {
    input.addEventListener("change", () => { collect(); word = null; document.querySelectorAll(".on").forEach((e) => e.classList.remove("on")); show(at); });
  }

  collect();
  offer();
  root.dataset.ready = String(words.length);
})();
