"""Split networks after their fixed part, and replace slow layers.

A graph is recorded as the list of its calls, in an order in which they can be made, and is rebuilt
with the same layers, completely or in parts. This only needs public functions of Keras:
`keras.models.clone_model` goes through a graph call by call.
"""

import inspect
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import keras
from keras import ops, tree

from boxest.training.fused import ConvolutionPooling, UnfoldedConvolutionPooling, fuses


class Call(NamedTuple):
    """A layer, or another Keras operation, and the arguments of its call."""

    operation: Any
    args: tuple
    kwargs: dict
    outputs: Any

    @property
    def inputs(self) -> list:
        """The tensors among the arguments."""
        return [x for x in tree.flatten((self.args, self.kwargs)) if keras.utils.is_keras_tensor(x)]


class Graph(NamedTuple):
    """The calls that lead from the tensor of images to an output tensor."""

    image: Any
    calls: list[Call]
    output: Any


def graph_of(model: keras.Model) -> Graph | None:
    """Record the calls of a sequential or functional model with one input and one output.

    Returns
    -------
    Graph or None
        None for any other model, for example of a class with its own ``call``.
    """
    # The class of functional models is not public. Keras 3.10 refuses one that has no layer.
    image = keras.Input((1,))
    functional = type(keras.Model(image, keras.layers.Identity()(image)))
    if type(model) not in (keras.Sequential, functional):
        return None
    # A sequential model whose layers have no symbolic calls lacks both.
    if [len(getattr(model, name, ())) for name in ("inputs", "outputs")] != [1, 1]:
        return None
    calls = []

    def call(operation, *args, **kwargs):
        outputs = operation(*args, **kwargs)
        calls.append(Call(operation, args, kwargs, outputs))
        return outputs

    # From a compiled model, the loss and the optimizer would be copied as well.
    bare = keras.Model(model.inputs[0], model.outputs[0])
    copy = keras.models.clone_model(bare, clone_function=lambda layer: layer, call_function=call)
    return Graph(copy.inputs[0], calls, copy.outputs[0])


def split_graph(
    model: keras.Model, *, fuse: bool = True, whole: bool = False
) -> tuple[keras.Model | None, keras.Model]:
    """Split a network after all calls of fixed operations, see `is_fixed`.

    If several tensors cross the cut, the head returns them as one row of numbers per image.

    Parameters
    ----------
    model : keras.Model
        A built model.
    fuse, whole : bool
        As for `layout.split`.

    Returns
    -------
    head : keras.Model or None
        None if there is nothing to cut off, the image itself is needed after the cut, or there are
        whole numbers to pass on.
    trunk : keras.Model
        The rest, with the same layers or fused ones instead; the model itself if it is not a graph,
        or if nothing learns.
    """
    graph = graph_of(model)
    learning = _learning(graph) if graph else []
    if not learning:
        return None, model
    crossing = _crossing(learning)
    if whole or not _can_cross(crossing, graph.image):
        crossing, learning = [graph.image], graph.calls
    for calls in (_fused(learning) if fuse else learning, learning):
        head, trunk = _cut(graph, crossing, calls)
        if _same_variables(trunk, model):
            return head, trunk
    return None, model


def _can_cross(tensors: list, image: Any) -> bool:
    """Whether a head can return these tensors as features."""
    if any(x is image for x in tensors):
        return False
    # Numbers of another type than the image's could not be in one row with the others.
    if len(tensors) > 1:
        return all(x.dtype == image.dtype for x in tensors)
    return keras.backend.is_float_dtype(tensors[0].dtype)


def _same_variables(trunk: keras.Model, model: keras.Model) -> bool:
    """Whether both have the same variables in the same order, which depends on the graph.

    An optimizer keeps its state in this order, and a stack of runs all values.
    """
    return all(
        _ids(getattr(trunk, part)) == _ids(getattr(model, part))
        for part in ("trainable_variables", "non_trainable_variables")
    )


def _cut(graph: Graph, crossing: list, calls: list[Call]) -> tuple[keras.Model | None, keras.Model]:
    """Return a network up to the tensors that cross a cut, and one with the calls after it."""
    if crossing[0] is graph.image:
        return None, _network(graph._replace(calls=calls), "trunk")
    # Several have the type of the image, whatever Keras' setting is when a network is split.
    rows, dtype = crossing[0], crossing[0].dtype
    if len(crossing) > 1:
        rows = keras.layers.Concatenate(dtype=dtype)(
            [keras.layers.Flatten("channels_last", dtype=dtype)(x) for x in crossing]
        )
    head = keras.Model(graph.image, rows, name="head")
    row = keras.Input(rows.shape[1:], dtype=dtype)
    shapes = [x.shape[1:] for x in crossing]
    parts = [row] if len(crossing) == 1 else Parts(shapes, dtype=dtype)(row)
    made = dict(zip(_ids(crossing), parts, strict=True))
    replay(calls, made)
    return head, keras.Model(row, made[id(graph.output)], name="trunk")


def unfolded(trunk: keras.Model) -> keras.Model | None:
    """Return the trunk that takes images already cut into patches by `fused.unfold`.

    Patches that are cut once and kept take `layout.UNFOLDED` times the memory of the images, and
    save a sixth of the training time.

    Returns
    -------
    keras.Model or None
        None if not just one fused layer uses the images.
    """
    graph = graph_of(trunk)
    calls = graph.calls if graph else []
    first = [call for call in calls if any(x is graph.image for x in call.inputs)]
    if len(first) != 1 or type(first[0].operation) is not ConvolutionPooling:
        return None
    height, width, channels = trunk.input_shape[1:]
    layer = first[0].operation
    layer = UnfoldedConvolutionPooling(layer.convolution, layer.pooling)
    calls = [call._replace(operation=layer) if call is first[0] else call for call in calls]
    shape = 16 * channels, height * width // 4
    network = _network(graph._replace(calls=calls), "unfolded_trunk", shape)
    return network if _same_variables(network, trunk) else None


def plain(trunk: keras.Model) -> keras.Model:
    """Return a trunk that uses the layers of the original model."""
    graph = graph_of(trunk)
    if graph is None:
        return trunk

    def unfused(operation):
        if not isinstance(operation, ConvolutionPooling):
            return operation
        return lambda images: operation.pooling(operation.convolution(images))

    calls = [call._replace(operation=unfused(call.operation)) for call in graph.calls]
    return _network(graph._replace(calls=calls), "plain_trunk")


def replay(calls: Iterable[Call], made: dict[int, Any]) -> None:
    """Repeat calls on other tensors.

    Parameters
    ----------
    calls : iterable of Call
    made : dict of int to tensor
        The replacement for each tensor, by its ``id``; the outputs of the calls are added.
    """
    for call in calls:
        args, kwargs = tree.map_structure(
            lambda value: made.get(id(value), value), (call.args, call.kwargs)
        )
        outputs = tree.flatten(call.operation(*args, **kwargs))
        made.update(zip(_ids(tree.flatten(call.outputs)), outputs, strict=True))


def _network(graph: Graph, name: str, shape: tuple[int, ...] | None = None) -> keras.Model:
    """Build a network from a graph, for inputs of the shape of its images or another one."""
    image = keras.Input(shape or graph.image.shape[1:])
    made = {id(graph.image): image}
    replay(graph.calls, made)
    return keras.Model(image, made[id(graph.output)], name=name)


def _ids(values: Iterable) -> list[int]:
    """Return keys for objects whose `==` has another meaning."""
    return list(map(id, values))


def is_fixed(operation: Any) -> bool:
    """Whether a layer, or another operation, gives the same for an image in every epoch.

    It has no variables, and takes no argument ``training``. For a model of Keras, which passes this
    argument on, its layers decide.
    """
    if getattr(operation, "variables", ()):
        return False
    if isinstance(operation, keras.Model) and type(operation).__module__.startswith("keras."):
        return all(map(is_fixed, operation.layers))
    return "training" not in inspect.signature(operation.call).parameters


def _learning(graph: Graph) -> list[Call]:
    """Return the calls whose results change from epoch to epoch."""
    known, learning = {id(graph.image)}, []
    for call in graph.calls:
        if is_fixed(call.operation) and all(id(tensor) in known for tensor in call.inputs):
            known.update(_ids(tree.flatten(call.outputs)))
        else:
            learning.append(call)
    return learning


def _crossing(learning: list[Call]) -> list:
    """Return the inputs of the learning calls that come from elsewhere, each once, in order."""
    inner = {id(tensor) for call in learning for tensor in tree.flatten(call.outputs)}
    taken = {id(x): x for call in learning for x in call.inputs if id(x) not in inner}
    return list(taken.values())


def _fused(calls: list[Call]) -> list[Call]:
    """Let each pooling also replace the convolution before it, if one layer can do both.

    A convolution whose output is no longer used is not computed.
    """
    by_output = {id(call.outputs): call for call in calls}
    operations = [call.operation for call in calls]

    def fused(call: Call) -> Call:
        before = by_output.get(id(call.inputs[0])) if call.inputs else None
        if before is None or not fuses(before.operation, call.operation):
            return call
        # `fuses` looks at the shape of a layer's first call.
        if any(operations.count(layer) > 1 for layer in (before.operation, call.operation)):
            return call
        layer = ConvolutionPooling(before.operation, call.operation)
        return Call(layer, before.args, before.kwargs, call.outputs)

    return [fused(call) for call in calls]


class Parts(keras.layers.Layer):
    """Splits the row of numbers that a head returns.

    Parameters
    ----------
    shapes : list of tuple of int
        Shapes of the concatenated tensors, without the axis of the images.
    """

    def __init__(self, shapes: list[tuple[int, ...]], **kwargs: Any):
        super().__init__(**kwargs)
        self.shapes = shapes

    def compute_output_shape(self, input_shape: tuple) -> list[tuple]:
        """Return the shapes, including the number of images."""
        return [(input_shape[0], *shape) for shape in self.shapes]

    def call(self, inputs):
        """Return the tensors, of shapes (images, ...)."""
        parts, start = [], 0
        for shape in self.shapes:
            stop = start + math.prod(shape)
            parts.append(ops.reshape(inputs[:, start:stop], (-1, *shape)))
            start = stop
        return parts
