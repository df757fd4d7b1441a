"""Logistic regression."""

import torch

from optrack.architectures.logistic import Logistic


def test_it_is_one_matrix_on_the_flattened_pixels() -> None:
    model = Logistic((3, 5, 4), 7)
    images = torch.randn(2, 3, 5, 4)
    weights, biases = model.parameters()
    torch.testing.assert_close(model(images), images.reshape(2, 60) @ weights.T + biases)


def test_dropout_zeroes_pixels_in_training_alone() -> None:
    model = Logistic((1, 8, 8), 2, dropout=0.5)
    images = torch.randn(4, 1, 8, 8)
    assert not torch.equal(model.train()(images), model(images))
    assert torch.equal(model.eval()(images), model(images))
