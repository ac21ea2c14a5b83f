"""Keras finds what a ``.keras`` file of boxest names, once both were imported, in any order.

Keras looks for a class by the name under which it was registered, which its module does when it is
imported. Importing boxest must not import Keras, and so imports no such module if Keras is not
there yet: it has Python do so when Keras has been imported.
"""

import importlib
import importlib.machinery
import sys


def register_with_keras(*modules: str) -> None:
    """Import modules that register losses, metrics or layers: now, or as soon as Keras is there."""
    if "keras" in sys.modules:
        _import(modules)
    else:
        sys.meta_path.insert(0, _Finder(modules))


def _import(modules: tuple[str, ...]) -> None:
    for name in modules:
        importlib.import_module(name)


class _Finder:
    """Finds Keras as Python does, and imports the modules when its import is done.

    Its base class, `importlib.abc.MetaPathFinder`, would be more to import than all of boxest.
    """

    def __init__(self, modules: tuple[str, ...]):
        self.modules = modules

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
                _import(self.modules)

            spec.loader.exec_module = execute_and_register
        return spec
