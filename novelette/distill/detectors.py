"""From a teacher detector and normal pictures to a student detector, calibrated on pictures that neither was trained on."""

import hashlib
import time
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as tensor_bytes

from novelette.calibrating import calibrating_scores, unseen
from novelette.data.select import Where, describe, grouped_as, normal_pictures
from novelette.detector import Detector
from novelette.distill import progressive, scores
from novelette.errors import InputError
from novelette.fitting import Fitted, check_numbers, fingerprint, finish, gather, provenance
from novelette.methods.ede_gan import Scorer
from novelette.training import Run, pick_device


@dataclass(frozen=True)
class Distilled:
    """What a distillation leaves: the student with what was found about the pictures, and its teacher as it ended.

    Attributes: teacher: None where no structure trains the teacher, so that it is as it was.
    """

    student: Fitted
    teacher: Detector | None


def way(method: str) -> ModuleType:
    """How detectors of a method teach, a module with `Config`: an ede-gan by P-KDGAN, any other through its scores."""
    return progressive if method == "ede-gan" else scores


def distil_detector(
    teacher: Detector,
    images: Any,
    where: Where,
    config: progressive.Config | scores.Config,
    run: Run,
    *,
    seed: int = 0,
    device: str = "auto",
    false_alarm_rate: float | None = None,
) -> Distilled:
    """Teach a smaller detector of the same pictures: by P-KDGAN, or through scores, as the configuration is.

    The student prepares pictures as its teacher does. It trains on those that the teacher might have trained on, and calibrates on those
    of the held-out fifth that the teacher did not see.

    Args: false_alarm_rate: the teacher's by default.
    Raises: InputError, for a teacher that is no ede-gan and P-KDGAN too.
    """
    began = time.monotonic()
    rate = teacher.false_alarm_rate if false_alarm_rate is None else false_alarm_rate
    check_numbers(rate, seed)
    picked = pick_device(device)
    module = scores if isinstance(config, scores.Config) else progressive
    if isinstance(config, progressive.Config):  # refused before the pictures are read
        if not isinstance(teacher.scorer, Scorer):
            raise InputError(f"P-KDGAN needs an ede-gan teacher, and this one's method is {teacher.method}, which teaches through scores")
        progressive.student_config(teacher.scorer.config, config, teacher.preprocessing.size)
    where = grouped_as(where, teacher.provenance.get("source"))
    pictures = gather(normal_pictures(images, where), teacher.preprocessing, bar=run.bar)
    run.begin(
        distil=config.model_dump(mode="json"),
        teacher=hashlib.sha256(tensor_bytes(teacher.scorer.state())).hexdigest()[:16],  # a checkpoint holds one that trains along
        seed=seed,
        pictures=fingerprint(pictures.training_hashes),
    )
    student, taught = module.distil(teacher.scorer, pictures.training, config, seed=seed, device=picked, run=run)
    origin = provenance(describe(images, where), pictures, picked, began)
    origin["distilled"] = config.model_dump(mode="json") | {
        "teacher": teacher.provenance,
        "teacher_method": teacher.method,
        "teacher_config": teacher.config.model_dump(mode="json"),
    }
    trained_on = np.union1d(pictures.trained_on, teacher.trained_on)
    own = {"method": "ede-gan", "config": student.config, "scorer": student}
    detector = replace(teacher, **own, trained_on=trained_on, false_alarm_rate=rate, seed=seed, provenance=origin)
    fresh = pictures.calibrating & unseen(teacher, pictures.chosen, pictures.loaded.indices, pictures.loaded.hashes)
    fitted = finish(detector, pictures, picked, fresh)
    if taught is teacher.scorer:
        return Distilled(fitted, None)
    along = teacher.provenance | {"trained_along": config.model_dump(mode="json") | {"pictures": pictures.fingerprint, "seed": seed}}
    moved = replace(teacher, scorer=taught, trained_on=trained_on, provenance=along).to(torch.device("cpu"))
    calibration = calibrating_scores(moved, pictures.chosen, pictures.loaded, fresh)
    return Distilled(fitted, moved.recalibrated(calibration, teacher.false_alarm_rate))
