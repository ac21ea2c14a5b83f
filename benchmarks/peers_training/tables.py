"""What was measured, as markdown."""

from peers_training import CONTENDERS, machine

MODES = {
    "one": "one process, one thread",
    "cores": "one process, all cores",
    "machine": "one-thread processes, as many as cores, at once",
}
BASE = "keras-default"


def markdown(result: dict) -> str:
    """Return header and tables."""
    lines = ["# Training speed", "", header(result["machine"], result["options"]), ""]
    lines += [part for sentence in result["wrong"] for part in (f"**{sentence}**", "")]
    for mode in result["options"]["modes"]:
        lines += _section(result, mode, "Images per second", "images_per_second", "{:,.0f}")
    for mode in result["options"]["modes"]:
        lines += _section(result, mode, "µs per step", "microseconds_per_step", "{:,.0f}")
    for mode in result["options"]["modes"]:
        lines += _ratios(result, mode)
    lines += _settings(result)
    return "\n".join(lines)


def header(described: dict, options: dict) -> str:
    """Say what was measured on what."""
    return (
        f"{machine.text(described)}\n\n"
        f"{options['images']:,} images of {options['image_size']} px, the paper's network, "
        "inclusive IoU, SGD. Median of "
        f"{options['repetitions']} epochs behind one of warm-up, least and greatest in brackets."
    )


def _section(result: dict, mode: str, what: str, key: str, form: str) -> list[str]:
    def cell(row):
        median, low, high = (form.format(value) for value in row[key])
        return f"{median} ({low}–{high})" + ("" if row["plausible"] else " **not plausible**")

    return [f"## {what}: {MODES[mode]}", ""] + _table(result, mode, cell)


def _ratios(result: dict, mode: str) -> list[str]:
    """Compare with the paper's way, which has all cores whatever the mode."""
    base_mode = "cores" if "cores" in result["options"]["modes"] else mode
    base = {
        row["batch"]: row["images_per_second"][0]
        for row in result["rows"]
        if row["status"] == "ok" and (row["contender"], row["mode"]) == (BASE, base_mode)
    }
    if not base:
        return []

    def cell(row):
        return f"{row['images_per_second'][0] / base[row['batch']]:.2f}"

    base_is = "" if base_mode == mode else f" in {MODES[base_mode]}"
    title = f"## Times as fast as (a){base_is}: {MODES[mode]}"
    return [title, "", *_table(result, mode, cell)]


def _table(result: dict, mode: str, cell) -> list[str]:
    """Return a row per contender and a column per batch size."""
    batches = result["options"]["batch"]
    lines = [
        "| batch size | " + " | ".join(map(str, batches)) + " |",
        "| --- |" + " ---: |" * len(batches),
    ]
    for name in result["options"]["contenders"]:
        rows = {
            row["batch"]: row
            for row in result["rows"]
            if (row["contender"], row["mode"]) == (name, mode)
        }
        cells = [
            cell(rows[batch]) if rows[batch]["status"] == "ok" else rows[batch]["status"]
            for batch in batches
        ]
        lines.append(f"| {CONTENDERS[name].title} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _settings(result: dict) -> list[str]:
    """Say which way of writing it was the fastest, and was timed."""
    lines = ["## Settings that were fastest in the warm-up, and timed", ""]
    for name in result["options"]["contenders"]:
        chosen = {}
        for row in result["rows"]:
            if row["contender"] == name and row["status"] == "ok":
                chosen.setdefault(row["settings"], set()).add(row["batch"])
        parts = [f"{what} (batch {_numbers(batches)})" for what, batches in chosen.items()]
        if parts and list(chosen) != ["default"]:
            lines.append(f"- {CONTENDERS[name].title}: {'; '.join(parts)}")
    return [*lines, ""] if len(lines) > 2 else []


def _numbers(values) -> str:
    return ", ".join(map(str, sorted(values)))
