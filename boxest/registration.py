"""Keras finds what a ``.keras`` file of boxest names, once both were imported, in any order.

Keras looks for a class by the name under which it was registered, which its module does when it is
imported. Importing boxest must not import Keras, and so registers nothing if Keras is not there
yet: it has Python call `register` when Keras has been imported.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys

# Where classes are registered.
MODULES = ("boxest.losses", "boxest.networks.layers")


def register() -> None:
    """Register losses, metrics and layers with Keras, which has been imported."""
    for name in MODULES:
        importlib.import_module(name)


def register_with_keras() -> None:
    """Register with Keras now, or as soon as it is imported."""
    if "keras" in sys.modules:
        register()
    else:
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds Keras as Python does, and has `register` called when its import is done."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "keras":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module):
                execute(module)
                if self in sys.meta_path:
                    sys.meta_path.remove(self)
                register()

            spec.loader.exec_module = execute_and_register
        return spec
