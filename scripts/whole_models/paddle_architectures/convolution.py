"""What every network here is made of."""

from paddle import nn


def normalised(
    width: int,
    channels: int,
    kernel: int | tuple[int, int] = 1,
    stride: int | tuple[int, int] = 1,
    groups: int = 1,
) -> nn.Sequential:
    """A convolution of odd kernel that keeps the size (over its stride), and its normalisation."""
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = [side // 2 for side in sides]
    convolution = nn.Conv2D(
        width, channels, kernel, stride, padding, groups=groups, bias_attr=False
    )
    return nn.Sequential(convolution, nn.BatchNorm2D(channels))
