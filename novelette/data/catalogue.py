"""The data sets that have names: where each is looked for, what belongs there, and by which hash its contents are known."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType

from novelette.data.formats import CIFAR_FILES, COIL_NAME, IDX_FILES, Arrays, read_cifar10, read_coil, read_idx_set
from novelette.data.large import LSUN_CLASSES
from novelette.data.magnetic_tile import CLASSES as TILE_CLASSES
from novelette.errors import InputError
from novelette.files import reason

DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class Listed:
    """Where a set is looked for and what a person is told when it is not there.

    Attributes:
        places: folders below a data root; "." is the root itself.   holds: whether a folder is the set's.
        layout: what belongs where, below a data root.   url: where it comes from.
        read, classes: for the sets that are read into arrays.
        known: titles of contents, by their hash.
    """

    title: str
    places: tuple[str, ...]
    holds: Callable[[Path], bool]
    layout: str
    url: str
    classes: tuple[str, ...] = ()
    read: Callable[[Path], Arrays] | None = None
    known: Mapping[str, str] = field(default_factory=dict)


def _holds_idx(folder: Path) -> bool:
    return any(any(folder.glob(name.replace("-idx", "?idx") + "*")) for name in IDX_FILES)


def _holds_cifar(folder: Path) -> bool:
    return any((folder / name).is_file() for name in CIFAR_FILES)


def _holds_coil(folder: Path) -> bool:
    return any(COIL_NAME.fullmatch(path.name) for path in folder.iterdir())


def _holds_tiles(folder: Path) -> bool:
    return any((folder / f"MT_{name}").is_dir() for name in TILE_CLASSES)


def _holds_celeba(folder: Path) -> bool:
    return any((folder / place).exists() for place in ("img_align_celeba", "list_attr_celeba.txt", "Anno", "Img"))


def _holds_lsun(folder: Path) -> bool:
    return any(any(folder.glob(name + "*")) for name in LSUN_CLASSES)


_IDX_LAYOUT = ", ".join(name + ".gz" for name in IDX_FILES)
CATALOGUE: Mapping[str, Listed] = MappingProxyType(
    {
        "mnist": Listed(
            "MNIST",
            ("mnist", "MNIST/raw"),
            _holds_idx,
            f"mnist/ with {_IDX_LAYOUT}",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            DIGITS,
            read_idx_set,
            {"0fe4155b4536abcdb684d6d0e4a620bd85612419c6b96630a1371b769caddbb5": "MNIST"},
        ),
        "fashion-mnist": Listed(
            "Fashion-MNIST",
            ("fashion_mnist", "fashion-mnist", "FashionMNIST/raw"),
            _holds_idx,
            f"fashion_mnist/ with {_IDX_LAYOUT}",
            "https://github.com/zalandoresearch/fashion-mnist",
            ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
            read_idx_set,
            {"4f6a2685830ffcca8f2dddaa305c2b2ed22c2f632d9c620f31f914a3fef1ea6f": "Fashion-MNIST"},
        ),
        "cifar10": Listed(
            "CIFAR-10",
            ("cifar10/cifar-10-batches-bin", "cifar10", "cifar-10-batches-bin", "."),
            _holds_cifar,
            "cifar10/cifar-10-batches-bin/ with data_batch_1.bin to data_batch_5.bin and test_batch.bin (the binary version)",
            "https://www.cs.toronto.edu/~kriz/cifar.html",
            ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
            read_cifar10,
            {"3b3339e507b9c1afe2a09ddbffed5c39c603d869af6443d69d253920cd297534": "CIFAR-10 (JPEG copy)"},
        ),
        "coil20": Listed(
            "COIL-20",
            ("coil20/images", "coil20", "coil-20-proc"),
            _holds_coil,
            "coil20/images/ with obj1__0.png to obj20__71.png",
            "https://www.cs.columbia.edu/CAVE/software/softlib/coil-20.php",
            tuple(f"obj{i}" for i in range(1, 21)),
            partial(read_coil, objects=20),
            {"8b06aa46dcf0ab6fd8d98f25e896bb9d5129bedaf4bc7fd833295643930678f6": "COIL-20 (32x32 copy)"},
        ),
        "coil100": Listed(
            "COIL-100",
            ("coil100/images", "coil100/coil-100", "coil100", "coil-100"),
            _holds_coil,
            "coil100/images/ with obj1__0.png to obj100__355.png",
            "https://www.cs.columbia.edu/CAVE/software/softlib/coil-100.php",
            tuple(f"obj{i}" for i in range(1, 101)),
            partial(read_coil, objects=100),
        ),
        "magnetic-tile": Listed(
            "Magnetic tiles",
            ("magnetic_tile", "Magnetic-tile-defect-datasets.", "Magnetic-tile-defect-datasets"),
            _holds_tiles,
            "magnetic_tile/ with MT_Free/Imgs/, MT_Blowhole/Imgs/, MT_Break/Imgs/, MT_Crack/Imgs/, MT_Fray/Imgs/ and MT_Uneven/Imgs/",
            "https://github.com/abin24/Magnetic-tile-defect-datasets.",
            TILE_CLASSES,
            known={"0a2fdfba53ebc7f2be562be102b8acf05a67e326609dab81a1fc66a969a014e9": "Magnetic tiles"},
        ),
        "celeba": Listed(
            "CelebA",
            ("celeba", "CelebA"),
            _holds_celeba,
            "celeba/ with img_align_celeba/, list_attr_celeba.txt and, for the official split, list_eval_partition.txt",
            "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
            ("absent", "present"),
        ),
        "lsun": Listed(
            "LSUN",
            ("lsun", "LSUN"),
            _holds_lsun,
            "lsun/ with bedroom_train/, bedroom_val/, conference_room_train/ and conference_room_val/ (exported images, "
            "or the lmdbs bedroom_train_lmdb/ and so on)",
            "https://github.com/fyu/lsun",
            LSUN_CLASSES,
        ),
    }
)


def find(spec: Listed, roots: Sequence[Path]) -> Path | None:
    """The first folder below the roots that is the set's."""
    for root in roots:
        for place in spec.places:
            folder = root / place
            try:
                if folder.is_dir() and spec.holds(folder):
                    return folder
            except OSError as error:
                raise InputError(f"{folder} cannot be read ({reason(error)}): check its permissions") from error
        if root.name in spec.places and root.is_dir() and spec.holds(root):  # the set's own folder was given
            return root
    return None
