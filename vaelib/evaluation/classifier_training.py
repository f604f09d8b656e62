"""The network of the attribute classifier, and how it is trained.

Whatever changes here changes the classifier: see RECIPE in `vaelib.evaluation.attributes`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaelib.data import FaceSet
from vaelib.evaluation.classifier_data import BATCH_SIZE, TrainingBatch, training_batches
from vaelib.support import progress
from vaelib.training import hardware

FEATURES = 256
MAX_EPOCHS = 12
LEARNING_RATE = 3e-3  # of Adam, falling to 0


class ClassifierNetwork(nn.Module):
    """Images (n, 3, 64, 48) in [-1, 1] to features (n, 256) and, by the last layer, to logits.

    Half of the features are averages over the image, which suit attributes. Half keep positions,
    without which distances between faces would not see where their parts are.
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((3, 32), (32, 64), (64, 128), (128, 128)):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after)]
            layers += [nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        self.positional = nn.Linear(128 * 4 * 3, FEATURES - 128)
        self.last = nn.Linear(FEATURES, outputs)

    def features(self, images: Tensor) -> Tensor:
        """Features with mean 0 and variance 1 over the 256, so that distances have a scale."""
        maps = self.convolutions(images)
        averages, positional = maps.mean(dim=(2, 3)), F.relu(self.positional(maps.flatten(1)))
        return F.layer_norm(torch.cat([averages, positional], dim=1).float(), (FEATURES,))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.last(self.features(images))
        return logits


def train_network(faces: FaceSet, outputs: int, budget: int) -> ClassifierNetwork:
    """A network with this many outputs, trained on `budget` images, on the device at hand."""
    device = hardware.pick_device()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ClassifierNetwork(outputs).to(device)
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    # The last batch of an epoch may be short, so there may be a step more per epoch.
    steps = -(-budget // BATCH_SIZE) + MAX_EPOCHS
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    seen = 0
    with progress.watching("attribute classifier", budget) as watch:
        for batch in training_batches(faces, budget):
            on_device = TrainingBatch(*(tensor.to(device) for tensor in batch))
            with autocast(device):
                logits = network(on_device.images.to(memory_format=torch.channels_last)).float()
            loss = _loss(logits, on_device)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            seen += len(batch.images)
            watch(seen, "")
    return network


def _loss(logits: Tensor, batch: TrainingBatch) -> Tensor:
    """Cross entropy of all targets and squared error of factors."""
    n = batch.targets.shape[1]
    loss = F.binary_cross_entropy_with_logits(logits[:, :n], batch.targets)
    factors = logits[:, n:]
    if factors.shape[1]:
        loss = loss + 0.1 * (factors - batch.factors).square().mean()
    return loss


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 where the device is best at it, in training and in prediction."""
    enabled = hardware.best_precision(device) == "bfloat16"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)
