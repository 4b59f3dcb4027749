"""Colours can be distinguished, also with each kind of colour blindness, and stand out on white."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from timellama.reports.render import style

# Machado, Oliveira and Fernandes 2009, "A physiologically-based model for simulation of color vision deficiency",
# severity 1: what remains of linear RGB.
EYES = {
    "all colours": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])  # of sRGB, IEC 61966-2-1
WHITE = XYZ.sum(axis=1)
APART = 10  # CIE 1976 colour difference; about 2 is just visible side by side. Lines and markers differ too
CONTRAST = 2.2  # with white, as WCAG computes it; a line of 1.0 points in pure yellow has 1.1


def linear(color):
    rgb = np.array(to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    ratio = XYZ @ np.clip(rgb, 0, 1) / WHITE
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_lab_values_of_known_colours():
    assert lab(linear("white")) == pytest.approx([100, 0, 0], abs=1e-6)
    assert lab(linear("red")) == pytest.approx([53.24, 80.09, 67.20], abs=0.05)


@pytest.mark.parametrize("eye", EYES)
def test_methods_can_be_distinguished(eye):
    colors = {name: lab(EYES[eye] @ linear(look.color)) for name, look in style.METHODS.items()}
    colors["truth"] = lab(EYES[eye] @ linear(style.TRUTH))
    near = {
        (one, other): round(float(np.linalg.norm(colors[one] - colors[other])), 1)
        for one, other in itertools.combinations(colors, 2)
        if np.linalg.norm(colors[one] - colors[other]) < APART
    }
    assert len(colors) > 10 and near == {}


@pytest.mark.parametrize("color", sorted({look.color for look in (*style.METHODS.values(), *style.OTHERS)}))
def test_lines_stand_out_on_white(color):
    assert 1.05 / (float((XYZ @ linear(color))[1]) + 0.05) >= CONTRAST
