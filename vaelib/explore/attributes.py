"""The panel that moves a face along an attribute, with the classifier's opinion of the result."""

from torch import Tensor

from vaelib import latent
from vaelib.evaluation.attributes import AttributeClassifier, classifier_for, is_trained
from vaelib.explore import widgets
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
METHODS = {
    "difference of means": latent.mean_difference,
    "normal of a linear classifier": latent.classifier_normal,
}


class Attributes(Panel):
    """A direction learnt from the latent means of training faces, and a slider along it."""

    def __init__(self, state: ExplorerState) -> None:
        super().__init__(state)
        own_names = {normalise_name(name): name for name in state.faces.attribute_names}
        offered = [normalise_name(name) for name in OFFERED]
        names = [own_names[name] for name in offered if name in own_names]
        if not names:
            self.status.show(f"The faces of {state.faces.name} carry none of these attributes.")
            self.view = widgets.column(self.status)
            return
        self.model = self.model_dropdown()
        self.face = self.face_dropdown("Face", 0)
        options = [(name.replace("_", " "), name) for name in names]
        self.attribute = widgets.dropdown("Attribute", options)
        self.method = widgets.dropdown("Direction", list(METHODS))
        self.classifier: AttributeClassifier | None = None
        self.strength = widgets.Slider(
            label="Strength (1: as far as both means are apart)",
            min=-MAX_STRENGTH,
            max=MAX_STRENGTH,
            step=0.05,
        )
        self.faces = widgets.FaceGrid("before and after", self._keep, width=144)
        self.ask = widgets.button(
            "Ask the classifier (trains for a minute, once)", self._ask_classifier
        )
        controls = (self.model, self.face, self.attribute, self.method)
        self.on_change(self._draw, *controls, self.strength)
        self.view = widgets.column(
            widgets.row(*controls), self.strength, widgets.row(self.ask), self.status, self.faces
        )
        if is_trained(state.faces):
            self._ask_classifier()
        self.status.run(self._draw)

    def _draw(self) -> None:
        name = self.model.value
        z = self.state.latent_mean(name, self.face.value).repeat(2, 1)
        if self.strength.value:  # at 0 no direction is needed, and learning one takes seconds
            z[1] += self.strength.value * self._direction(name)
        images = latent.decode(self.state.models.model(name), z)
        before, after = self._opinions(images)
        self.faces.show(images, [f"before{before}", f"after{after}"])

    def _direction(self, model: str) -> Tensor:
        sample = self.state.train_sample
        mu = self.state.encoded(model, len(sample)).mu
        return METHODS[self.method.value](mu, self.state.faces.where(self.attribute.value)[sample])

    def _opinions(self, images: Tensor) -> list[str]:
        """What the classifier says of each face; nothing as long as it is not asked."""
        classifier, attribute = self.classifier, self.attribute.value
        if classifier is None:
            return [""] * len(images)
        probabilities = classifier.predict(images).probabilities[:, classifier.index_of(attribute)]
        doubt = "" if classifier.can_predict(attribute) else " (unreliable for this attribute)"
        shown = attribute.replace("_", " ")
        return [f": {shown} {p:.0%}, the classifier says{doubt}" for p in probabilities.tolist()]

    def _ask_classifier(self) -> None:
        self.classifier = classifier_for(self.state.faces)
        self.ask.layout.display = "none"
        self.status.run(self._draw)

    def _keep(self, index: int) -> None:
        origin = f"{self.attribute.value} {self.strength.value:+.2f}"
        self.keep(self.faces.shown[index], origin)
