"""Show the progress of a training: a bar in a terminal or a notebook, plain lines in a log."""

import sys
from typing import Self

from boxest.training.record import Watcher

# The colon ends the label; the time left is estimated from the epochs so far.
_FORMAT = "{n_fmt}/{total_fmt} epochs {bar:20} {postfix} {remaining} left"


class Lines(Watcher):
    """Prints one line per epoch."""

    def resume(self, history: list[dict[str, float]]) -> None:
        """Print where an interrupted training resumes."""
        print(f"Resumed after epoch {history[-1]['epoch']}.", flush=True)

    def end(self, row: dict[str, float]) -> bool:
        """Print the line of an epoch."""
        parts = [f"epoch {row['epoch']:3d}", f"learning rate {row['learning_rate_now']:.3g}"]
        parts += [_losses(row, part) for part in ("train", "validation") if f"{part}_loss" in row]
        parts.append(f"{row['train_seconds']:.2f} s")
        print("  ".join(parts), flush=True)
        return False


class Bar(Watcher):
    """Shows one line and updates it: epochs, losses, learning rate, time left."""

    def __init__(self, epochs: int):
        self.epochs = epochs

    def __enter__(self) -> Self:
        bar = _notebook_bar() if _in_notebook() else _terminal_bar()
        self._bar = bar(total=self.epochs, bar_format=_FORMAT, file=sys.stdout, mininterval=0.2)
        return self

    def __exit__(self, *_) -> None:
        self._bar.close()

    def resume(self, history: list[dict[str, float]]) -> None:
        """Move the bar to where an interrupted training resumes."""
        self._bar.update(len(history))

    def end(self, row: dict[str, float]) -> bool:
        """Move the bar by an epoch."""
        parts = [_losses(row, part) for part in ("train", "validation") if f"{part}_loss" in row]
        parts.append(f"learning rate {row['learning_rate_now']:.3g}")
        self._bar.set_postfix_str("  ".join(parts), refresh=False)
        self._bar.update()
        return False


def reporter(verbose: int, epochs: int) -> Watcher:
    """Choose how to report a training; the result is a context manager.

    Parameters
    ----------
    verbose : int
        0 reports nothing. 1 shows a bar if the output is a terminal or a notebook, otherwise one
        line per epoch. 2 prints one line per epoch.
    epochs : int
        Number of planned epochs.
    """
    if not verbose:
        return Watcher()
    return Bar(epochs) if verbose == 1 and (sys.stdout.isatty() or _in_notebook()) else Lines()


def _losses(row: dict[str, float], part: str) -> str:
    """Describe the losses of the training or the validation examples."""
    text = f"{part} loss {row[f'{part}_loss']:.4f}"
    if f"{part}_iou_loss" in row:
        text += f" (1 - IoU {row[f'{part}_iou_loss']:.4f})"
    return text


def _in_notebook() -> bool:
    """Whether a Jupyter kernel runs this process: its output is not a terminal, but shows a bar."""
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    return bool(shell) and "IPKernelApp" in shell.config


def _terminal_bar() -> type:
    from tqdm import tqdm

    return tqdm


def _notebook_bar() -> type:
    """Return the bar for notebooks, or, if its widgets are not installed, the one for terminals."""
    import importlib.util

    if importlib.util.find_spec("ipywidgets") is None:
        return _terminal_bar()
    from tqdm.notebook import tqdm

    return tqdm
