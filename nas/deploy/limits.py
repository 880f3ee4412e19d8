"""What a network must not be trusted with, said from how it was made and measured."""

from collections.abc import Iterator, Sequence

from nas.deploy.card import Data
from nas.deploy.files import CALIBRATION_IMAGES, ModelFile
from nas.deploy.found import Found, Searched

_CLOSED = {
    "classification": "Of an image of anything else than its classes it still names one of them.",
    "detection": "It finds nothing but its classes, and can take other things for them.",
    "segmentation": "Every pixel is given one of its classes, whatever it shows.",
}


def limits_of(
    task: str, data: Data, files: Sequence[ModelFile], found: Sequence[Found], chosen_by_validation: bool
) -> Iterator[str]:
    """Yield the limits, a sentence or two each."""
    yield _CLOSED[task] + " Its outputs are scores, not calibrated probabilities."
    yield (
        f"It was judged on {data.validation_images} images from where its training images came from. On images of "
        "other cameras, places or times it may do worse; how it treats groups of people was not looked at."
    )
    if chosen_by_validation:
        yield "The epoch was chosen by the figure on those same images, so that figure is a little flattering."
    if any(isinstance(step, Searched) and step.data == data.name for step in found):
        yield (
            "The search compared architectures on those same images, or some of them: for that, too, the figure is a "
            "little flattering. Images that nothing was chosen by would tell."
        )
    yield "No attacks and no damaged images were tried. Where people's safety hangs on it, that takes further tests."
    if any(file.dtype == "int8" for file in files):
        yield (
            f"The int8 file's ranges are those of at most {CALIBRATION_IMAGES} training images, and its weights have "
            "the bits that suit this host's CPU; its figure is of this host, and another CPU may round otherwise."
        )
    yield (
        "Latencies estimated by a table were not measured on that device. The table's own error stands beside them; it "
        "is that of the networks that the table was checked on, and may be larger for much smaller or faster ones."
    )
    if task != "classification":
        yield (
            "The tables were checked on classifiers, and price a network's layers: what is between and after them, "
            "such as resizing maps or choosing among boxes, is not in their estimates."
        )
