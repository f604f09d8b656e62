"""The panel that moves a face along an attribute, with the classifier's opinion of the result."""

import torch
from torch import Tensor

from vaelib import latent
from vaelib.data import to_uint8
from vaelib.evaluation.attributes import classifier_for, is_trained
from vaelib.explore import face_widgets, widgets
from vaelib.explore.panel import Panel
from vaelib.explore.state import ExplorerState
from vaelib.sources.annotations import normalise_name

MAX_STRENGTH = 3.0  # times as far as the means with and without the attribute are apart
# What is offered of the faces' own attributes, by CelebA's names.
OFFERED = (
    "Smiling",
    "Eyeglasses",
    "Male",
    "Young",
    "Black_Hair",
    "Blond_Hair",
    "Brown_Hair",
    "Gray_Hair",
)
STAGES = ("as it is", "before", "after")  # the face itself, then drawn at strength 0 and now
METHODS = {
    "difference of means": latent.mean_difference,
    "normal of a linear classifier": latent.classifier_normal,
}


class Attributes(Panel):
    """A direction learnt from the latent means of training faces, and a slider along it."""

    title = "Attributes"
    help = (
        "The step from the average z of training faces without an attribute to that of faces with "
        "it, added to one face. What else changes with it shows what goes together in the data. "
        "Percentages are what the attribute classifier of the report sees."
    )

    def __init__(self, state: ExplorerState) -> None:
        super().__init__(state)
        self.classifier = classifier_for(state.faces) if is_trained(state.faces) else None
        names = self._offered()
        if not names:
            self.status.show(f"The faces of {state.faces.name} carry none of these attributes.")
            self.view = widgets.column(self.status)
            return
        self.model = self.model_dropdown()
        self.face = self.face_picker("Face", 0)
        self.attribute = widgets.dropdown("Attribute", self._options(names))
        self.method = widgets.dropdown("Direction", list(METHODS))
        self.strength = widgets.Slider(
            label="Strength (1: as far as both means are apart)",
            min=-MAX_STRENGTH,
            max=MAX_STRENGTH,
            step=0.05,
        )
        self.faces = face_widgets.FaceGrid("before and after", self._keep, width=144)
        self.before, self.after = torch.zeros(1, 1), torch.zeros(1, 1)  # z
        self.ask = widgets.button(
            "Ask the classifier (trains for a minute, once)", self._train_classifier
        )
        controls = (self.model, self.face, self.attribute, self.method)
        self.on_change(self._draw, *controls, self.strength)
        asking = [] if self.classifier else [widgets.row(self.ask)]
        self.view = widgets.column(
            widgets.row(*controls), self.strength, *asking, self.status, self.faces
        )
        self.status.run(self._draw)

    def _offered(self) -> list[str]:
        """The attributes to choose from, by the data's names; first what can be told best."""
        own_names = {normalise_name(name): name for name in self.state.faces.attribute_names}
        names = [normalise_name(name) for name in OFFERED]
        offered = [own_names[name] for name in names if name in own_names]
        if self.classifier is not None:
            offered.sort(key=self._area, reverse=True)
        return offered

    def _area(self, attribute: str) -> float:
        """The area under the ROC curve with which the classifier tells an attribute."""
        assert self.classifier is not None
        area = self.classifier.auc[self.classifier.index_of(attribute)]
        return area if area == area else 0.0  # nan: all held-out faces are alike

    def _options(self, names: list[str]) -> list[tuple[str, str]]:
        """Label and name of each attribute; the label says where the classifier is no judge."""
        options = []
        for name in names:
            label = name.replace("_", " ")
            if self.classifier is not None and not self.classifier.can_predict(name):
                label += " (hard to tell)"
            options.append((label, name))
        return options

    def _draw(self) -> None:
        name, face = self.model.value, self.face.value
        model = self.state.models.model(name)
        self.before = self.after = self.state.latent_of(name, face)
        if self.strength.value:  # at 0 no direction is needed, and learning one takes seconds
            self.after = self.before + self.strength.value * self._direction(name)
        drawn = to_uint8(latent.decode(model, torch.cat([self.before, self.after])))
        images = torch.cat([self.state.gallery[face].image[None], drawn])
        labels = [
            f"{stage}{opinion}"
            for stage, opinion in zip(STAGES, self._opinions(images), strict=True)
        ]
        self.faces.show(images, labels)

    def _direction(self, model: str) -> Tensor:
        sample = self.state.train_sample
        mu = self.encoded(model, len(sample)).mu
        return METHODS[self.method.value](mu, self.state.faces.where(self.attribute.value)[sample])

    def _opinions(self, images: Tensor) -> list[str]:
        """What the classifier says of each face; nothing as long as it is not trained."""
        classifier, attribute = self.classifier, self.attribute.value
        if classifier is None:
            return [""] * len(images)
        probabilities = classifier.predict(images).probabilities[:, classifier.index_of(attribute)]
        shown = attribute.replace("_", " ")
        return [f": {shown} {p:.0%}" for p in probabilities.tolist()]

    def _train_classifier(self) -> None:
        with self.working("Training the classifier for about a minute ..."):
            self.classifier = classifier_for(self.state.faces)
        self.ask.layout.display = "none"
        chosen = self.attribute.value
        self.attribute.options = self._options(self._offered())
        self.attribute.value = chosen
        self.status.run(self._draw)

    def _keep(self, index: int) -> None:
        origin = f"{self.attribute.value.replace('_', ' ')} {self.strength.value:+.2f}"
        if STAGES[index] == "after":
            self.keep(self.faces.shown[index], origin, self.model.value, self.after[0])
        elif STAGES[index] == "before":
            origin = f"{self.face.value} by {self.state.models.label(self.model.value)}"
            self.keep(self.faces.shown[index], origin, self.model.value, self.before[0])
        else:
            self.keep(self.faces.shown[index], self.face.value)
