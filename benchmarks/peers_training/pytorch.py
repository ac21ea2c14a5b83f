"""(c) A loop written by hand in PyTorch."""

import shutil

import torch
from torch import nn

from peers_training import problem
from peers_training.stopwatch import Job, batches, measure


def run(job: Job) -> dict:
    """Train with the fastest of the ways to write it."""
    if job.threads:
        torch.set_num_threads(job.threads)
        torch.set_num_interop_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    images, boxes = problem.data(job.images, job.image_size)
    images = torch.from_numpy(problem.pooled(images)).permute(0, 3, 1, 2).contiguous().to(device)
    boxes = torch.from_numpy(boxes).to(device)
    variants = {
        "eager": lambda: _epoch(job, images, boxes),
        "eager, channels last": lambda: _epoch(job, images, boxes, channels_last=True),
    }
    if device == "cuda" or (job.thorough and shutil.which("g++")):
        variants["torch.compile"] = lambda: _epoch(job, images, boxes, compiled=True)
    return measure(job, variants)


def _epoch(job, images, boxes, *, channels_last=False, compiled=False):
    """Return an epoch: the pooled images are resident, gathered by index."""
    model = _network(job.image_size).to(images.device)
    if channels_last:
        model, images = (x.to(memory_format=torch.channels_last) for x in (model, images))
    optimizer = torch.optim.SGD(model.parameters(), lr=problem.LEARNING_RATE, fused=True)

    def objective(x, y):
        return inclusive_iou_loss(y, model(x))

    if compiled:
        objective = torch.compile(objective, dynamic=False)

    def epoch(number: int) -> float:
        total = torch.zeros((), device=images.device)
        for rows in batches(job, number):
            rows = torch.from_numpy(rows).to(images.device)
            loss = objective(images[rows], boxes[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
        return total.item() / job.images

    return epoch


def _network(image_size: int) -> nn.Sequential:
    """Return the paper's network behind its first pooling, with the first weights."""
    side = image_size // 8
    model = nn.Sequential(
        *(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(4 * side**2, 16), nn.ReLU(), nn.Linear(16, 4)),
    )
    first = [torch.from_numpy(values) for values in problem.first_weights(image_size)]
    first[0], first[2] = (kernel.permute(3, 2, 0, 1) for kernel in (first[0], first[2]))
    # Keras flattens (height, width, channels), PyTorch (channels, height, width).
    first[4] = first[4].reshape(side, side, 4, 16).permute(3, 2, 0, 1).reshape(16, -1)
    first[6] = first[6].T
    with torch.no_grad():
        for parameter, values in zip(model.parameters(), first, strict=True):
            parameter.copy_(values)
    return model


def inclusive_iou_loss(true, predicted):
    """Return the mean of one minus the inclusive IoU."""

    def area(low, high):
        sides = (high - low + 1).clamp(min=0)
        return sides[:, 0] * sides[:, 1]

    shared = area(
        torch.maximum(true[:, :2], predicted[:, :2]), torch.minimum(true[:, 2:], predicted[:, 2:])
    )
    covered = area(true[:, :2], true[:, 2:]) + area(predicted[:, :2], predicted[:, 2:]) - shared
    return (1 - shared / covered).mean()
