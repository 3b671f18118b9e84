"""Train the shapes network in Keras and write models/shapes_keras.onnx (softmax, NHWC).

A strided convolution with padding="same" pads only the far side of an even picture, so the file
holds the asymmetric pads that Keras models are known for.

Environment: pip install tensorflow-cpu keras tf2onnx numpy opencv-python-headless
Run from the repository root: python scripts/models/train_keras.py
"""

import keras
import numpy as np
import onnx
import tensorflow as tf
from card import MODELS, embed, save
from keras import layers
from shapes_net import BLOCKS, LABELS, MASK_WEIGHT, PREPROCESS, SEED, batches, rate


def build() -> tuple[keras.Model, layers.Dense]:
    """The network with two answers, its last feature map and the scores, and its dense layer."""
    image = x = keras.Input((96, 96, 3), name="image")
    for width, stride, pool in BLOCKS:
        x = layers.Conv2D(width, 3, stride, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
        if pool > 1:
            x = layers.MaxPooling2D(pool)(x)
    dense = layers.Dense(len(LABELS), activation="softmax", name="scores")
    return keras.Model(image, [x, dense(layers.GlobalAveragePooling2D()(x))]), dense


def train() -> keras.Model:
    keras.utils.set_random_seed(SEED)
    model, dense = build()
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)

    @tf.function
    def advance(images: tf.Tensor, labels: tf.Tensor, middles: tf.Tensor) -> tf.Tensor:
        """One step on cross-entropy plus the mask loss of `shapes_net`."""
        with tf.GradientTape() as tape:
            maps, scores = model(images, training=True)
            weights = tf.gather(tf.transpose(dense.kernel), labels)
            evidence = tf.einsum("nk,nhwk->nhw", weights, maps)
            cells = tf.nn.softmax(tf.reshape(evidence, (-1, 144)))
            share = tf.reduce_sum(cells * tf.reshape(middles, (-1, 144)), 1)
            mask_loss = -tf.reduce_mean(tf.math.log(share + 1e-6))
            cross_entropy = keras.losses.sparse_categorical_crossentropy(labels, scores)
            loss = tf.reduce_mean(cross_entropy) + MASK_WEIGHT * mask_loss
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    for step, batch in enumerate(batches()):
        optimizer.learning_rate = rate(step)
        loss = advance(*map(tf.convert_to_tensor, batch))
        if step % 100 == 0:
            print(f"step {step}: loss {float(loss):.4f}", flush=True)
    return keras.Model(model.input, model.output[1])


def main() -> None:
    path = MODELS / "shapes_keras.onnx"
    model = train()
    model(np.zeros((1, 96, 96, 3), np.float32))  # Keras exports only what has been called
    model.export(str(path), format="onnx")
    exported = onnx.load(path)
    embed(exported, PREPROCESS, LABELS)
    save(exported, path.name)


if __name__ == "__main__":
    main()
