"""Writes test/fixtures/convert/nn-zoo.{pth,npz}: a PyTorch module with one of every layer that the nn builder speaks
of, and its outputs. Run from the repository's root with PyTorch and NumPy: python test/golden/make/nn-zoo.py"""
import numpy as np
import torch
from torch import nn


class SqueezeExcitation(nn.Module):
    """The layout and arithmetic of torchvision.ops.SqueezeExcitation."""

    def __init__(self, channels, squeeze, gate):
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeeze, 1)
        self.fc2 = nn.Conv2d(squeeze, channels, 1)
        self.activation = nn.ReLU()
        self.scale_activation = gate()

    def forward(self, x):
        return x * self.scale_activation(self.fc2(self.activation(self.fc1(self.avgpool(x)))))


class Zoo(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, (3, 5), stride=(2, 1), padding=(1, 2), dilation=(1, 1), bias=False),
            nn.BatchNorm2d(8, eps=1e-3),
            nn.Hardswish(),
        )
        self.grouped = nn.Conv2d(8, 12, 3, padding=2, dilation=2, groups=4)
        self.grouped_bn = nn.BatchNorm2d(12)
        self.prelu = nn.PReLU()
        self.prelu_c = nn.PReLU(12)
        self.alone = nn.BatchNorm2d(12)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.avg = nn.AvgPool2d(3, 1, padding=1)
        self.se = SqueezeExcitation(24, 6, nn.Hardsigmoid)
        self.twice = nn.Conv2d(24, 24, 1)
        self.adaptive = nn.AdaptiveAvgPool2d((7, 2))
        self.tokens = nn.Linear(14, 5)
        self.tokens_free = nn.Linear(5, 4, bias=False)
        self.head = nn.Linear(24 * 4, 7)
        self.head_bn = nn.BatchNorm1d(7)

    def forward(self, x):
        x = self.stem(x)
        x = self.prelu(self.grouped_bn(self.grouped(x)))
        x = self.prelu_c(self.alone(x))
        x = torch.cat([self.pool(x), self.avg(self.pool(x))], 1)
        x = self.se(x)
        x = torch.relu(self.twice(torch.clamp(self.twice(x), -0.5, 1.5)))
        x = x + torch.sigmoid(x.mean((2, 3), keepdim=True))
        grid = nn.functional.relu6(self.adaptive(x))
        tokens = self.tokens_free(self.tokens(torch.flatten(grid, 2)))
        logits = self.head_bn(self.head(tokens.permute(0, 2, 1).flatten(1)))
        return torch.softmax(tokens, -1), logits


torch.manual_seed(7)
zoo = Zoo().eval()
with torch.no_grad():
    for module in zoo.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_()
            module.running_mean.normal_()
            module.running_var.uniform_(0.2, 2)
        if isinstance(module, nn.PReLU):
            module.weight.uniform_(-0.2, 0.6)
    x = torch.randn(2, 3, 30, 12)
    attention, logits = zoo(x)
torch.save(zoo.state_dict(), "test/fixtures/convert/nn-zoo.pth")
np.savez("test/fixtures/convert/nn-zoo.npz", input=x.numpy(), attention=attention.numpy(), logits=logits.numpy())
