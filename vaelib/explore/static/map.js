const DRAG = 6; // pixels of a pointer's way that make it a line

// Points in a plane. The pointer's place is sent as it moves; a click keeps it, a drag is a line.
const map = (model, el) => {
  const box = create("div", "vae-map", el);
  const canvas = create("canvas", "", box);
  const legend = create("div", "vae-legend", box);
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", model.get("alt"));
  let start = null, mark = null, waiting = false;

  const scale = () => canvas.width / 2 / model.get("reach");
  const toPixels = ([x, y]) => [canvas.width / 2 + x * scale(), canvas.height / 2 - y * scale()];
  const toPlace = (event) => {
    const bounds = canvas.getBoundingClientRect();
    const across = (event.clientX - bounds.left) / bounds.width - 0.5;
    const down = (event.clientY - bounds.top) / bounds.height - 0.5;
    return [2 * model.get("reach") * across, -2 * model.get("reach") * down];
  };
  const send = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };

  const draw = () => {
    waiting = false;
    const side = Math.round(canvas.clientWidth * window.devicePixelRatio) || 480;
    if (canvas.width !== side) canvas.width = canvas.height = side;
    const pen = canvas.getContext("2d");
    const ink = getComputedStyle(el).color;
    pen.clearRect(0, 0, side, side);
    const bytes = model.get("points"), colours = model.get("colours");
    const palette = model.get("palette"), dot = side / 160;
    pen.globalAlpha = 0.75;
    for (let index = 0; index < colours.byteLength; index++) {
      const at = [bytes.getFloat32(8 * index, true), bytes.getFloat32(8 * index + 4, true)];
      pen.fillStyle = palette[colours.getUint8(index)] || ink;
      pen.beginPath();
      pen.arc(...toPixels(at), dot, 0, 2 * Math.PI);
      pen.fill();
    }
    pen.globalAlpha = 1;
    pen.strokeStyle = ink;
    pen.lineWidth = side / 400;
    pen.setLineDash([side / 80, side / 120]);
    for (const deviations of [1, 2]) {
      pen.beginPath();
      pen.arc(...toPixels(model.get("centre")), deviations * scale(), 0, 2 * Math.PI);
      pen.stroke();
    }
    pen.setLineDash([]);
    const line = start && start.moved ? [...start.place, ...model.get("place")] : model.get("line");
    if (line.length === 4) {
      pen.lineWidth = side / 160;
      pen.beginPath();
      pen.moveTo(...toPixels(line.slice(0, 2)));
      pen.lineTo(...toPixels(line.slice(2)));
      pen.stroke();
    }
    const [x, y] = toPixels(model.get("place")), arm = side / 40;
    pen.lineWidth = side / 240;
    for (const [dx, dy] of [[arm, 0], [0, arm]]) {
      pen.beginPath();
      pen.moveTo(x - dx, y - dy);
      pen.lineTo(x + dx, y + dy);
      pen.stroke();
    }
  };
  const redraw = () => {
    if (!waiting) requestAnimationFrame(draw);
    waiting = true;
  };
  const update = () => {
    legend.replaceChildren();
    model.get("palette").forEach((colour, index) => {
      const entry = create("span", "", legend);
      create("i", "", entry).style.background = colour;
      entry.append(model.get("legend")[index] || "");
    });
    redraw();
  };

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    start = { place: toPlace(event), x: event.clientX, y: event.clientY, moved: false };
    send("place", start.place);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (start && Math.hypot(event.clientX - start.x, event.clientY - start.y) > DRAG) {
      start.moved = true;
    }
    send("place", toPlace(event));
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!start) return;
    if (start.moved) send("line", [...start.place, ...toPlace(event)]);
    else model.send({ keep: true });
    start = null;
  });
  canvas.addEventListener("keydown", (event) => {
    const step = model.get("reach") / 40;
    const steps = { ArrowRight: [step, 0], ArrowLeft: [-step, 0], ArrowUp: [0, step],
      ArrowDown: [0, -step] };
    const place = model.get("place");
    if (steps[event.key]) send("place", place.map((at, axis) => at + steps[event.key][axis]));
    else if (event.key === "Enter") model.send({ keep: true });
    else if (event.key === "l" && mark) send("line", [...mark, ...place]);
    else if (event.key !== "l") return;
    if (event.key === "l") mark = mark ? null : place;
    event.preventDefault();
  });
  model.on("change", update);
  const watch = new ResizeObserver(redraw);
  watch.observe(canvas);
  update();
  return () => watch.disconnect();
};
