"""A recogniser of lines of text (Shi et al. 2015, CRNN): convolutions, then recurrence."""

from __future__ import annotations

import torch
from torch import nn


class TextRecogniser(nn.Module):
    """Log-probabilities of the characters at every step of the line: (batch, steps, characters).

    The pictures are 32 pixels high and grey. The paper's widths divided by four.
    """

    def __init__(self, characters: int = 37, width: int = 64) -> None:
        super().__init__()
        self.columns = nn.Sequential(
            *_convolution(1, 16),
            nn.MaxPool2d(2),
            *_convolution(16, 32),
            nn.MaxPool2d(2),
            *_convolution(32, 64),
            *_convolution(64, 64),
            nn.MaxPool2d((2, 2), (2, 1), (0, 1)),
            *_convolution(64, 128),
            nn.BatchNorm2d(128),
            *_convolution(128, 128),
            nn.BatchNorm2d(128),
            nn.MaxPool2d((2, 2), (2, 1), (0, 1)),
            nn.Conv2d(128, 128, 2),
            nn.ReLU(inplace=True),
        )
        self.line = nn.LSTM(128, width, num_layers=2, bidirectional=True, batch_first=True)
        self.classify = nn.Linear(2 * width, characters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        columns = self.columns(x).squeeze(2).transpose(1, 2)
        steps, _ = self.line(columns)
        return self.classify(steps).log_softmax(-1)


def _convolution(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
