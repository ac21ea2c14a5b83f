"""`python -m boxest.networks` prints the layer tables of docs/networks.md, in Markdown."""

from boxest import networks
from boxest.system import backend

SHAPE = (128, 128, 1)


def table(name: str) -> str:
    """Return the layer table of a network, for images of the paper's shape."""
    model = networks.build(name, SHAPE)
    lines = ["| layer | output | parameters |", "| --- | --- | ---: |"]
    for layer, shape, parameters in networks.layer_table(model):
        lines.append(f"| {layer} | {' × '.join(map(str, shape[1:]))} | {parameters:,} |")
    return "\n".join([*lines, f"| **{name}** | | **{model.count_params():,}** |"])


if __name__ == "__main__":
    backend.start()
    for name in ("paper", "profile", "roi", "marginal"):
        print(f"{table(name)}\n")
