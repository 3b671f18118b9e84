"""Train a lesion classifier on volumes in Keras and write models/lesions_keras.onnx.

The input is a volume (N, 40, 48, 40, 1), the answer one sigmoid unit: the probability of a lesion.
The network keeps a map of half the volume's resolution up to its pooling, and its training asks
for the evidence to lie in the lesion, by -log of the share of its softplus there (`shapes_net.py`
does the like, and says why): where a correct heatmap must be hot is known.

Environment: pip install tensorflow-cpu keras tf2onnx numpy opencv-python-headless
Run from the repository root: python scripts/models/train_volumes.py
"""

import keras
import numpy as np
import onnx
import tensorflow as tf
import volumes
from card import MODELS, save
from keras import layers

VOLUMES = 1200
EPOCHS = 14
BATCH = 8
SEED = 7
PEAK_RATE = 3e-3
MASK_WEIGHT = 0.5
"""Weight of the mask loss against the cross-entropy."""


def build() -> tuple[keras.Model, layers.Dense]:
    """The network with two answers (last feature map, probability), and its dense layer."""
    image = x = keras.Input((*volumes.SIZE, 1), name="volume")
    for number, (width, stride) in enumerate(((8, 2), (16, 1), (24, 1), (24, 1)), 1):
        x = layers.Conv3D(
            width, 3, stride, padding="same", use_bias=False, name=f"conv3d_{number}"
        )(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    dense = layers.Dense(1, activation="sigmoid", name="lesion")
    return keras.Model(image, [x, dense(layers.GlobalAveragePooling3D()(x))]), dense


def train() -> keras.Model:
    keras.utils.set_random_seed(SEED)
    values, labels, masks = volumes.draw_many(range(VOLUMES))
    d, h, w = (n // 2 for n in volumes.SIZE)
    cells = masks.reshape(-1, d, 2, h, 2, w, 2).mean((2, 4, 6), dtype=np.float32)
    model, dense = build()
    steps = VOLUMES // BATCH * EPOCHS
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(PEAK_RATE, steps))
    optimizer.build(model.trainable_variables)

    @tf.function
    def advance(x: tf.Tensor, y: tf.Tensor, middles: tf.Tensor) -> tf.Tensor:
        """One step on cross-entropy, plus the mask loss where there is a lesion."""
        with tf.GradientTape() as tape:
            maps, p = model(x, training=True)
            evidence = tf.reshape(tf.einsum("ko,ndhwk->ndhw", dense.kernel, maps), (-1, d * h * w))
            heat = tf.nn.softplus(evidence)
            inside = tf.reduce_sum(heat * tf.reshape(middles, (-1, d * h * w)), 1)
            share = inside / (tf.reduce_sum(heat, 1) + 1e-6)
            mask_loss = -tf.reduce_mean(y * tf.math.log(share + 1e-6))
            loss = tf.reduce_mean(keras.losses.binary_crossentropy(y[:, None], p))
            loss += MASK_WEIGHT * mask_loss
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    rng = np.random.default_rng(SEED)
    for epoch in range(EPOCHS):
        order = rng.permutation(VOLUMES)
        losses = []
        for start in range(0, VOLUMES, BATCH):
            chosen = order[start : start + BATCH]
            flips = [axis for axis in (1, 2, 3) if rng.integers(2)]
            x, middles = np.flip(values[chosen], flips), np.flip(cells[chosen], flips)
            y = labels[chosen].astype(np.float32)
            losses.append(
                float(advance(*map(tf.constant, (x[..., None].copy(), y, middles.copy()))))
            )
        print(f"epoch {epoch}: loss {np.mean(losses):.4f}", flush=True)
    return keras.Model(model.input, model.output[1])


def main() -> None:
    path = MODELS / "lesions_keras.onnx"
    model = train()
    model(np.zeros((1, *volumes.SIZE, 1), np.float32))  # Keras exports only what has been called
    model.export(str(path), format="onnx")
    exported = onnx.load(path)
    save(exported, path.name)


if __name__ == "__main__":
    main()
