"""`BoxRegressor`: the network as a scikit-learn estimator."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils._param_validation import StrOptions

from boxest import boxes
from boxest.data import augmentation as augmentations
from boxest.data.augmentation import Augmentation
from boxest.data.inputs import are_paths
from boxest.estimator.image_regressor import ImageRegressor

if TYPE_CHECKING:
    import keras
    import numpy.typing as npt

    from boxest.training.checkpoint import Checkpoint

_MEASURES = ("iou", "inclusive_iou")
# The paper's best parametrization (§5.1); values that it does not state are inferred.
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

    It trains the network by gradient descent on one minus a measure of the agreement of two boxes.
    The defaults work for any kind of picture: the network learns what the object looks like, from
    examples that change in every epoch (docs/networks.md). For white boxes on black, "profile" is
    exact, with ``learning_rate=0.01`` and ``augmentation=None``. `BoxRegressor.paper` has the
    paper's settings.

    Parameters
    ----------
    network : str or callable, default="marginal"
        The architecture, a key of `boxest.networks.NETWORKS`: "marginal", which learns features and
        reads the edges from their values along rows and columns, for any kind of picture;
        "profile", which reads the edges from the pixels themselves, and is the best choice for
        bright boxes on a dark background; "roi", which looks again at the region of a coarse box,
        in nearly twice the time of "paper"; "paper"; "auto", which is "paper", but uses only its
        dense layers for images below 8 px. Or a function with the arguments of
        `boxest.networks.paper` that returns a Keras model with four outputs.
    output_activation : str, default="linear"
        Keras name of the activation of the four outputs. The paper does not state it.
    loss : str or keras.Loss, default="giou_l1"
        "inclusive_iou" (the paper's, §2.2.2), "iou", "giou", "diou", "ciou": one minus that
        measure of `boxest.boxes`; "giou_l1": giou plus the absolute errors of the edges; or a Keras
        loss, for example "mean_absolute_error".
    optimizer : str, dict or keras.Optimizer, default="adam"
        A Keras optimizer: a name; a dict with a name and settings, such as ``{"name": "sgd",
        "momentum": 0.5}``; or an object, which is copied. "momentum" means SGD with a momentum of
        0.9.
    learning_rate : float, "auto" or keras LearningRateSchedule, default=0.003
        The initial learning rate; see ``schedule``. It replaces the rate of an optimizer object.
        With "auto", `fit` finds a rate before the first epoch, by the range test of
        `boxest.find_learning_rate`, which takes an epoch or more; resumed trainings, warm starts
        and `partial_fit` continue with this rate. An object of `keras.optimizers.schedules` gives
        the rate of each update from the number of all previous updates, also across warm starts and
        `partial_fit`; it replaces ``schedule`` and ``warmup_epochs``. So does a schedule in the
        optimizer, which also takes precedence over a number here.
    image_shape : tuple of int or None, default=None
        (height, width) or (height, width, channels) of the images, in pixels. Flat rows are
        reshaped to it; images with another shape are refused. If None, flat rows become square
        images if the number of pixels is a square, otherwise images of one row.
    batch_size : int, default=32
        Examples per update.
    epochs : int, default=60
        Largest number of passes over the training examples.
    stop_patience : int or None, default=None
        Stop when the validation loss has had no new minimum for this many epochs; None means never.
        The last weights stay, unless ``restore_best_weights`` is True.
    restore_best_weights : bool, default=True
        Whether `fit` restores the network, and the state of its optimizer, to the epoch with the
        smallest validation loss of this `fit`, ``best_epoch_``. If False, or without validation
        examples, the last weights stay.
    schedule : {"plateau", "cosine", "constant"}, default="cosine"
        How the learning rate changes. "plateau" multiplies it by ``plateau_factor`` whenever the
        validation loss has not improved for ``plateau_patience`` epochs. "cosine" lowers it at each
        update along half a cosine, to 0 after ``epochs`` epochs; each `fit` of a warm start begins
        with ``learning_rate`` again. "constant" keeps it. The parameters ``plateau_...`` only have
        an effect with "plateau".
    warmup_epochs : float, default=0
        Number of epochs at the beginning of `fit` in which the learning rate rises linearly, at
        each update, with any ``schedule``.
    plateau_patience : int or None, default=2
        Number of epochs without an improvement after which the learning rate is lowered; None means
        never, as with ``schedule="constant"``.
    plateau_factor : float, default=0.5
        Factor that lowers the learning rate, in (0, 1).
    plateau_min_delta : float, default=1e-4
        Smallest decrease of the loss that counts as an improvement for the plateau.
    validation_fraction : float, default=0.1
        Share of the examples to hold out at random if `fit` gets no ``validation_data``. Each row
        counts as one, whatever its weight; rows of weight 0 do not count. With 0, nothing is held
        out, and the training loss replaces the validation loss.
    callbacks : list of keras.callbacks.Callback or None, default=None
        Callbacks, of which `fit` calls copies at the beginning and the end of training, of each
        epoch and of its evaluation, and keeps them in ``callbacks_``. It honours ``stop_training``,
        and a learning rate that they set, unless the schedule itself changes the rate at every
        update. Hooks per batch need ``engine="keras"``; those per batch of an evaluation are
        refused.
    checkpoint : path-like or None, default=None
        A file in which `fit` keeps the state of the training. If it is interrupted at any moment
        and called again with the same data and parameters, it continues to the same result, on a
        CPU to the last bit. The state of another training, or a damaged one, is renamed, to
        ``<checkpoint>.other``, with a warning. `fit` deletes the file when it ends. Needs an int as
        ``random_state``. The state of ``callbacks`` is not kept: they only see the remaining
        epochs. Another `fit` on the same file waits for this one.
    warm_start : bool, default=False
        Whether `fit` trains the existing network for ``epochs`` further epochs. Optimizer, learning
        rate (unless another is set), number of epochs and order of examples continue. The network
        and the optimizer remain those of the first `fit`, with a warning if others are set, and so
        does the seed; the other parameters may change in between. If layers of ``model_`` were
        frozen or unfrozen in between, the optimizer starts from its initial state.
    memory_limit : float, default=2**29
        Largest number of bytes of prepared images (for the paper's network, a quarter of the
        pixels) to keep in memory. Larger data are kept in a temporary file and read one buffer at a
        time, shuffled within and across buffers: just as random, but in another order than in
        memory. On a CPU without augmentation, if the first layer with weights is a convolution
        followed by a pooling, and the limit allows four times the memory of the images, patches of
        the images are kept, which is a sixth faster.
    engine : {"compiled", "keras"}, default="compiled"
        "compiled" makes one compiled call per epoch. "keras" trains step by step with plain Keras,
        to the same results, but more slowly; callbacks per batch only work there.
    xla : bool or "auto", default="auto"
        Whether to compile with XLA. "auto" does so on a GPU and on JAX, and with TensorFlow on a
        CPU if it is faster: for networks whose convolutions are small and followed by a pooling, or
        run along one axis, such as "paper", "profile" and "roi".
    augmentation : "default", Augmentation, dict of its options, or None, default="default"
        How each epoch changes the examples and their boxes at random: mirroring, shift, zoom,
        brightness, contrast and colour. See `boxest.augmentation.Augmentation`; "default" uses its
        defaults. The changes are a function of the seed and the epoch. None changes nothing.
    random_state : int, RandomState or None, default=None
        Seed of the initial weights, of the order of examples and of the held-out share. An int
        gives the same network each time, bit for bit on a CPU with the same number of threads.
        Global seeds are never touched.
    verbose : int, default=0
        1 shows a progress bar, or, if the output is neither a terminal nor a notebook, prints one
        line per epoch. 2 always prints the lines.

    Attributes
    ----------
    model_ : keras.Model
        The trained network, compiled with its optimizer.
    history_ : list of dict
        One row per epoch, as described in `boxest.training.Trainer.run`: the loss and one minus
        both IoUs, on the training and validation examples, learning rate, updates and seconds.
    n_iter_ : int
        Number of epochs that were trained.
    followed_ : ndarray of shape (epochs, k, 4)
        Predictions for the ``followed`` images of the last `fit` after each of its epochs; NaN for
        epochs without stored predictions, empty if `fit` got no such images, or after `load`.
    best_epoch_ : int or None
        With ``restore_best_weights``, the epoch whose weights were restored; None if the last
        weights stayed.
    diverged_ : bool
        Whether training ended because the loss was NaN or infinite, or left a weight that is.
    learning_rate_ : float
        The initial rate, before any warm-up, given or found.
    stopped_early_ : bool
        Whether early stopping, or a callback, ended the training.
    seconds_ : dict of float
        Seconds that `fit` spent on "import" (of Keras, by the first fit in a process), "data",
        "compile", "train", "evaluation".
    runtime_ : dict
        Backend, versions, device, threads, XLA and engine that trained the network.
    image_shape_ : tuple of int
        Height, width and channels of the images, in pixels.
    image_mode_ : {"stretch", "pad"} or None
        How photographs were fitted into the images, if `fit` got shards of photographs; for
        `boxest.photographs.predict`.
    pixels_ : boxest.data.pixels.Pixels
        The numbers in the images of `fit`, and which of them was read as white.
    n_features_in_ : int
        Numbers per image, height × width × channels.
    feature_names_in_ : ndarray of str
        Names of the columns, if X was a table with names.
    n_outputs_ : int
        Number of targets, 4.
    seed_ : int
        The seed of the training; as ``random_state`` it gives the same network again.
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

        This is its network of 16,656 parameters with inclusive IoU, SGD, batch size 16, a rate of
        0.1 that is halved on a plateau, and 30 epochs.

        Parameters
        ----------
        **parameters
            Parameters of the constructor that should differ.

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

        The geometric IoU is the area that two boxes share, divided by the area that they cover
        together. It is not the inclusive IoU on which the paper trains and reports.

        Parameters
        ----------
        X : array-like
            Images, in any form that `fit` takes.
        y : array-like of shape (n, 4)
            True boxes; None if X is shards, which include them.
        sample_weight : array-like of shape (n,), optional
            Weights of the images in the mean.

        Returns
        -------
        float
        """
        if y is None and are_paths(X):
            from boxest.data import shards

            # Only the boxes of all shards are in memory together.
            y = np.concatenate([shards.read(path).boxes for path, _ in shards.arrange(X)])
        from boxest import scorers

        return scorers.mean_iou(boxes.check_boxes(y), self.predict(X), sample_weight=sample_weight)

    def _check_targets(self, y: Any) -> np.ndarray:
        """Return checked boxes, or raise an error that names what is wrong."""
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
