"""The command line: which commands there are, and how one ends. A command is a function of a `cli_*` module that parses, calls and prints.

Modules are imported where they are used, so that `novelette --help` needs neither torch nor a second.
"""

import io
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from tyro.conf import UseAppendAction

from novelette.arguments import parse
from novelette.cli_bench import bench, table
from novelette.cli_classify import classify
from novelette.cli_compare import compare
from novelette.cli_deploy import drift, learn
from novelette.cli_detector import calibrate, evaluate, info, score
from novelette.cli_export import export
from novelette.cli_serve import serve
from novelette.cli_study import study
from novelette.cli_tag import tag
from novelette.cli_train import distill, fit
from novelette.errors import InputError
from novelette.files import reason
from novelette.saying import STOPPED, say
from novelette.words import install_words


def methods() -> int:
    """List the methods that can be fitted."""
    from novelette.methods import METHODS

    for name, module in METHODS.items():
        print(f"{name:<12} {(module.__doc__ or '').splitlines()[0]}\n{'':<12} {module.PAPER}")
    return 0


def data(data_root: UseAppendAction[tuple[Path, ...]] = ()) -> int:
    """List the named data sets, and where their files were found.

    Args:
        data_root: a folder that holds named sets; NOVELETTE_DATA can name more
    """
    from novelette.data.named import overview

    for line in overview(data_root):
        print(line)
    return 0


COMMANDS: dict[str, Callable[..., int]] = {
    "compare": compare,
    "fit": fit,
    "distill": distill,
    "calibrate": calibrate,
    "score": score,
    "evaluate": evaluate,
    "info": info,
    "export": export,
    "drift": drift,
    "learn": learn,
    "serve": serve,
    "classify": classify,
    "methods": methods,
    "data": data,
    "bench": bench,
    "table": table,
    "study": study,
    "tag": tag,
}


TRAIN = ("torch", "sklearn", "scipy", "safetensors", "matplotlib", "filelock", "pooch", "joblib", "onnx", "onnxscript")
SERVE = ("fastapi", "fastapi_offline", "starlette", "uvicorn", "httptools", "python_multipart", "prometheus_client")
EXTRAS = {name: extra for extra, names in (("train", TRAIN), ("serve", SERVE)) for name in names}  # which brings what is not there


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns: the exit status: 0; 2 for a person's bad input, in one sentence; 3 when pictures were skipped."""
    args = list(sys.argv[1:] if argv is None else argv)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # what Pillow says of odd files, novelette says in its own words
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as on stderr: a name may hold bytes that are no text
    warnings.filterwarnings("ignore", module=r"PIL\.")  # the same; ignored ones are not gathered either
    try:
        status = _run(args)
        sys.stdout.flush()
        return status
    except InputError as error:
        say(f"novelette: {error}")
    except KeyboardInterrupt:
        say("novelette: stopped")
        return STOPPED
    except BrokenPipeError:  # whoever read the output has had enough, as `head` has
        _settle_output()
        return 0
    except OSError as error:
        say(f"novelette: {error.filename or 'the output'}: {reason(error)}")
        _settle_output()
    except (MemoryError, RuntimeError) as error:
        if not _no_memory(error):
            raise
        say("novelette: there is not enough memory: try a smaller --batch-size, --size or network, or fewer pictures")
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        say(f"novelette: this command needs {error.name}: {install_words(extra)}")
    return 2


def _run(args: list[str]) -> int:
    if args[:1] == ["help"] and args[1:]:
        args = [*args[1:], "--help"]
    if not args or args[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if args[0] == "--version":
        from importlib.metadata import version

        print(f"novelette {version('novelette')}")
        return 0
    if args[0] not in COMMANDS:
        raise InputError(f"there is no command {args[0]!r}: choose one of {', '.join(COMMANDS)}")
    if args[0] in ("fit", "distill", "classify", "study", "tag"):  # these know their settings only when they are called
        return COMMANDS[args[0]](args[1:])
    return parse(COMMANDS[args[0]], args[1:], args[0])


def _no_memory(error: Exception) -> bool:
    """Whether there was no memory left, in numpy, or in torch, which has a class for a GPU's alone."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in ("can't allocate memory", "out of memory"))


def overview() -> str:
    """What `novelette --help` prints."""
    lines = ["usage: novelette COMMAND ...", "", "Small networks that know what is new.", ""]
    lines += [f"  {name:<10} {(command.__doc__ or '').splitlines()[0]}" for name, command in COMMANDS.items()]
    return "\n".join([*lines, "", "novelette COMMAND --help lists a command's arguments."])


def _settle_output() -> None:
    """Send what standard output cannot take nowhere: Python would try once more as it ends, and tell of its failure at length."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
