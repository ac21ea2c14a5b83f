#!/usr/bin/env bash
# slurm-local.sh - a real SLURM cluster on one Debian or Ubuntu machine, loopback only.
#
#   slurm-local.sh up              install (if absent), configure, start, and wait until every
#                                  node is usable; safe to repeat (changed settings restart it,
#                                  which cancels the jobs in the queue)
#   slurm-local.sh down [--purge]  cancel jobs and stop every daemon that `up` started; --purge
#                                  also removes the state and the files written to /etc/slurm
#
# Meant for containers and CI: it runs as root, needs neither systemd nor cgroups, and every daemon
# listens on 127.0.0.1 only. It refuses to touch a machine whose /etc/slurm/slurm.conf it did not
# write itself.
#
# Settings, from the environment (the same ones on each `up`):
#   SLURM_LOCAL_DIR     state, logs, pid files, fake devices: a folder of its own [/var/lib/slurm-local]
#   SLURM_LOCAL_NODES   number of (virtual) nodes, n1..nN                                        [1]
#   SLURM_LOCAL_CPUS    CPUs per node; may exceed the real number                          [nproc]
#   SLURM_LOCAL_MEM_MB  memory per node; may exceed the real size                      [90 % of it]
#   SLURM_LOCAL_GPUS    fake GPUs per node, of type "fake"; no hardware needed                   [1]
#   SLURM_LOCAL_DEAD_S  seconds until a silent node is called dead                             [300]
set -euo pipefail

DIR=${SLURM_LOCAL_DIR:-/var/lib/slurm-local}
NODES=${SLURM_LOCAL_NODES:-1}
CPUS=${SLURM_LOCAL_CPUS:-$(nproc)}
MEM_MB=${SLURM_LOCAL_MEM_MB:-$(awk '/^MemTotal:/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)}
GPUS=${SLURM_LOCAL_GPUS:-1}
DEAD_S=${SLURM_LOCAL_DEAD_S:-300}

ETC=/etc/slurm                          # where the clients look without SLURM_CONF
MARK='# written by slurm-local.sh'      # first line of every file we own in $ETC
HOST=$(hostname -s)
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH
unset SLURM_CONF

say() { printf 'slurm-local: %s\n' "$*" >&2; }
die() { say "ERROR: $*"; exit 2; }

# ---------------------------------------------------------------- processes --
# alive PID COMM: PID runs and is called COMM. A zombie counts as dead: in a container PID 1 may
# take seconds to reap, and `kill -0` would say "alive".
alive() {
    local stat
    [[ ${1:-} =~ ^[0-9]+$ ]] || return 1
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    [[ $stat == "$1 ($2) "* && $stat != "$1 ($2) Z"* ]]
}
stopped() { ! alive "$1" "$2"; }
pid_of()  { cat "$1" 2>/dev/null || true; }
running() { alive "$(pid_of "$1")" "$2"; }              # PIDFILE COMM

# Start a daemon with a clean environment, without our lock (fd 9) and without stdin.
launch() { (cd / && umask 022 && exec env -i PATH="$PATH" LANG=C.UTF-8 "$@" 9>&- </dev/null); }

# poll SECONDS COMMAND...: repeat the command, ten times a second, until it is true.
poll() {
    local end=$((SECONDS + $1)); shift
    until "$@"; do ((SECONDS < end)) || return 1; sleep 0.1; done
}

stop() {                                                # PIDFILE COMM
    local pid; pid=$(pid_of "$1")
    if alive "$pid" "$2"; then
        kill -TERM "$pid" 2>/dev/null || true
        poll 15 stopped "$pid" "$2" || { say "$2 ($pid) ignored SIGTERM"; kill -KILL "$pid" || true; }
    fi
    rm -f "$1"
}

# ------------------------------------------------------------------ install --
installed() { [[ -x /usr/sbin/slurmctld && -x /usr/sbin/slurmd && -x /usr/bin/sbatch && -x /usr/sbin/munged ]]; }

install_packages() {
    local packages=(slurmctld slurmd slurm-client munge)
    ! installed || return 0
    say "installing ${packages[*]}"
    # Keep the packages' own start scripts from starting anything.
    local policy=/usr/sbin/policy-rc.d mine=0 log=$DIR/log/apt.log rc=0
    if [[ ! -e $policy ]]; then printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod 755 "$policy"; mine=1; fi
    export DEBIAN_FRONTEND=noninteractive
    {
        apt-get install -y --no-install-recommends "${packages[@]}" ||
            { apt-get update && apt-get install -y --no-install-recommends "${packages[@]}"; }
    } >"$log" 2>&1 9>&- </dev/null || rc=$?
    ((mine)) && rm -f "$policy"
    ((rc == 0)) || { tail -n 20 "$log" >&2; die "apt-get could not install ${packages[*]}, see $log"; }
}

# ------------------------------------------------------------ configuration --
owned() { [[ ! -e $1 ]] || head -n 1 "$1" | grep -qF "$MARK"; }

put() {                                                 # FILE < content
    local new; new=$(printf '%s\n' "$MARK"; cat)
    [[ -f $1 && $(cat "$1") == "$new" ]] && return 0
    printf '%s\n' "$new" >"$1"
    CHANGED=1
}

# slurmctld, slurmd and srun bind to the address of the machine's own name. In a container that is
# often the address of eth0, or the name is unknown: put it on loopback while the cluster is up.
# (Rewritten and not edited in place: it may be a bind mount.)
HOSTS_MARK='# slurm-local.sh'
name_on_loopback() {
    local hosts
    [[ $(getent ahostsv4 "$HOST" | awk 'NR == 1 {print $1}') == 127.* ]] && return 0
    hosts=$(cat /etc/hosts)
    printf '127.0.0.1 %s %s\n%s\n' "$HOST" "$HOSTS_MARK" "$hosts" >/etc/hosts
}
name_restore() {
    local hosts
    grep -q "$HOSTS_MARK\$" /etc/hosts || return 0
    hosts=$(grep -v "$HOSTS_MARK\$" /etc/hosts)
    printf '%s\n' "$hosts" >/etc/hosts
}

# 6817 is slurmctld's port; each node of this machine has its own from 6821 up.
node_ports() { if ((NODES == 1)); then echo 6821; else echo "6821-$((6820 + NODES))"; fi; }

configure() {
    CHANGED=0
    local f i gres=''
    for f in slurm.conf gres.conf; do
        owned "$ETC/$f" || die "$ETC/$f is not ours; this machine has another SLURM set-up"
    done
    mkdir -p "$ETC" "$DIR"/{ctld,spool,log,run,dev}
    name_on_loopback

    # Fake GPUs. A bare "Count=N" does not do: slurmd reports 0 devices and the node is invalid. It
    # wants one character device per GPU, so make nulls. CUDA_VISIBLE_DEVICES is then set per job, as
    # on real nodes.
    if ((GPUS > 0)); then
        gres=" Gres=gpu:fake:$GPUS"
        for ((i = 0; i < GPUS; i++)); do
            [[ -c $DIR/dev/fakegpu$i ]] || mknod -m 666 "$DIR/dev/fakegpu$i" c 1 3
        done
        put "$ETC/gres.conf" <<-EOF
			AutoDetect=off
			Name=gpu Type=fake File=$DIR/dev/fakegpu[0-$((GPUS - 1))]
		EOF
    elif [[ -e $ETC/gres.conf ]]; then
        rm -f "$ETC/gres.conf"; CHANGED=1
    fi

    put "$ETC/slurm.conf" <<-EOF
		ClusterName=local
		SlurmctldHost=$HOST(127.0.0.1)
		SlurmctldPort=6817
		CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
		SlurmUser=root
		SlurmdUser=root
		AuthType=auth/munge
		StateSaveLocation=$DIR/ctld
		SlurmdSpoolDir=$DIR/spool/%n
		SlurmctldPidFile=$DIR/run/slurmctld.pid
		SlurmdPidFile=$DIR/run/slurmd.%n.pid
		SlurmctldLogFile=$DIR/log/slurmctld.log
		SlurmdLogFile=$DIR/log/slurmd.%n.log
		MailProg=/bin/true
		MpiDefault=none
		ProctrackType=proctrack/linuxproc
		TaskPlugin=task/none
		JobAcctGatherType=jobacct_gather/linux
		# end jobs that take more memory than they asked for, as real sites do with cgroups
		JobAcctGatherFrequency=task=2
		JobAcctGatherParams=OverMemoryKill
		# believe the CPUs and the memory below, whatever the hardware has
		SlurmdParameters=config_overrides
		SelectType=select/cons_tres
		SelectTypeParameters=CR_Core_Memory
		DefMemPerCPU=100
		# start jobs at once; the defaults hold a batch job back for up to 3 s
		SchedulerType=sched/backfill
		SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=1
		MinJobAge=600
		ReturnToService=2
		JobRequeue=1
		KillWait=5
		SlurmdTimeout=$DEAD_S
		AccountingStorageType=accounting_storage/none
		JobCompType=jobcomp/filetxt
		JobCompLoc=$DIR/log/jobcomp.log
		$( ((GPUS > 0)) && echo GresTypes=gpu)
		NodeName=n[1-$NODES] NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$(node_ports) CPUs=$CPUS RealMemory=$MEM_MB$gres State=UNKNOWN
		PartitionName=main Nodes=ALL Default=YES DefaultTime=60 MaxTime=7-00:00:00 State=UP
	EOF
}

# ------------------------------------------------------------------ daemons --
munge_ok() { munge -n 2>/dev/null | unmunge >/dev/null 2>&1; }
start_munge() {
    munge_ok && return 0
    [[ -s /etc/munge/munge.key ]] || launch runuser -u munge -- mungekey --create
    install -d -o munge -g munge -m 755 /run/munge
    launch runuser -u munge -- munged --force >>"$DIR/log/munged.log" 2>&1
    poll 60 munge_ok || die "munged does not answer, see /var/log/munge/munged.log"
    cp /run/munge/munged.pid "$DIR/run/munged.pid"      # ours to stop again
}

nodes_idle() { [[ $(sinfo -h -N -p main -o '%T' 2>/dev/null | grep -cE '^(idle|mixed|allocated)$') == "$NODES" ]]; }

start_slurm() {
    local i
    running "$DIR/run/slurmctld.pid" slurmctld || launch slurmctld
    for ((i = 1; i <= NODES; i++)); do
        mkdir -p "$DIR/spool/n$i"
        running "$DIR/run/slurmd.n$i.pid" slurmd || launch slurmd -N "n$i"
    done
    if ! poll 300 nodes_idle; then
        # DOWN or DRAINED by an earlier crash: resume once, then give up
        scontrol update NodeName="n[1-$NODES]" State=RESUME >/dev/null 2>&1 || true
        poll 60 nodes_idle || { sinfo -R >&2 || true; die "nodes not idle, see $DIR/log"; }
    fi
}

no_jobs() { [[ -z $(squeue -h 2>/dev/null) ]]; }
stop_slurm() {
    local f pid
    if running "$DIR/run/slurmctld.pid" slurmctld; then
        squeue -h -o %A 2>/dev/null | sort -u | xargs -r scancel >/dev/null 2>&1 || true
        poll 60 no_jobs || say "some jobs did not end in time"
    fi
    for f in "$DIR"/run/slurmd.*.pid; do [[ -e $f ]] && stop "$f" slurmd; done
    stop "$DIR/run/slurmctld.pid" slurmctld
    # Job supervisors outlive slurmd. Ours have a file open below $DIR, so no other cluster's can be
    # meant.
    for pid in $(pgrep -x slurmstepd || true); do
        if [[ -n $(find "/proc/$pid/fd" -lname "$DIR/*" -print -quit 2>/dev/null) ]]; then
            kill -KILL "$pid" 2>/dev/null || true
        fi
    done
}

# -------------------------------------------------------------------- verbs --
# $DIR must be ours alone, since --purge deletes it: new, empty, or marked by us.
lock() {
    [[ $DIR == /?* ]] || die "SLURM_LOCAL_DIR must be an absolute path"
    [[ -e $DIR/.slurm-local || -z $(ls -A "$DIR" 2>/dev/null) ]] || die "$DIR is not empty and not ours"
    mkdir -p "$DIR"/{log,run}
    touch "$DIR/.slurm-local"
    exec 9>"$DIR/lock"
    flock -w 120 9 || die "another slurm-local.sh is at work"
}

up() {
    [[ $EUID == 0 ]] || die "must be root"
    lock
    install_packages
    configure
    # New settings need a restart of the daemons that read the old ones.
    if ((CHANGED)) && running "$DIR/run/slurmctld.pid" slurmctld; then
        say "settings changed: restarting"
        stop_slurm
    fi
    start_munge
    start_slurm
    say "up: $NODES node(s) x $CPUS CPUs, $MEM_MB MB, $GPUS fake GPU(s)"
}

down() {
    [[ -e $DIR/.slurm-local ]] || { say "nothing to stop"; return 0; }
    lock
    stop_slurm
    stop "$DIR/run/munged.pid" munged
    name_restore
    if [[ ${1:-} == --purge ]]; then
        local f
        for f in slurm.conf gres.conf; do
            if [[ -e $ETC/$f ]] && owned "$ETC/$f"; then rm -f "$ETC/$f"; fi
        done
        rm -rf "${DIR:?}"
    fi
    say "down"
}

case ${1:-} in
    up)   up ;;
    down) shift; down "$@" ;;
    *)    sed -n '2,/^set -euo/{/^set/!p}' "$0" | sed 's/^# \{0,1\}//'; exit 64 ;;
esac
