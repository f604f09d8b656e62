// What the controls are made of. The files beside this one are read as if they were one: see
// Control in ../widgets.py. Everything comes from the kernel; nothing is fetched from anywhere.

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

// Calls `take` with what is dropped on a box, where that is wanted there.
const acceptDrops = (box, isWanted, take) => {
  for (const type of ["dragenter", "dragover", "dragleave", "drop"]) {
    box.addEventListener(type, (event) => {
      if (!isWanted(event.dataTransfer)) return;
      event.preventDefault();
      event.stopPropagation();
      box.classList.toggle("vae-over", type === "dragenter" || type === "dragover");
      if (type === "drop") take(event.dataTransfer);
    });
  }
};
