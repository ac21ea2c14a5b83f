"""The study on a real SLURM, through the profile as a user gets it."""

import json
import re
import time
from collections import Counter
from itertools import pairwise

import clusters
import pytest
from clusters import PROFILE
from studies import (
    DISTURBED,
    DISTURBED_RESULTS,
    begin,
    clone,
    end,
    everything,
    snakemake,
    untimed,
)

# In the place of a training: what the job was given, and when. The first waits until another GPU is
# in use (not for ever: a cluster may have one).
STUB = """
import json, os, tempfile, time
from pathlib import Path
begin = time.time()
if "CUDA_VISIBLE_DEVICES" in os.environ:
    Path("gpu-" + os.environ["CUDA_VISIBLE_DEVICES"]).touch()
    while len(list(Path().glob("gpu-*"))) < 2 and time.time() < begin + 300:
        time.sleep(0.1)
for path in snakemake.output:
    Path(path).touch()
with open("seen.jsonl", "a") as file:
    gpus, scratch = os.environ.get("CUDA_VISIBLE_DEVICES"), tempfile.gettempdir()
    print(json.dumps([snakemake.rule, gpus, begin, time.time(), scratch]), file=file)
"""


@pytest.fixture(scope="module")
def cluster():
    yield from clusters.start()


@pytest.fixture
def repository(tmp_path):
    return clone(tmp_path / "boxest")


# --- a cluster -------------------------------------------------------------------------------


@pytest.mark.slurm
@pytest.mark.slow
def test_trainings_get_a_gpu_each_and_never_two_the_same_at_once(cluster, repository):
    gpus = clusters.slurm("sinfo", "--noheader", "--format=%G").split()
    if not any("gpu" in each for each in gpus):
        pytest.skip("this cluster has no GPU")
    for script in ("shard", "train"):
        (repository / "workflow" / "scripts" / f"{script}.py").write_text(STUB)
    (repository / "gpu.yaml").write_text(
        "execution: {gpus: 1, threads: 3, runs_per_job: 1}\ngrid: {batch_size: [16]}\nbest: null"
    )
    (scratch := repository / "scratch").mkdir()
    model = ["train:gpu_model=fake"] if cluster.ours else []
    done = snakemake(
        repository, *PROFILE, "--configfile", "config/tiny.yaml", "gpu.yaml",
        "--until", "train",
        "--group-components", "shards=10", "runs=1",
        *(["--set-resources", *model] if model else []),
        "--default-resources", "slot=1", f"tmpdir={scratch}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = [json.loads(line) for line in (repository / "seen.jsonl").read_text().splitlines()]
    assert Counter(rule for rule, *_ in seen) == {"shard": 3, "train": 4}
    assert {where for *_, where in seen} == {str(scratch)}
    by_gpu = {}
    for rule, gpu, began, ended, _ in seen:
        assert (gpu is None) == (rule == "shard")
        by_gpu.setdefault(gpu, []).append((began, ended))
    del by_gpu[None]
    if cluster.ours:
        assert set(by_gpu) == {"0", "1"}
    for times in by_gpu.values():
        assert all(first[1] <= second[0] for first, second in pairwise(sorted(times)))
    # CPUs, memory and time: those of 3 shards in turn are not added up, but their time is.
    training = "3 2000M 15:00"
    assert requests(done.stderr) == Counter({training: 4, "1 1000M 30:00": 1})


def requests(printed, comment="", form="%C %m %l"):
    """Return what the jobs of a start asked for, or another column of squeue, and how often."""
    jobs = ",".join(re.findall(r"submitted with SLURM jobid (\d+)", printed))
    options = ("--states=all", "--noheader", f"--format={form}|%k", f"--jobs={jobs}")
    lines = [line.split("|") for line in clusters.slurm("squeue", *options).splitlines()]
    return Counter(request for request, name in lines if name.startswith(comment))


# --- faults ----------------------------------------------------------------------------------

RUNS = [f"learning_rate~{rate}/seed~0/history.csv" for rate in DISTURBED["grid"]["learning_rate"]]
ALONE = ("--group-components", "shards=10", "runs=1")


@pytest.fixture
def start():
    """Start Snakemake, and see to it that it ends with the test."""
    processes = []

    def run(*arguments, **options):
        processes.append(begin(*arguments, **options))
        return processes[-1]

    yield run
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture
def nearby(cluster):
    """Give a cluster whose jobs are processes of this machine."""
    if not cluster.nearby:
        pytest.skip("stops processes of jobs: only where the nodes are this machine")
    return cluster


def hold(number, process, repository):
    """Stop so many trainings in their midst, when they have written their state once."""
    held = {}
    while len(held) < number:
        assert process.poll() is None, (repository / "snakemake.log").read_text()
        for training in clusters.trainings(repository):
            if training.log not in held and training.has_state():
                training.process.suspend()
                held[training.log] = training
        time.sleep(0.05)
    return list(held.values())


@pytest.mark.slurm
@pytest.mark.slow
@pytest.mark.fault
def test_study_survives_what_happens_to_its_jobs(nearby, repository, start, undisturbed):
    process = start(repository, *PROFILE, *ALONE)
    held = cancelled, killed, hung, preempted, orphaned = hold(5, process, repository)
    epochs = {training: training.epochs() for training in held}
    clusters.slurm("scontrol", "update", f"JobId={hung.job}", "TimeLimit=1")
    clusters.slurm("scancel", cancelled.job)
    killed.process.kill()
    preempted.process.resume()
    clusters.slurm("scontrol", "requeue", preempted.job)
    if nearby.ours:
        nearby.stop_node()
        time.sleep(3)
        nearby.start_node()
    orphaned.process.resume()
    # SLURM lets a requeued job wait for two minutes.
    clusters.slurm("scontrol", "update", f"JobId={preempted.job}", "StartTime=now")
    end(process, repository)
    states = ["CANCELLED", "FAILED", "TIMEOUT", "COMPLETED", "COMPLETED"]
    assert [clusters.state(training.job) for training in held] == states
    assert everything(repository) == everything(undisturbed)
    for training in (cancelled, killed, hung, preempted):
        (resumed,) = re.findall(r"^Resumed after epoch (\d+)", training.log.read_text(), re.M)
        # All but the killed one were asked to end, and wrote what they had.
        assert int(resumed) >= (1 if training is killed else epochs[training])
    assert "Resumed" not in orphaned.log.read_text()


# In the place of a training: it takes more than the first attempt has asked for, and waits.
GREEDY = """
import time
from pathlib import Path
taken = b"x" * 2**30
if snakemake.resources.mem_mb == 200:
    time.sleep(600)
for path in snakemake.output:
    Path(path).touch()
"""


@pytest.mark.slurm
@pytest.mark.slow
@pytest.mark.fault
def test_training_that_exceeds_its_memory_is_ended_and_gets_more(nearby, repository, start):
    if not nearby.ours:
        pytest.skip("not every SLURM ends jobs that take more memory than they asked for")
    (repository / "workflow" / "scripts" / "train.py").write_text(GREEDY)
    history = DISTURBED_RESULTS / "runs/batch_size~64" / RUNS[0]
    memory = ("--set-resources", "train:mem_mb=200*attempt**3")
    end(start(repository, *PROFILE, *ALONE, *memory, targets=[history]), repository)
    printed = (repository / "snakemake.log").read_text()
    assert requests(printed, "rule_runs") == {"1 200M 15:00": 1, "1 1600M 30:00": 1}
    assert requests(printed, "rule_runs", "%T") == {"FAILED": 1, "COMPLETED": 1}
    assert "exceeded memory limit" in printed
    assert (repository / history).exists()


@pytest.mark.slurm
@pytest.mark.slow
@pytest.mark.fault
def test_group_that_is_cancelled_goes_on_from_the_member_that_was_trained(
    nearby, repository, start, undisturbed
):
    histories = [DISTURBED_RESULTS / f"runs/batch_size~64/{run}" for run in RUNS]
    components = ("--group-components", "shards=10", "runs=2")
    process = start(repository, *PROFILE, *components, targets=histories)
    (first,) = hold(1, process, repository)
    first.process.resume()
    first.process.wait()
    (second,) = hold(1, process, repository)
    epochs = second.epochs()
    clusters.slurm("scancel", second.job)
    end(process, repository)
    assert second.job == first.job
    assert "Resumed" not in first.log.read_text()
    (resumed,) = re.findall(r"^Resumed after epoch (\d+)", second.log.read_text(), re.M)
    assert int(resumed) >= epochs
    printed = (repository / "snakemake.log").read_text()
    # All shards in one job, and two attempts at the two runs.
    assert printed.count("has been submitted with SLURM jobid") == 3
    # The second attempt asks for twice the memory, and twice the time of two trainings.
    assert requests(printed, "rule_runs") == {"1 2000M 30:00": 1, "1 4000M 1:00:00": 1}
    for history in histories:
        assert untimed(repository / history) == untimed(undisturbed / history)


@pytest.mark.slurm
@pytest.mark.slow
@pytest.mark.fault
def test_restart_beside_living_jobs_does_not_train_a_run_twice_at_once(
    nearby, repository, start, undisturbed
):
    histories = [DISTURBED_RESULTS / f"runs/batch_size~16/{run}" for run in RUNS]
    first = start(repository, *PROFILE, *ALONE, targets=histories)
    old = hold(len(RUNS), first, repository)
    first.kill()
    first.wait()
    assert snakemake(repository, "--unlock", "--configfile", "disturbed.yaml").returncode == 0
    second = start(repository, *PROFILE, *ALONE, targets=histories)
    while len(new := waiting(repository, old)) < len(RUNS):
        assert second.poll() is None, (repository / "snakemake.log").read_text()
        time.sleep(0.2)
    assert [training.epochs() for training in new] == [0, 0]
    for training in old:
        training.process.resume()
    end(second, repository)
    # The two have written the same log.
    for training in old:
        assert "\0" not in training.log.read_text()
    for history in histories:
        assert untimed(repository / history) == untimed(undisturbed / history)


def waiting(repository, old):
    """Return the trainings that wait for one of the old ones to end."""
    processes = [training.process for training in old]
    return [
        training
        for training in clusters.trainings(repository)
        if training.process not in processes and "has locked" in training.log.read_text()
    ]
