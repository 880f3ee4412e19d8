"""NetAdapt: narrow a trained network, layer by layer, until a latency table says that it is fast enough.

Yang et al. 2018, algorithm 1, with the two kinds of proposal and the choice of Howard et al. 2019, section 4.2.
"""
