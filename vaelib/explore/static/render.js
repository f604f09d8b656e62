// The control of each class of ../widgets.py and ../face_widgets.py.

const kinds = {
  StatusLine: status,
  FaceGrid: faces,
  PhotoFrame: photoFrame,
  Slider: slider,
  FileDrop: drop,
  SaveButton: save,
  Tabs: tabs,
  FacePicker: picker,
  Tray: tray,
  ShareLink: link,
  PointMap: map,
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
