"""The modality of learners whose input is a picture."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from math import prod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from torch import nn

from fastmar_export.bundle import Bundle
from fastmar_export.conversion import Conversion, State
from fastmar_export.converters import Domain
from fastmar_export.errors import ExportError
from fastmar_export.learner import DATASETS, Learner, name_of
from fastmar_export.losses import activation_of
from fastmar_export.modalities import Arrays, Modality, worker_configuration
from fastmar_export.modalities.vision.augmentation import check_augmentation, merged_state, with_merged_copies
from fastmar_export.modalities.vision.conversion import convert_vision
from fastmar_export.modalities.vision.converters.copies import plain_steps
from fastmar_export.modalities.vision.golden import GOLDEN_SIZE, golden_pictures
from fastmar_export.modalities.vision.picture_class import MODES, PICTURES, created_class, is_picture
from fastmar_export.modalities.vision.pictures import BATCH, ITEM
from fastmar_export.modalities.vision.precision import check_precision, reduce_precision
from fastmar_export.modalities.vision.samples import add_samples, check_samples
from fastmar_export.modalities.vision.sizes import add_size_to_error, check_other_size
from fastmar_export.modalities.vision.targets import MASK_CODES, POINT, POINT_SCALER, picture_decoder
from fastmar_export.networks.graph import DEEP
from fastmar_export.options import Options
from fastmar_export.targets import Notice
from fastmar_runtime.pillow_versions import pillow_versions
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.spec import Spec


class Vision(Modality):
    """Learners whose input is a picture."""

    name = "vision"
    reads = "pictures"
    loaders = "ImageDataLoaders"
    classes = ("fastai.vision.data.ImageDataLoaders", "fastai.vision.data.SegmentationDataLoaders")
    tolerance = DEEP
    domains: ClassVar[Mapping[str, Domain]] = {"after_item": ITEM, "before_batch": BATCH, "after_batch": BATCH}
    options = (
        "picture_size",
        "max_pixels",
        "precision",
        "max_changed",
        "calibration",
        "tta",
        "tta_beta",
        "tta_use_max",
        "with_samples",
    )

    def matches(self, learner: Learner) -> bool:
        return learner.dataset.path == DATASETS and any(map(is_picture, learner.input_transforms))

    def check_options(self, options: Options) -> None:
        if options.max_pixels is not None and options.max_pixels < prod(GOLDEN_SIZE):
            raise ExportError(
                f"--max-pixels is {options.max_pixels}, which is less than the golden pictures have.",
                fix=f"use at least {prod(GOLDEN_SIZE)}.",
                code="max_pixels_too_low",
            )

        check_augmentation(options)
        check_precision(options)
        check_samples(options)

    def convert(self, learner: Learner, options: Options) -> Conversion:
        return convert_vision(learner, options)

    def golden(self, conversion: Conversion) -> list[Any]:
        return golden_pictures(plain_steps(conversion.steps))

    def assemble(self, network: nn.Module, conversion: Conversion, learner: Learner, options: Options) -> nn.Module:
        network = super().assemble(network, conversion, learner, options)
        return with_merged_copies(network, conversion, activation_of(learner.loss, options.activation).name)

    def decoder(
        self, conversion: Conversion, learner: Learner, shape: tuple[int, ...], requested: str | None
    ) -> tuple[State, list[Notice]]:
        targets = list(conversion.targets)
        state, notices = picture_decoder(conversion.target_transforms, targets, learner.loss, shape, requested)
        return merged_state(state, conversion.layer_states), notices

    def export_context(self, conversion: Conversion) -> AbstractContextManager[None]:
        return add_size_to_error(conversion)

    def verify(
        self,
        conversion: Conversion,
        network: nn.Module,
        predictor: Predictor,
        samples: Arrays,
        expected: npt.NDArray[np.float32],
    ) -> float:
        return check_other_size(network, predictor, samples, expected) if conversion.dynamic_axes else 0.0

    def finish(self, bundle: Bundle, options: Options) -> Bundle:
        reduced = bundle if options.precision is None else reduce_precision(bundle, options)
        return add_samples(reduced, options)

    def workers(self) -> dict[str, Any]:
        return worker_configuration(batch=8, seconds=120, threads=0)

    def provenance(self) -> dict[str, Any]:
        return pillow_versions()

    def becomes(self, transform: Any, domain: Domain | None) -> str | None:
        if name_of(transform) in (POINT_SCALER, MASK_CODES):
            return "the form of answers"
        if (created := created_class(transform)) is not None:
            return f"{created.rpartition('.')[2]}.create" if created in (*MODES, POINT) else None
        return super().becomes(transform, domain)

    def supported(self) -> list[tuple[str, str, str]]:
        rows = [(path, "target", "labels and values of answers") for path in (POINT_SCALER, MASK_CODES)]
        return rows + [(f"{path}.create", ITEM.name, "step `pil_image`") for path in PICTURES]

    def summary(self, spec: Spec) -> list[tuple[str, str]]:
        _, _, height, width = spec.inputs[0].shape
        size = f"resized to {width} x {height} px" if isinstance(width, int) else "in its own size"
        return [("picture", size)]


MODALITY = Vision()
