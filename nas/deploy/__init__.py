"""From a trained network to what is shipped: its files, checked and timed, and a card that describes them."""
