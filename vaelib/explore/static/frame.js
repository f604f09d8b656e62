const SHOWN_HEIGHT = 320, SHARPNESS = 2; // of a photo on the page; its pixels for each of the page
const LIGHT_OUTSIDE = 0.5; // of the frame

// A photo with the frame over it. Dragging and arrow keys move the frame; the wheel, two fingers,
// plus and minus change its size. Where it is belongs to the model: zoom, and shares of the room
// that the frame leaves, as in Frame of ../photo.py.
const photoFrame = (model, el) => {
  const canvas = create("canvas", "vae-photo", el);
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", model.get("alt"));
  const pointers = new Map(); // the places of fingers, or of the mouse while its button is down
  let photo = null, latest = 0;

  const sizes = (zoom) => {
    const width = Math.min(canvas.width, canvas.height * model.get("aspect")) / zoom;
    return [width, width / model.get("aspect")];
  };
  const box = () => {
    const [width, height] = sizes(model.get("zoom"));
    const left = model.get("across") * (canvas.width - width);
    return { left, top: model.get("down") * (canvas.height - height), width, height };
  };
  // The frame whose width is 1/zoom of the largest, with this point of it over a point of the photo.
  const place = (zoom, [x, y], [shareAcross, shareDown]) => {
    zoom = Math.min(Math.max(zoom, 1), model.get("max_zoom"));
    const [width, height] = sizes(zoom);
    const share = (start, room) => (room < 1 ? 0.5 : Math.min(Math.max(start / room, 0), 1));
    model.set("zoom", zoom);
    model.set("across", share(x - shareAcross * width, canvas.width - width));
    model.set("down", share(y - shareDown * height, canvas.height - height));
    model.save_changes();
  };
  const within = ([x, y]) => {
    const { left, top, width, height } = box();
    return [(x - left) / width, (y - top) / height];
  };
  const resize = (factor, point) => place(model.get("zoom") * factor, point, within(point));
  const move = (dx, dy) => {
    const { left, top } = box();
    place(model.get("zoom"), [left + dx, top + dy], [0, 0]);
  };
  const toPhoto = (event) => {
    const bounds = canvas.getBoundingClientRect();
    const scale = canvas.width / bounds.width;
    return [(event.clientX - bounds.left) * scale, (event.clientY - bounds.top) * scale];
  };

  const draw = () => {
    if (!photo) return;
    const [zoom, across, down] = ["zoom", "across", "down"].map((name) => model.get(name).toFixed(2));
    canvas.setAttribute("aria-description", `zoom ${zoom}, to the right ${across}, down ${down}`);
    const pen = canvas.getContext("2d");
    const { left, top, width, height } = box();
    const cross = ([across, down]) => [left + across * width, top + down * height];
    const line = ([x, y], [toX, toY]) => {
      pen.moveTo(x, y);
      pen.lineTo(toX, toY);
    };
    pen.drawImage(photo, 0, 0, canvas.width, canvas.height);
    pen.fillStyle = `rgb(0 0 0 / ${1 - LIGHT_OUTSIDE})`;
    pen.beginPath();
    pen.rect(0, 0, canvas.width, canvas.height);
    pen.rect(left, top, width, height);
    pen.fill("evenodd");
    pen.strokeStyle = "white";
    pen.lineWidth = 3;
    pen.strokeRect(left, top, width, height);
    pen.lineWidth = 2;
    pen.beginPath();
    const arm = width / 24;
    for (const [x, y] of model.get("eyes").map(cross)) {
      line([x - arm, y], [x + arm, y]);
      line([x, y - arm], [x, y + arm]);
    }
    line(...model.get("mouth").map(cross));
    pen.stroke();
  };
  const load = async () => {
    const request = ++latest;
    const content = model.get("content");
    const bitmap = content.byteLength ? await createImageBitmap(new Blob([content])) : null;
    if (request !== latest) return;
    photo = bitmap;
    canvas.hidden = !photo;
    if (!photo) return;
    const width = (SHOWN_HEIGHT * photo.width) / photo.height;
    [canvas.width, canvas.height] = [SHARPNESS * width, SHARPNESS * SHOWN_HEIGHT];
    el.style.width = `min(100%, ${width}px)`;
    draw();
  };

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    const point = toPhoto(event);
    const isInside = within(point).every((share) => share >= 0 && share <= 1);
    if (!pointers.size && !isInside) place(model.get("zoom"), point, [0.5, 0.5]);
    pointers.set(event.pointerId, point);
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = toPhoto(event);
    pointers.set(event.pointerId, now);
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    const distance = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]);
    if (other) resize(distance(now) / Math.max(distance(before), 1), other);
    else move(now[0] - before[0], now[1] - before[1]);
  });
  for (const type of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(type, (event) => pointers.delete(event.pointerId));
  }
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    resize(Math.exp(-event.deltaY / 500), toPhoto(event));
  });
  canvas.addEventListener("keydown", (event) => {
    const { left, top, width, height } = box();
    const step = width / 24;
    const steps = { ArrowRight: [step, 0], ArrowLeft: [-step, 0], ArrowUp: [0, -step],
      ArrowDown: [0, step] };
    const factor = { "+": 1.05, "=": 1.05, "-": 1 / 1.05 }[event.key];
    if (steps[event.key]) move(...steps[event.key]);
    else if (factor) resize(factor, [left + width / 2, top + height / 2]);
    else return;
    event.preventDefault();
  });
  model.on("change", draw);
  model.on("change:content", load);
  load();
};
