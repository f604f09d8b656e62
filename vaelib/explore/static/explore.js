// What ipywidgets' own controls lack: faces that are drawn without a flicker and can be clicked, a
// slider and a play button that screen readers name, a status line that they announce, alternative
// text, a place to drop a file of any size, and a download.
// Everything comes from the kernel; nothing is fetched from anywhere.

const WIDTH = 48, HEIGHT = 64; // pixels of a face

const create = (tag, className, parent) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (parent) parent.append(element);
  return element;
};

const createButton = (text, parent, onClick) => {
  const button = create("button", "vae-button", parent);
  button.type = "button";
  button.textContent = text;
  button.addEventListener("click", onClick);
  return button;
};

const createCanvas = (className, parent) => {
  const canvas = create("canvas", className, parent);
  [canvas.width, canvas.height] = [WIDTH, HEIGHT];
  return canvas;
};

const createLabel = (input, parent) => {
  const label = create("label", "", parent);
  label.htmlFor = input.id = `vae-${Math.random().toString(36).slice(2)}`;
  return label;
};

const decode = (png) =>
  png && png.byteLength ? createImageBitmap(new Blob([png], { type: "image/png" })) : null;

// The face at this index of a row of faces.
const drawFace = (canvas, bitmap, index) => {
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, WIDTH, HEIGHT);
  if (bitmap) pen.drawImage(bitmap, WIDTH * index, 0, WIDTH, HEIGHT, 0, 0, WIDTH, HEIGHT);
};

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

const faces = (model, el) => {
  const grid = create("div", "", create("div", "vae-faces", el));
  grid.setAttribute("role", "group");
  grid.setAttribute("aria-label", model.get("alt"));
  const action = model.get("click_action");
  let cells = [], layout = "", latest = 0;

  const addCell = (index) => {
    const figure = create("figure", "vae-face", grid);
    const holder = action ? create("button", "", figure) : figure;
    const canvas = createCanvas("", holder);
    const caption = create("figcaption", "", figure);
    if (action) {
      holder.type = "button";
      holder.addEventListener("click", () => model.send({ clicked: index }));
    } else {
      canvas.setAttribute("role", "img");
    }
    return { canvas, caption, named: action ? holder : canvas };
  };

  const rebuild = (rows, count) => {
    const columns = rows.length ? count / rows.length : 0;
    grid.className = columns ? "vae-table" : "vae-wrap";
    grid.style.setProperty("--columns", columns);
    grid.style.setProperty("--width", `${model.get("width")}px`);
    grid.replaceChildren();
    cells = [];
    for (let index = 0; index < count; index++) {
      if (columns && index % columns === 0) {
        create("div", "vae-row", grid).textContent = rows[index / columns];
      }
      cells.push(addCell(index));
    }
  };

  const update = async () => {
    const request = ++latest;
    const bitmap = await decode(model.get("png"));
    if (request !== latest) return; // a newer picture has arrived meanwhile
    const [rows, labels] = [model.get("rows"), model.get("labels")];
    const count = bitmap ? bitmap.width / WIDTH : 0;
    if (layout !== JSON.stringify([rows, count])) {
      layout = JSON.stringify([rows, count]);
      rebuild(rows, count);
    }
    cells.forEach(({ canvas, caption, named }, index) => {
      const row = rows.length ? `${rows[Math.floor((index * rows.length) / count)]} ` : "";
      const name = labels[index] || `${row}face ${index + 1}`;
      caption.textContent = labels[index] || "";
      named.setAttribute("aria-label", `${action || `${model.get("alt")},`} ${name}`);
      if (action) named.title = `${action} ${name}`;
      drawFace(canvas, bitmap, index);
    });
  };

  model.on("change", update); // once for all traits of a message
  update();
};

const picture = (model, el) => {
  const image = create("img", "vae-picture", el);
  const update = () => {
    const content = model.get("content");
    URL.revokeObjectURL(image.src);
    image.hidden = !content.byteLength;
    image.alt = model.get("alt");
    if (content.byteLength) image.src = URL.createObjectURL(new Blob([content]));
  };
  model.on("change", update);
  update();
  return () => URL.revokeObjectURL(image.src);
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
  const input = create("input");
  input.type = "file";
  input.accept = "image/*";
  createLabel(input, box).textContent = model.get("label");
  box.append(input);
  const progress = create("span", "", box);

  const send = async (file) => {
    if (!file) return;
    if (file.size > model.get("max_bytes")) return model.send({ refused: file.size });
    progress.textContent = "Reading ...";
    const content = await file.arrayBuffer();
    const pieces = Math.max(1, Math.ceil(content.byteLength / PIECE));
    for (let piece = 0; piece < pieces; piece++) {
      const part = content.slice(piece * PIECE, (piece + 1) * PIECE);
      model.send({ piece, pieces }, undefined, [part]);
    }
  };

  model.on("msg:custom", () => (progress.textContent = ""));
  input.addEventListener("change", () => send(input.files[0]).then(() => (input.value = "")));
  for (const type of ["dragenter", "dragover", "dragleave", "drop"]) {
    box.addEventListener(type, (event) => {
      event.preventDefault();
      event.stopPropagation();
      box.classList.toggle("vae-over", type === "dragenter" || type === "dragover");
      if (type === "drop") send(event.dataTransfer.files[0]);
    });
  }
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

const kinds = {
  StatusLine: status,
  FaceGrid: faces,
  Picture: picture,
  Slider: slider,
  FileDrop: drop,
  SaveButton: save,
};

export default {
  render({ model, el }) {
    el.classList.add("vae");
    // JupyterLab would take arrow keys for its cells, and "d" twice for the end of one.
    el.dataset.lmSuppressShortcuts = "true";
    el.addEventListener("keydown", (event) => event.stopPropagation());
    return kinds[model.get("kind")](model, el);
  },
};
