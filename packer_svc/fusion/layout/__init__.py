"""Which of several equal graphs of a pack is quickest here, by measurement.

Layers of several branches that are alike can run apart, stacked where they read one value, as one
grouped convolution or as one block-diagonal dense layer. None is best everywhere: on a processor
with AVX-512 stacking is a tenth quicker in eight-bit integers and a twentieth slower in float32.
"""
