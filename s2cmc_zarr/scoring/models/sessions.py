"""Sessions of ONNX Runtime, one a process and file, that all threads share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.scoring.models.installed import once, require, sha256


def onnx_session(path: Path) -> Any:
    """Give the `onnxruntime.InferenceSession` of a file: on the CPU, in the thread that runs it.

    Raises
    ------
    CatalogueError
        If ONNX Runtime is not installed or cannot read the file.
    """
    return once(_session, path, sha256(path))


def _session(path: Path, digest: str) -> Any:  # noqa: ARG001  part of the key
    require(path.name, "onnxruntime")
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except (
        errors.Fail,
        errors.InvalidArgument,
        errors.InvalidProtobuf,
        errors.InvalidGraph,
        errors.NotImplemented,
        errors.NoSuchFile,
    ) as error:
        raise CatalogueError(f"ONNX Runtime cannot read {path}: {error}") from None
