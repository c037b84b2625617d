"""A small file of ONNX, written by hand as protocol buffers, since the package `onnx` is not needed otherwise.

Numbers of fields are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def _field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _tensor(name: str, shape: tuple[int | str, ...]) -> bytes:
    dims = b"".join(_field(1, _field(1 if isinstance(size, int) else 2, size)) for size in shape)
    tensor = _field(1, _field(1, 1) + _field(2, dims))  # 1 is float32
    return _field(1, name) + _field(2, tensor)


def onnx_file(operator: str, shape: tuple[int | str, ...], metadata: dict[str, str] | None = None) -> bytes:
    """A graph of one operator from `x` to `y`, both of this shape (a str is any size)."""
    node = _field(1, "x") + _field(2, "y") + _field(4, operator)
    graph = _field(1, node) + _field(2, "graph") + _field(11, _tensor("x", shape)) + _field(12, _tensor("y", shape))
    entries = b"".join(_field(14, _field(1, key) + _field(2, value)) for key, value in (metadata or {}).items())
    return _field(1, 8) + _field(7, graph) + _field(8, _field(2, 13)) + entries
