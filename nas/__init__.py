"""Hardware-aware neural architecture search: what programs import."""

from nas.siblings import check_siblings

check_siblings()  # before anything of a sibling is imported; Ray workers run it, too
