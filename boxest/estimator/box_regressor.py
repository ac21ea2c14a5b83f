"""`BoxRegressor`: the network as a scikit-learn estimator."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils._param_validation import StrOptions

from boxest import boxes, scorers
from boxest.data import augmentation as augmentations
from boxest.data.augmentation import Augmentation
from boxest.data.inputs import are_paths
from boxest.estimator.image_regressor import ImageRegressor

if TYPE_CHECKING:
    import keras
    import numpy.typing as npt

    from boxest.training.checkpoint import Checkpoint

_MEASURES = ("iou", "inclusive_iou")
# The paper's best parametrization (§5.1); what it does not say as inferred.
PAPER = {
    "network": "paper",
    "output_activation": "linear",
    "loss": "inclusive_iou",
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "batch_size": 16,
    "epochs": 30,
    "stop_patience": None,
    "restore_best_weights": False,
    "schedule": "plateau",
    "warmup_epochs": 0,
    "plateau_patience": 2,
    "plateau_factor": 0.5,
    "augmentation": None,
}


class BoxRegressor(ImageRegressor):
    """Find the one box in an image, with a small convolutional network.

    Trains a network by gradient descent on one minus a measure of how well two boxes agree. The
    defaults are for pictures of any kind: a network that learns what the object looks like, with
    examples that are changed in every epoch (docs/networks.md). For white boxes on black, "profile"
    is exact, with ``learning_rate=0.01`` and ``augmentation=None``. The paper's settings are
    `BoxRegressor.paper`.

    Parameters
    ----------
    network : str or callable, default="marginal"
        The architecture, a key of `boxest.networks.NETWORKS`: "marginal", which learns features and
        reads the edges off what rows and columns hold of them, for pictures of any kind; "profile",
        which reads them off the pixels themselves, and is the best one for bright boxes on a dark
        ground; "roi", which looks again at the region of a coarse box, and is fast; "paper";
        "auto", which is "paper" but has the dense layers alone for images below 8 px. Or a function
        with the arguments of `boxest.networks.paper` that returns a Keras model with four outputs.
    output_activation : str, default="linear"
        Activation of the four outputs, by its Keras name. The paper does not give it.
    loss : str or keras.Loss, default="giou_l1"
        "inclusive_iou" (the paper's, §2.2.2), "iou", "giou", "diou", "ciou": one minus that
        measure of `boxest.boxes`; "giou_l1": giou plus the absolute errors of the edges; or a Keras
        loss, for example "mean_absolute_error".
    optimizer : str, dict or keras.Optimizer, default="adam"
        A Keras optimizer: by name; by name with settings, as ``{"name": "sgd", "momentum": 0.5}``;
        or as an object, of which a copy is used; "momentum" stands for
        SGD with a momentum of 0.9.
    learning_rate : float, "auto" or keras LearningRateSchedule, default=0.003
        The learning rate to begin with; see ``schedule``. It replaces that of an optimizer given as
        an object. "auto": `fit` finds one before the first epoch, by the range test of
        `boxest.find_learning_rate`, which takes an epoch or more; an interrupted training, warm
        starts and `partial_fit` go on with the rate that was found. An object of
        `keras.optimizers.schedules` gives the rate of each update from the number of all updates
        before it, also across warm starts and `partial_fit`; it takes the place of ``schedule``
        and ``warmup_epochs``. So does one in the optimizer, beside which a number here does not
        count.
    image_shape : tuple of int or None, default=None
        (height, width) or (height, width, channels) of the images, in pixels: what flat rows are
        made into. None: a number of pixels that is a square makes square images, another one
        images of one row. Images that have a shape must have this one.
    batch_size : int, default=32
        Examples per update.
    epochs : int, default=60
        Passes over the training examples, at most.
    stop_patience : int or None, default=None
        Stop when the validation loss has had no new minimum for this many epochs. None: never. The
        last weights stay, unless ``restore_best_weights`` is True.
    restore_best_weights : bool, default=True
        Whether `fit` leaves the network, and the state of its optimizer, as they were after the
        epoch with the smallest validation loss of this `fit`, ``best_epoch_``. False: as they are
        after the last epoch. Without validation examples, the last weights stay, too.
    schedule : {"plateau", "cosine", "constant"}, default="cosine"
        What becomes of the learning rate. "plateau": it is multiplied by ``plateau_factor``
        whenever the validation loss has not improved for ``plateau_patience`` epochs. "cosine": it
        falls at each update along half a cosine, to 0 after ``epochs`` epochs; each `fit` of a warm
        start begins anew with ``learning_rate``. "constant": it stays. The parameters
        ``plateau_...`` have no effect but with "plateau".
    warmup_epochs : float, default=0
        The learning rate rises linearly, at each update, during this many epochs at the beginning
        of `fit`, with any ``schedule``.
    plateau_patience : int or None, default=2
        Epochs without an improvement after which the learning rate is lowered. None: never, as
        with ``schedule="constant"``.
    plateau_factor : float, default=0.5
        Factor in (0, 1).
    plateau_min_delta : float, default=1e-4
        Smallest fall of the loss that counts as an improvement for the plateau.
    validation_fraction : float, default=0.1
        Share of the examples that is held out, drawn at random, where `fit` is given no
        ``validation_data``. Each row counts as one, whatever its weight, and those of weight 0
        not at all. 0: none; the training loss takes the place of the validation loss.
    callbacks : list of keras.callbacks.Callback or None, default=None
        Copies of them are called at the beginning and the end of training, of each epoch and of its
        evaluation, and are left in ``callbacks_``. ``stop_training`` is honoured, and so is a
        learning rate that they set, where the schedule itself does not change it at every update.
        Hooks per batch need ``engine="keras"``.
    checkpoint : path-like or None, default=None
        A file in which `fit` keeps the state of the training: interrupted at any moment and called
        again with the same data and parameters, it goes on to the same result, on a CPU to the last
        bit. A state of another training, or a damaged one, is left aside with a warning. The file
        is removed when `fit` has ended. Needs an int as ``random_state``. Of ``callbacks`` nothing
        is kept: they see the epochs that are left. Another `fit` on the same file waits for this
        one.
    warm_start : bool, default=False
        Whether `fit` trains the network that is there for ``epochs`` further epochs. All goes on:
        optimizer, learning rate (unless another is set), number of epochs, order of examples. The
        network, the optimizer and the seed remain those of the first `fit`; the other parameters
        may change in between. Where layers of ``model_`` were frozen or released in between, the
        optimizer begins anew.
    memory_limit : float, default=2**29
        Bytes of prepared images (in the network of the paper, a quarter of the pixels) that are
        kept in memory. More of them lie in a temporary file and are trained on a buffer at a time,
        shuffled within and across buffers: as random, but another order than in memory.
        On a CPU, where the first layer that learns is a convolution with a pooling behind it and
        the limit is four times as high as need be, patches of the images are kept, which is a sixth
        faster.
    engine : {"compiled", "keras"}, default="compiled"
        "compiled": one compiled call per epoch. "keras": plain Keras training step by step, the
        same results, slower, and per-batch callbacks work only there.
    xla : bool or "auto", default="auto"
        Compile with XLA. "auto" does on a GPU and on JAX; with TensorFlow on a CPU, where it is the
        faster way: for networks whose convolutions are small and have a pooling behind them, or run
        along one axis, such as "paper", "profile" and "roi".
    augmentation : "default", Augmentation, dict of its options, or None, default="default"
        How the examples are changed at random in each epoch, their boxes with them: mirrored,
        shifted, zoomed, in brightness, contrast and colour. See
        `boxest.augmentation.Augmentation`; "default" has its defaults. What an epoch sees is a
        function of the seed and the epoch. None: nothing is changed.
    random_state : int, RandomState or None, default=None
        Seed of the initial weights, of the order of examples and of the held-out share. An int
        gives the same network each time, bit for bit on a CPU with one number of threads. Global
        seeds are never touched.
    verbose : int, default=0
        1: show a progress bar, or where the output is neither a terminal nor a notebook, print a
        line per epoch. 2: print the lines.

    Attributes
    ----------
    model_ : keras.Model
        The trained network, compiled with its optimizer.
    history_ : list of dict
        One row per epoch, as described in `boxest.training.Trainer.run`: the loss and one minus
        both IoUs, on the training and validation examples, learning rate, updates and seconds.
    n_iter_ : int
        Number of epochs that were run.
    followed_ : ndarray of shape (epochs, k, 4)
        What the network predicted for the ``followed`` images of the last `fit` after each of its
        epochs; NaN after epochs of which it was not kept, empty where `fit` was given none.
    best_epoch_ : int or None
        With ``restore_best_weights``, the epoch that the network was put back to; None where the
        last weights stayed.
    diverged_ : bool
        Whether training ended because the loss was NaN or infinite.
    learning_rate_ : float
        The rate that training began with, before any warm-up, also where it was found.
    stopped_early_ : bool
        Whether early stopping, or a callback, ended the training.
    seconds_ : dict of float
        What the time of `fit` went into: "import", "data", "compile", "train", "evaluation".
    runtime_ : dict
        Backend, versions, device, threads, XLA and engine that trained the network.
    image_shape_ : tuple of int
        Height, width and channels of the images, in pixels.
    image_mode_ : {"stretch", "pad"} or None
        How photographs were fitted into the images, where `fit` was given shards of photographs;
        for `boxest.photographs.predict`.
    pixels_ : boxest.data.pixels.Pixels
        What the numbers in the images of `fit` were, and which of them was read as white.
    n_features_in_ : int
        Numbers per image, height × width × channels.
    feature_names_in_ : ndarray of str
        Names of the columns, where X was a table that has them.
    n_outputs_ : int
        Number of targets, 4.
    seed_ : int
        The seed that was used; as ``random_state`` it gives the same network again.
    callbacks_ : list of keras.callbacks.Callback
        The copies of ``callbacks`` that saw the training. They are not pickled.

    See Also
    --------
    boxest.ImageRegressor : The same for any targets.
    boxest.boxes : The measures of agreement.
    boxest.scorers : Scores for model selection.
    boxest.synthetic : The paper's images.

    References
    ----------
    A. Chassagne, "Investigate the influence of batch size and learning rate on a simple deep
    learning model": §2.2 for its network and loss, §5.1 for `BoxRegressor.paper`.

    Examples
    --------
    >>> from boxest import BoxRegressor, synthetic
    >>> X, y = synthetic.make(0, 500, seed=0, image_size=32)
    >>> regressor = BoxRegressor(epochs=5, random_state=0).fit(X, y)
    >>> regressor.predict(X[:2]).shape
    (2, 4)
    >>> 0 < regressor.score(X, y) < 1
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012 -- scikit-learn's convention
        **ImageRegressor._parameter_constraints,
        "augmentation": [StrOptions({"default"}), dict, Augmentation, None],
    }

    def __init__(
        self,
        *,
        network: "str | Callable[..., keras.Model]" = "marginal",
        output_activation: str = "linear",
        loss: "str | keras.Loss" = "giou_l1",
        optimizer: "str | keras.Optimizer" = "adam",
        learning_rate: "float | str | keras.optimizers.schedules.LearningRateSchedule" = 0.003,
        image_shape: tuple[int, ...] | None = None,
        batch_size: int = 32,
        epochs: int = 60,
        stop_patience: int | None = None,
        restore_best_weights: bool = True,
        schedule: str = "cosine",
        warmup_epochs: float = 0,
        plateau_patience: int | None = 2,
        plateau_factor: float = 0.5,
        plateau_min_delta: float = 1e-4,
        validation_fraction: float = 0.1,
        callbacks: "Sequence[keras.callbacks.Callback] | None" = None,
        checkpoint: "str | os.PathLike | Checkpoint | None" = None,
        warm_start: bool = False,
        memory_limit: float = 2**29,
        engine: str = "compiled",
        xla: bool | str = "auto",
        augmentation: "str | Mapping[str, Any] | Augmentation | None" = "default",
        random_state: "int | np.random.RandomState | None" = None,
        verbose: int = 0,
    ):
        super().__init__(
            network=network,
            output_activation=output_activation,
            loss=loss,
            optimizer=optimizer,
            learning_rate=learning_rate,
            image_shape=image_shape,
            batch_size=batch_size,
            epochs=epochs,
            stop_patience=stop_patience,
            restore_best_weights=restore_best_weights,
            schedule=schedule,
            warmup_epochs=warmup_epochs,
            plateau_patience=plateau_patience,
            plateau_factor=plateau_factor,
            plateau_min_delta=plateau_min_delta,
            validation_fraction=validation_fraction,
            callbacks=callbacks,
            checkpoint=checkpoint,
            warm_start=warm_start,
            memory_limit=memory_limit,
            engine=engine,
            xla=xla,
            random_state=random_state,
            verbose=verbose,
        )
        self.augmentation = augmentation

    @classmethod
    def paper(cls, **parameters: Any) -> Self:
        """Return an estimator with the paper's best parametrization (§5.1).

        Its network of 16,656 parameters, inclusive IoU, SGD, batch size 16, rate 0.1 halved on a
        plateau, 30 epochs.

        Parameters
        ----------
        **parameters
            Those of the constructor that should differ.

        Examples
        --------
        >>> BoxRegressor.paper(epochs=5).get_params()["loss"]
        'inclusive_iou'
        """
        return cls(**(PAPER | parameters))

    def score(
        self,
        X: "npt.ArrayLike",
        y: "npt.ArrayLike | None" = None,
        sample_weight: "npt.ArrayLike | None" = None,
    ) -> float:
        """Return the mean geometric IoU of the predicted boxes: 1 is best, 0 is worst.

        This is the area shared by two boxes divided by the area that they cover together, and not
        the inclusive IoU that the paper trains on and reports.

        Parameters
        ----------
        X : array-like
            Images, in any form that `fit` takes.
        y : array-like of shape (n, 4)
            True boxes. None where X is shards, which have them.
        sample_weight : array-like of shape (n,), optional
            Weights of the images in the mean.

        Returns
        -------
        float
        """
        if y is None and are_paths(X):
            from boxest.data import shards

            X, y = shards.load([X] if isinstance(X, (str, os.PathLike)) else X)
        return scorers.mean_iou(boxes.check_boxes(y), self.predict(X), sample_weight=sample_weight)

    def _check_targets(self, y: Any) -> np.ndarray:
        """Return boxes, or say what is wrong with them."""
        return boxes.check_boxes(y)

    def _measures(self) -> dict[str, Any]:
        from boxest import losses

        return {f"{measure}_loss": losses.BoxLoss(measure).call for measure in _MEASURES}

    def _augmentation(self) -> Augmentation | None:
        return augmentations.of(self.augmentation)

    def _metrics(self) -> "list[keras.Metric]":
        from boxest import losses

        return [losses.BoxMetric(measure) for measure in _MEASURES]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output = False
        return tags
