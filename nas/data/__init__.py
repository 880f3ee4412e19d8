"""Image data: the embedded digits, or a user's folder or zip, packed once and shared."""

from nas.data.image_data import ImageData
from nas.data.load import cache_folder, load_data

__all__ = ["ImageData", "cache_folder", "load_data"]
