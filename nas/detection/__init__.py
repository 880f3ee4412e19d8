"""Object detection: SSDLite on any backbone, trained on boxes in Pascal VOC's form."""

from nas.detection.data import DetectionData, load_detection
from nas.detection.export import check_detector, export_detector
from nas.detection.model import DetectionNetwork, build_detector
from nas.detection.suppression import Found, detections
from nas.detection.task import Detection, open_detection

__all__ = [
    "Detection",
    "DetectionData",
    "DetectionNetwork",
    "Found",
    "build_detector",
    "check_detector",
    "detections",
    "export_detector",
    "load_detection",
    "open_detection",
]
