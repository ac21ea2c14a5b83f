"""Let Keras find boxest's classes in a ``.keras`` file, in whichever order both are imported.

Keras finds a class by its registered name, and a module registers its classes when it is imported.
Importing boxest must not import Keras. So if Keras is not imported yet, boxest does not import
these modules itself, but lets Python do so after the import of Keras.
"""

import importlib
import importlib.machinery
import sys


def register_with_keras(*modules: str) -> None:
    """Import modules that register losses, metrics or layers, now or once Keras is imported."""
    if "keras" in sys.modules:
        _import(modules)
    else:
        sys.meta_path.insert(0, _Finder(modules))


def _import(modules: tuple[str, ...]) -> None:
    for name in modules:
        importlib.import_module(name)


class _Finder:
    """Finds Keras like Python itself, and imports the modules after it.

    It has no base class, since importing `importlib.abc.MetaPathFinder` takes longer than boxest.
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
