"""Which runtimes a rewritten model is made for: what may be emitted, and what stands in for it."""

from onnxcam.profiles.profile import PROFILES, Profile, find_profile

__all__ = ["PROFILES", "Profile", "find_profile"]
