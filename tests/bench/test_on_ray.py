"""A bench on Ray: the records of joblib, on this machine and on a cluster; what is wrong with a cluster is told in a sentence."""

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import time

import pytest
import torch
from pictures import assert_refused

from novelette.bench.runs import Bench, Entry
from novelette.errors import InputError

pytest.importorskip("ray", reason="needs Ray: the extra cluster")
from novelette.bench import on_ray

BENCH = """
name = "b"
title = "B"
data = "digits"
classes = ["1", "3", "7"]
[[detectors]]
label = "kNN"
method = "knn"
[[detectors]]
label = "T"
method = "ede-gan"
stack = 2
config = { widths = "2", latent = 8, steps = 20 }
[[students]]
label = "S"
teacher = "T"
config = { widths = "1", steps = 10 }
"""
TIMES = ("fit_seconds", "score_seconds", "created", "load")
WAIT_S = 600  # for what takes seconds: a busy machine is no failure

# Two machines of one core each, as far as Ray is concerned; a line on standard input takes the second away.
CLUSTER = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
other = cluster.add_node(num_cpus=1)
print(cluster.address, flush=True)
if sys.stdin.readline():
    cluster.remove_node(other, allow_graceful=False)
    sys.stdin.readline()
cluster.shutdown()
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "b.toml").write_text(BENCH)
    return tmp_path / "b.toml"


@pytest.fixture
def token():
    """Of a cluster that no other program may join."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


@pytest.fixture
def cluster(token):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    process = subprocess.Popen([sys.executable, "-c", CLUSTER], env=os.environ | token, **pipes)
    yield process
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    process.wait(timeout=WAIT_S)


def run(file, results, *options, **environment):
    """`novelette bench` in a process of its own: Ray leaves threads behind in the process that used it."""
    words = [sys.executable, "-m", "novelette.cli", "bench", str(file), "--results", str(results), *options]
    return subprocess.Popen(words, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process):
    """Its exit status, and what it wrote to its two outputs but the lines that tell of progress, which come with the clock."""
    try:
        out, err = process.communicate(timeout=WAIT_S)
    finally:
        process.kill()
    return process.returncode, out, "".join(line for line in err.splitlines(keepends=True) if not line.startswith("runs "))


def records(results):
    """By key, without what depends on the clock."""
    lines = [json.loads(line) for line in (results / "b.jsonl").read_text().splitlines()]
    assert len({line["key"] for line in lines}) == len(lines)
    return {line["key"]: {name: value for name, value in line.items() if name not in TIMES} for line in lines}


def models(results):
    return {path.name: path.read_bytes() for path in (results / ".models").iterdir()}


def assert_as_joblib(process, file, results):
    """The command ends well, with the table, the records and the teachers' weights that joblib gives. Returns: standard error."""
    status, out, err = ended(process)
    assert status == 0, err
    other = results.parent / "joblib"
    assert ended(run(file, other)) == (0, out, "")
    assert records(results) == records(other)
    assert models(results) == models(other)
    return err


def assert_exits(process, *says):
    status, out, err = ended(process)
    assert (status, out) == (2, "")
    assert err.startswith("novelette: ")
    assert err.count("\n") == 1
    for words in says:
        assert words in err


@pytest.mark.parametrize("address", ["here", "here:", ":6379", "here:port", "here:99999", "[::1]"])
def test_address_that_is_none_is_refused(address, file, tmp_path, capsys):
    argv = ["bench", str(file), "--results", str(tmp_path / "r"), "--engine", "ray", "--address", address]
    assert_refused(argv, tmp_path, capsys, f"--address {address} is not HOST:PORT")


def test_address_where_nothing_answers_is_refused(file, tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    argv = ["bench", str(file), "--results", str(tmp_path / "r"), "--engine", "ray", "--address", address]
    assert_refused(argv, tmp_path, capsys, f"--address {address}: no Ray cluster answers there (connection refused)")


@pytest.mark.parametrize(
    ("device", "gpus", "jobs", "part"), [("cpu", 4, 2, 0), ("cuda", 4, 2, 1), ("auto", 1, 3, 0.3333), ("auto", 0, 3, 0)]
)
def test_gpus_are_shared_among_the_runs_at_a_time(device, gpus, jobs, part, monkeypatch):
    monkeypatch.setattr(on_ray.ray, "cluster_resources", lambda: {"CPU": 8.0} | ({"GPU": float(gpus)} if gpus else {}))
    assert on_ray.gpus_of(device, jobs) == part


def test_run_that_fits_on_no_machine_is_refused(monkeypatch):
    machines = [{"Alive": True, "Resources": {"CPU": 2.0}}, {"Alive": False, "Resources": {"CPU": 64.0}}, {"Alive": True, "Resources": {}}]
    monkeypatch.setattr(on_ray.ray, "nodes", lambda: machines)
    bench = Bench(name="b", title="B", data="digits", threads=2, detectors=[Entry(label="a", method="knn")])
    assert on_ray.cores_of(bench) == 2
    with pytest.raises(InputError, match="threads = 3 is too many: the largest machine of the cluster has 2 cores"):
        on_ray.cores_of(bench.model_copy(update={"threads": 3}))


def test_ray_that_does_not_start_is_told_in_a_sentence(file, tmp_path, capsys, monkeypatch):
    def fails(*args, **kwargs):
        raise Exception("Starting.\nThe current node timed out during startup.\n")

    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    monkeypatch.setattr(on_ray.ray, "init", fails)
    argv = ["bench", str(file), "--results", str(tmp_path), "--engine", "ray"]
    assert_refused(argv, tmp_path, capsys, "Ray does not start: The current node timed out during startup\n")


@pytest.mark.slow
def test_address_of_another_program_is_refused_before_long(file, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        assert_exits(run(file, tmp_path / "r", "--engine", "ray", "--address", address), address, "the Ray cluster cannot be joined")
    assert not (tmp_path / "r").exists()
    assert on_ray.ANSWER_S + on_ray.JOIN_S <= 15  # Ray alone takes 200 s


@pytest.mark.slow
def test_ray_on_this_machine_gives_the_records_of_joblib_and_leaves_nothing_at_home(file, tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    (tmp_path / "home").mkdir()
    process = run(file, tmp_path / "ray", "--engine", "ray", "--jobs", "2", HOME=str(tmp_path / "home"))
    assert assert_as_joblib(process, file, tmp_path / "ray") == ""
    assert not any((tmp_path / "home").iterdir())


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_fault_of_a_run_is_told_as_it_is_without_ray(file, tmp_path):
    assert_exits(run(file, tmp_path / "ray", "--engine", "ray", "--device", "cuda"), "novelette: --device cuda: there is no such device")


@pytest.mark.slow
def test_cluster_gives_the_records_of_joblib_to_who_has_its_token(file, tmp_path, cluster, token):
    address = cluster.stdout.readline().strip()
    options = ["--engine", "ray", "--jobs", "2", "--address", address]
    stranger = token | {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
    assert_exits(run(file, tmp_path / "none", *options, **stranger), address, "the Ray cluster cannot be joined", "InvalidAuthToken")
    assert assert_as_joblib(run(file, tmp_path / "ray", *options, **token), file, tmp_path / "ray") == ""


@pytest.mark.slow
def test_runs_of_a_machine_that_is_lost_go_to_another(file, tmp_path, cluster, token):
    file.write_text(BENCH.replace("steps = 20", "steps = 600").replace("stack = 2\n", ""))
    address = cluster.stdout.readline().strip()
    process = run(file, tmp_path / "ray", "--engine", "ray", "--jobs", "2", "--address", address, **token)
    while process.poll() is None and not (tmp_path / "ray" / "b.jsonl").exists():
        time.sleep(0.01)
    print("", file=cluster.stdin, flush=True)
    assert_as_joblib(process, file, tmp_path / "ray")
