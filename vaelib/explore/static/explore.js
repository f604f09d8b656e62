// The controls that ipywidgets lacks: faces that are drawn without a flicker and can be clicked,
// a slider whose name a screen reader tells, a line that is announced, a place to drop a photo,
// and a download.
// Everything comes from the kernel; nothing is fetched from anywhere.

const make = (kind, name, parent) => {
  const made = document.createElement(kind);
  if (name) made.className = name;
  if (parent) parent.append(made);
  return made;
};

const unique = () => `vae-${Math.random().toString(36).slice(2)}`;

const words = (model, el) => {
  const line = make("p", "vae-words", el);
  line.setAttribute("role", "status");
  const say = () => {
    line.textContent = model.get("words");
    line.classList.toggle("vae-error", model.get("wrong"));
  };
  model.on("change:words change:wrong", say);
  say();
};

const picture = (bytes) => createImageBitmap(new Blob([bytes], { type: "image/png" }));

const faces = (model, el) => {
  const box = make("div", "vae-faces", el);
  const grid = make("div", "", box);
  grid.setAttribute("role", "group");
  let cells = [], laid = "", asked = 0;

  const cell = (index) => {
    const figure = make("figure", "vae-face", grid);
    const verb = model.get("verb");
    const holder = verb ? make("button", "", figure) : figure;
    const canvas = make("canvas", "", holder);
    [canvas.width, canvas.height] = [48, 64];
    const caption = make("figcaption", "", figure);
    if (verb) {
      holder.type = "button";
      holder.addEventListener("click", () => model.send({ clicked: index }));
    } else {
      canvas.setAttribute("role", "img");
    }
    return { canvas, caption, named: verb ? holder : canvas, figure };
  };

  // Columns of the rows' names and of their faces; a small page has the names above the rows.
  const fit = () => {
    const across = model.get("rows").length ? cells.length / model.get("rows").length : 0;
    const columns = `repeat(${across}, minmax(0, ${model.get("width")}px))`;
    const narrow = box.clientWidth > 0 && box.clientWidth <= 560;
    grid.style.gridTemplateColumns = across ? (narrow ? columns : `auto ${columns}`) : "";
  };

  const lay = () => {
    const [rows, count, width] = [model.get("rows"), model.get("count"), model.get("width")];
    const told = JSON.stringify([rows, count, width, model.get("verb")]);
    if (told === laid) return;
    laid = told;
    grid.replaceChildren();
    grid.className = rows.length ? "vae-table" : "vae-wrap";
    const across = rows.length ? count / rows.length : 0;
    cells = [];
    for (let index = 0; index < count; index++) {
      if (across && index % across === 0) {
        make("div", "vae-row", grid).textContent = rows[index / across];
      }
      const made = cell(index);
      if (!across) made.figure.style.width = `min(${width}px, 100%)`;
      cells.push(made);
    }
    fit();
  };

  const name = () => {
    const [rows, labels, verb] = [model.get("rows"), model.get("labels"), model.get("verb")];
    grid.setAttribute("aria-label", model.get("alt"));
    cells.forEach(({ caption, named }, index) => {
      const row = rows.length ? `${rows[Math.floor((index * rows.length) / cells.length)]} ` : "";
      const label = labels[index] || `${row}face ${index + 1}`;
      caption.textContent = labels[index] || "";
      named.setAttribute("aria-label", verb ? `${verb} ${label}` : `${model.get("alt")}, ${label}`);
      if (verb) named.title = `${verb} ${label}`;
    });
  };

  const draw = async () => {
    const turn = ++asked;
    const bytes = model.get("sheet");
    const sheet = bytes && bytes.byteLength ? await picture(bytes) : null;
    if (turn !== asked) return; // a newer one was asked for meanwhile
    lay();
    name();
    cells.forEach(({ canvas }, index) => {
      const pen = canvas.getContext("2d");
      pen.clearRect(0, 0, 48, 64);
      if (sheet) pen.drawImage(sheet, 48 * index, 0, 48, 64, 0, 0, 48, 64);
    });
    box.dataset.drawn = String(turn);
  };

  // One message brings all that belongs together, and each of its traits is told of by itself.
  let waiting = false;
  const soon = () => {
    if (waiting) return;
    waiting = true;
    queueMicrotask(() => { waiting = false; draw(); });
  };
  model.on("change:sheet change:count change:rows change:labels change:verb", soon);
  const watch = new ResizeObserver(fit);
  watch.observe(box);
  draw();
  return () => watch.disconnect();
};

const photo = (model, el) => {
  const box = make("div", "vae-photo", el);
  const image = make("img", "", box);
  let url = "";
  const draw = () => {
    const bytes = model.get("sheet");
    const old = url;
    url = bytes && bytes.byteLength ? URL.createObjectURL(new Blob([bytes])) : "";
    image.hidden = !url;
    image.alt = model.get("alt");
    if (url) image.src = url;
    if (old) URL.revokeObjectURL(old);
  };
  model.on("change:sheet", draw);
  draw();
  return () => url && URL.revokeObjectURL(url);
};

const range = (model, el) => {
  const box = make("div", "vae-range", el);
  const low = make("canvas", "vae-end", box);
  const middle = make("div", "vae-middle", box);
  const high = make("canvas", "vae-end", box);
  const label = make("label", "", middle);
  const told = make("output", "", middle);
  const input = make("input", "", middle);
  input.type = "range";
  label.htmlFor = input.id = unique();
  const show = () => {
    label.textContent = model.get("label");
    for (const side of ["min", "max", "step"]) input[side] = model.get(side);
    input.value = model.get("value");
    const text = Number(model.get("value")).toFixed(model.get("digits"));
    told.textContent = text;
    input.setAttribute("aria-valuetext", text);
  };
  const ends = async () => {
    const bytes = model.get("ends");
    low.hidden = high.hidden = !(bytes && bytes.byteLength);
    if (low.hidden) return;
    const sheet = await picture(bytes);
    [low, high].forEach((canvas, side) => {
      [canvas.width, canvas.height] = [48, 64];
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `${model.get("label")}, ${side ? "highest" : "lowest"}`);
      canvas.getContext("2d").drawImage(sheet, 48 * side, 0, 48, 64, 0, 0, 48, 64);
    });
  };
  const move = (value) => {
    model.set("value", value);
    model.save_changes();
  };
  input.addEventListener("input", () => move(Number(input.value)));
  model.on("change", show);
  model.on("change:ends", ends);
  show();
  ends();
  return model.get("play") ? player(model, middle, move) : undefined;
};

const player = (model, box, move) => {
  const button = make("button", "vae-push", box);
  let timer = 0, way = 1;
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    button.textContent = "Play";
  };
  const step = () => {
    const [low, high] = [model.get("min"), model.get("max")];
    if (model.get("value") >= high) way = -1;
    if (model.get("value") <= low) way = 1;
    move(Math.min(high, Math.max(low, model.get("value") + (way * (high - low)) / 40)));
  };
  button.type = "button";
  button.addEventListener("click", () => {
    if (timer) return stop();
    button.textContent = "Pause";
    timer = setInterval(step, 100);
  });
  stop();
  return stop;
};

const PIECE = 1 << 20; // a server may refuse messages of more than 10 MB

const drop = (model, el) => {
  const box = make("div", "vae-drop", el);
  const label = make("label", "", box);
  const input = make("input", "", box);
  label.textContent = model.get("label");
  input.type = "file";
  input.accept = "image/*";
  input.id = label.htmlFor = unique();
  const line = make("span", "", box);
  const take = async (file) => {
    if (!file) return;
    if (file.size > model.get("most")) return model.send({ refused: file.size });
    line.textContent = "Reading ...";
    const content = await file.arrayBuffer();
    const pieces = Math.max(1, Math.ceil(content.byteLength / PIECE));
    for (let piece = 0; piece < pieces; piece++) {
      const part = content.slice(piece * PIECE, (piece + 1) * PIECE);
      model.send({ piece, pieces }, undefined, [part]);
    }
  };
  model.on("msg:custom", () => (line.textContent = ""));
  input.addEventListener("change", () => take(input.files[0]).then(() => (input.value = "")));
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    box.addEventListener(kind, (event) => {
      event.preventDefault();
      event.stopPropagation();
      box.classList.toggle("vae-over", kind === "dragenter" || kind === "dragover");
      if (kind === "drop") take(event.dataTransfer.files[0]);
    });
  }
};

const save = (model, el) => {
  const button = make("button", "vae-push", el);
  button.type = "button";
  button.textContent = model.get("label");
  button.addEventListener("click", () => model.send({ wanted: true }));
  const give = (told, buffers) => {
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([buffers[0]], { type: told.type }));
    link.download = told.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  model.on("msg:custom", give);
  return () => model.off("msg:custom", give);
};

const kinds = { words, faces, photo, range, drop, save };

export default {
  render({ model, el }) {
    el.classList.add("vae");
    // JupyterLab would take arrow keys for its cells, and "d" twice for the end of one.
    el.dataset.lmSuppressShortcuts = "true";
    el.addEventListener("keydown", (event) => event.stopPropagation());
    return kinds[model.get("kind")](model, el);
  },
};
