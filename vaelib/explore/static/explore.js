// What ipywidgets' own controls lack: faces that are drawn without a flicker and can be clicked,
// chosen by their pictures and dragged, tabs that the keyboard moves through, a slider and a play
// button that screen readers name, a status line that they announce, alternative text, a place to
// drop a file of any size, and a download.
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
    grid.classList.toggle("vae-dozens", !columns && count > 0 && count % 12 === 0);
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
  const input = create("input", "vae-file");
  input.type = "file";
  input.accept = "image/*";
  box.append(input);
  createLabel(input, box).textContent = model.get("label");
  const progress = create("span", "", box);

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

  let last = "";
  model.on("msg:custom", () => (progress.textContent = last));
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

// One of a set of buttons is in the page's tab order; arrow keys move to the others.
const moveByArrows = (holder, selector, columns = () => 1) =>
  holder.addEventListener("keydown", (event) => {
    const all = [...holder.querySelectorAll(selector)];
    const here = all.indexOf(document.activeElement);
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(), ArrowUp: -columns() };
    const ends = { Home: 0, End: all.length - 1 };
    const next = event.key in ends ? ends[event.key] : here + steps[event.key];
    if (here < 0 || !all[next]) return;
    event.preventDefault();
    all.forEach((each, index) => (each.tabIndex = index === next ? 0 : -1));
    all[next].focus();
  });

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

const FACE_TYPE = "application/x-vaelib-face"; // of what is dragged: the name of a kept face

// A face to choose by its picture; a kept one may also be dropped here.
const picker = (model, el) => {
  const box = create("div", "vae-picker", el);
  const label = create("span", "", box);
  label.id = `vae-${Math.random().toString(36).slice(2)}`;
  const opener = create("button", "vae-chosen", box);
  opener.type = "button";
  opener.setAttribute("aria-haspopup", "listbox");
  const canvas = createCanvas("", opener);
  const chosen = create("span", "", opener);
  const list = create("div", "vae-options", box);
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-labelledby", label.id);
  let latest = 0;

  const open = (isOpen) => {
    list.hidden = !isOpen;
    opener.setAttribute("aria-expanded", isOpen);
    if (isOpen) list.querySelector("[aria-selected=true]")?.focus();
  };
  const choose = (name) => {
    model.set("value", name);
    model.save_changes();
    open(false);
    opener.focus();
  };
  const addOption = (name, bitmap, index) => {
    const option = create("button", "vae-option", list);
    option.type = "button";
    option.setAttribute("role", "option");
    drawFace(createCanvas("", option), bitmap, index);
    create("span", "", option).textContent = name;
    option.addEventListener("click", () => choose(name));
    return option;
  };
  const update = async () => {
    const request = ++latest;
    const bitmap = await decode(model.get("png"));
    if (request !== latest) return;
    const [names, value] = [model.get("names"), model.get("value")];
    label.textContent = model.get("label");
    chosen.textContent = value;
    opener.setAttribute("aria-label", `${model.get("label")}: ${value}`);
    drawFace(canvas, bitmap, names.indexOf(value));
    list.replaceChildren();
    names.forEach((name, index) => {
      const option = addOption(name, bitmap, index);
      option.setAttribute("aria-selected", name === value);
      option.tabIndex = name === value ? 0 : -1;
    });
  };

  opener.addEventListener("click", () => open(list.hidden));
  moveByArrows(list, "[role=option]", () =>
    Math.max(1, Math.floor(list.clientWidth / (list.firstElementChild?.offsetWidth || 1))));
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || list.hidden) return;
    open(false);
    opener.focus();
  });
  box.addEventListener("focusout", (event) => {
    if (!box.contains(event.relatedTarget)) open(false);
  });
  acceptFaces(box, choose);
  model.on("change", update);
  open(false);
  update();
};

const acceptFaces = (box, accept) => {
  for (const type of ["dragenter", "dragover", "dragleave", "drop"]) {
    box.addEventListener(type, (event) => {
      if (!event.dataTransfer.types.includes(FACE_TYPE)) return;
      event.preventDefault();
      box.classList.toggle("vae-over", type === "dragenter" || type === "dragover");
      if (type === "drop") accept(event.dataTransfer.getData(FACE_TYPE));
    });
  }
};

// The kept faces: each can be dragged to a place for one, or sent there by its menu.
const tray = (model, el) => {
  const box = create("section", "vae-tray", el);
  box.setAttribute("aria-label", "kept faces");
  const empty = create("p", "vae-hint", box);
  const list = create("div", "vae-kept", box);
  const menu = create("div", "vae-menu", box);
  menu.setAttribute("role", "group");
  const undo = createButton("Undo", box, () => model.send({ undo: true }));
  let picked = "", latest = 0;

  const pick = (name) => {
    picked = name;
    menu.hidden = !name;
    menu.setAttribute("aria-label", `what to do with ${name}`);
    [...list.children].forEach((each) => each.setAttribute("aria-pressed", each.title === name));
  };
  const remove = (name) => model.send({ remove: name });
  const addFace = (name, bitmap, index) => {
    const button = create("button", "", list);
    button.type = "button";
    button.draggable = true;
    button.title = name;
    button.setAttribute("aria-label", name);
    button.tabIndex = index ? -1 : 0;
    drawFace(createCanvas("", button), bitmap, index);
    button.addEventListener("click", () => pick(picked === name ? "" : name));
    button.addEventListener("dragstart", (event) => event.dataTransfer.setData(FACE_TYPE, name));
    button.addEventListener("keydown", (event) => {
      if (event.key === "Delete" || event.key === "Backspace") remove(name);
    });
  };
  const update = async () => {
    const request = ++latest;
    const bitmap = await decode(model.get("png"));
    if (request !== latest) return;
    const names = model.get("names");
    const hadFocus = list.contains(document.activeElement);
    empty.textContent = names.length ? "" : model.get("hint");
    undo.hidden = !model.get("can_undo");
    list.replaceChildren();
    names.forEach((name, index) => addFace(name, bitmap, index));
    if (hadFocus) (list.firstElementChild || undo).focus();
    pick(names.includes(picked) ? picked : "");
  };

  for (const target of model.get("targets")) {
    createButton(target, menu, () => model.send({ send: picked, to: target }));
  }
  createButton("Delete", menu, () => remove(picked));
  moveByArrows(list, "button");
  box.addEventListener("keydown", (event) => {
    if (event.key === "z" && (event.ctrlKey || event.metaKey)) model.send({ undo: true });
    if (event.key === "Escape") pick("");
  });
  model.on("change", update);
  update();
};

const kinds = {
  StatusLine: status,
  FaceGrid: faces,
  Picture: picture,
  Slider: slider,
  FileDrop: drop,
  SaveButton: save,
  Tabs: tabs,
  FacePicker: picker,
  Tray: tray,
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
