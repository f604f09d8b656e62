// What ipywidgets' own controls lack: tabs that the keyboard moves through, a slider and a play
// button that screen readers name, a status line that they announce, a place to drop a file of any
// size, a download, and a link to what is chosen.

const status = (model, el) => {
  const line = create("p", "vae-status", el);
  line.setAttribute("role", "status");
  const update = () => {
    line.textContent = model.get("text");
    line.classList.toggle("vae-error", model.get("is_error"));
  };
  model.on("change", update);
  update();
};

const slider = (model, el) => {
  const box = create("div", "vae-slider", el);
  const ends = [createCanvas("vae-end", box)];
  const middle = create("div", "vae-middle", box);
  ends.push(createCanvas("vae-end", box));
  const input = create("input");
  input.type = "range";
  const label = createLabel(input, middle);
  const readout = create("output", "", middle);
  middle.append(input);

  const update = () => {
    label.textContent = model.get("label");
    for (const name of ["min", "max", "step", "value"]) input[name] = model.get(name);
    readout.textContent = `${model.get("value").toFixed(2)} ${model.get("unit")}`.trim();
    input.setAttribute("aria-valuetext", readout.textContent);
  };
  const updateEnds = async () => {
    const bitmap = await decode(model.get("ends"));
    ends.forEach((canvas, index) => {
      canvas.hidden = !bitmap;
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `${model.get("label")}, ${["lowest", "highest"][index]}`);
      drawFace(canvas, bitmap, index);
    });
  };
  const move = (value) => {
    model.set("value", value);
    model.save_changes();
  };

  input.addEventListener("input", () => move(Number(input.value)));
  model.on("change", update);
  model.on("change:ends", updateEnds);
  update();
  updateEnds();
  return model.get("play") ? addPlayButton(model, middle, move) : undefined;
};

// Moves the slider there and back. Returns what stops it.
const addPlayButton = (model, parent, move) => {
  let timer = 0, direction = 1;
  const step = () => {
    const [low, high, value] = [model.get("min"), model.get("max"), model.get("value")];
    if (value >= high) direction = -1;
    if (value <= low) direction = 1;
    move(Math.min(high, Math.max(low, value + (direction * (high - low)) / 40)));
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    button.textContent = "Play";
  };
  const button = createButton("Play", parent, () => {
    if (timer) return stop();
    button.textContent = "Pause";
    timer = setInterval(step, 100);
  });
  return stop;
};

const PIECE = 1 << 20; // bytes; a server refuses messages of more than 10 MB

const drop = (model, el) => {
  const box = create("div", "vae-drop", el);
  const input = create("input", "vae-file");
  input.type = "file";
  input.accept = "image/*";
  box.append(input);
  createLabel(input, box).textContent = model.get("label");
  const progress = create("span", "", box);
  let last = "";

  const send = async (file) => {
    if (!file) return;
    if (file.size > model.get("max_bytes")) return model.send({ refused: file.size });
    progress.textContent = `Reading ${file.name} ...`;
    last = file.name;
    const content = await file.arrayBuffer();
    const pieces = Math.max(1, Math.ceil(content.byteLength / PIECE));
    for (let piece = 0; piece < pieces; piece++) {
      const part = content.slice(piece * PIECE, (piece + 1) * PIECE);
      model.send({ piece, pieces }, undefined, [part]);
    }
  };

  model.on("msg:custom", () => (progress.textContent = last));
  input.addEventListener("change", () => send(input.files[0]).then(() => (input.value = "")));
  acceptDrops(box, () => true, (dropped) => send(dropped.files[0]));
};

const save = (model, el) => {
  createButton(model.get("label"), el, () => model.send({ clicked: true }));
  const download = (file, buffers) => {
    const link = create("a");
    link.href = URL.createObjectURL(new Blob([buffers[0]], { type: file.type }));
    link.download = file.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  model.on("msg:custom", download);
  return () => model.off("msg:custom", download);
};

const tabs = (model, el) => {
  const list = create("div", "vae-tabs", el);
  list.setAttribute("role", "tablist");
  list.setAttribute("aria-label", model.get("label"));
  const update = () => {
    const selected = model.get("selected");
    [...list.children].forEach((tab, index) => {
      tab.setAttribute("aria-selected", index === selected);
      tab.tabIndex = index === selected ? 0 : -1;
    });
  };
  model.get("names").forEach((name, index) => {
    const tab = createButton(name, list, () => {
      model.set("selected", index);
      model.save_changes();
    });
    tab.setAttribute("role", "tab");
  });
  moveByArrows(list, "[role=tab]");
  model.on("change:selected", update);
  update();
};

// What is chosen, in the address of the page, and kept by the browser until its tab is closed. In
// JupyterLab, whose address is its own, a link is copied and pasted without one.
const link = (model, el) => {
  const box = create("div", "vae-link", el);
  const here = window.location;
  const hasAddress = document.body.dataset.voila === "voila";
  const memory = `vaelib ${here.pathname}`;
  const address = () => (hasAddress ? `${here.origin}${here.pathname}#` : "#") + model.get("state");
  const done = create("span", "", box);
  done.setAttribute("role", "status");

  createButton("Copy a link to this", box, async () => {
    field.value = address();
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      done.textContent = "Copied. It has no photo in it, nor the token of this page.";
    } catch {
      done.textContent = "Copy it from here.";
    }
  });
  const field = create("input");
  createLabel(field, box).textContent = "or open one:";
  field.placeholder = "paste a link, then Enter";
  box.append(field, done);
  const open = (text) => model.send({ restore: text.slice(text.indexOf("#") + 1).trim() });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && field.value) open(field.value);
  });

  model.on("change:state", () => {
    try {
      sessionStorage.setItem(memory, model.get("state"));
    } catch {} // private windows may have none
    if (hasAddress) history.replaceState(null, "", `#${model.get("state")}`);
  });
  if (!hasAddress) return;
  const before = here.hash.slice(1) || sessionStorage.getItem(memory);
  if (before) open(before);
};
