"""What commands answer with --json, and the weights that they leave."""

import json

from novelette.cli import main


def weights(det):
    return (det / "weights.safetensors").read_bytes()


def as_json(argv, capsys):
    capsys.readouterr()
    assert main([*argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)
