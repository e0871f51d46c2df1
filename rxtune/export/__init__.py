"""A kept model as a folder to take away: whole or not at all, checked before it has its name."""

from rxtune.export.folder import Exported, export_model
from rxtune.export.onnx_check import OnnxCheck, check_onnx
from rxtune.export.unit import unit_of

__all__ = ["Exported", "OnnxCheck", "check_onnx", "export_model", "unit_of"]
