"""torch.onnx.export of the MobileNetV2 embedder from its checkpoint, as a user would.

Usage: CHECKPOINT OUT.onnx default|torchscript (the exporter that torch takes by itself, or the older, faster one).
"""
import sys

import torch
from torch import nn


def conv_bn(cin, cout, kernel, stride, groups=1):
    pad = (kernel - 1) // 2
    return [nn.Conv2d(cin, cout, kernel, stride, pad, groups=groups, bias=False), nn.BatchNorm2d(cout)]


class Block(nn.Module):
    def __init__(self, cin, cout, stride, expand):
        super().__init__()
        hidden = cin * expand
        layers = [] if expand == 1 else [*conv_bn(cin, hidden, 1, 1), nn.ReLU6(True)]
        layers += [*conv_bn(hidden, hidden, 3, stride, hidden), nn.ReLU6(True), *conv_bn(hidden, cout, 1, 1)]
        self.conv = nn.Sequential(*layers)
        self.skips = stride == 1 and cin == cout

    def forward(self, x):
        return x + self.conv(x) if self.skips else self.conv(x)


class Embedder(nn.Module):
    def __init__(self):
        super().__init__()
        features = [nn.Sequential(*conv_bn(3, 32, 3, 2), nn.ReLU6(True))]
        cin = 32
        for t, c, n, s in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
            for i in range(n):
                features.append(Block(cin, c, s if i == 0 else 1, t))
                cin = c
        features.append(nn.Sequential(*conv_bn(cin, 1280, 1, 1), nn.ReLU6(True)))
        self.features = nn.Sequential(*features)

    def forward(self, x):
        return self.features(x).mean([2, 3])


state = torch.load(sys.argv[1], map_location="cpu", weights_only=True)["state_dict"]
state = {k.removeprefix("module."): v for k, v in state.items()}
net = Embedder().eval()
own = net.state_dict()
matched = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
if len(matched) != len(own):
    lacking = [k for k in own if k not in matched][:5]
    sys.exit(f"{len(own) - len(matched)} of {len(own)} keys do not match, e.g. {lacking}; the file has {list(state)[:5]}")
net.load_state_dict(matched)
options = {"dynamo": False, "opset_version": 17} if sys.argv[3] == "torchscript" else {}
torch.onnx.export(net, (torch.zeros(1, 3, 224, 224),), sys.argv[2], **options)
