"""Keras networks written here, for shapes of network that keras.applications does not have."""
