// Faces that are drawn without a flicker and can be clicked, chosen by their pictures and dragged.

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
  acceptDrops(
    box,
    (dragged) => dragged.types.includes(FACE_TYPE),
    (dropped) => choose(dropped.getData(FACE_TYPE)),
  );
  model.on("change", update);
  open(false);
  update();
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
